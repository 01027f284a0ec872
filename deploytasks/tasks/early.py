"""What must be set early in `inv`: to answer Ctrl-C before a task runs, and to start quickly."""

import gc
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from invoke.tasks import Task

_FILES = 2048
_SAID = b"interrupted: nothing was begun\n"
_NEW_OBJECTS = 200_000
"""Look for garbage after so many new objects. Python does after 700, and finds hardly any in what is imported and
parsed here: that was a tenth of the CPU time of a deploy to one tenant. It costs 2 MB."""


def answer_early() -> None:
    """Let SIGINT end the process with 130 and one line, until a task runs.

    Leave the signal alone in another program, in another thread, and if it would not raise KeyboardInterrupt.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_inv(sys.argv[0]) and is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end)


def hand_over() -> None:
    """Give SIGINT back: from here on something may have begun."""
    if signal.getsignal(signal.SIGINT) is _end:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def collect_seldom() -> None:
    """Let Python look for garbage less often, for as long as `inv` runs."""
    if is_inv(sys.argv[0]):
        gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])


def open_many() -> None:
    """Let `inv` open as many connections as its threads need: each may keep one to each service and region.

    macOS allows a process 256 files, unless it asks for more.
    """
    if not is_inv(sys.argv[0]):
        return
    with suppress(ImportError, OSError, ValueError):  # Windows has no such limit
        import resource

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < wanted:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def keeping_bytecode() -> Iterator[None]:
    """Let Python write the bytecode of the modules imported in the block, unless its user said not to.

    Invoke turns that off for all modules, because of `tasks.py`. What the installer left uncompiled (`uv` everything,
    `pip install --editable` this package) would be compiled by each `inv` again.
    """
    before = sys.dont_write_bytecode
    if is_inv(sys.argv[0]):
        sys.dont_write_bytecode = before and bool(sys.flags.dont_write_bytecode)
    try:
        yield
    finally:
        sys.dont_write_bytecode = before


def is_inv(program: str) -> bool:
    """Return whether the program is `inv`, `invoke` or `python -m invoke`."""
    path = Path(program)
    return path.stem in ("inv", "invoke") or path.parts[-2:] == ("invoke", "__main__.py")


def _end(number: int, frame: FrameType | None) -> None:
    if _in_a_task(frame):  # somebody's own task: ours have called `hand_over`
        signal.default_int_handler(number, frame)
    with suppress(OSError):
        os.write(2, _SAID)
    raise SystemExit(130)


def _in_a_task(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is Task.__call__.__code__:
            return True
        frame = frame.f_back
    return False
