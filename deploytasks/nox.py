"""The tasks of a repository as Nox sessions: `from deploytasks.nox import sessions; sessions(globals())`.

`nox -s release-prod -- --tenant mb` runs `inv release.prod --tenant mb`, with the same output, signals and exit code.
"""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from invoke.collection import Collection
from invoke.exceptions import CollectionNotFound
from invoke.loader import FilesystemLoader
from invoke.tasks import Task

from deploytasks.errors import DeployError, Invalid

try:
    import nox
except ModuleNotFoundError as error:
    text = "deploytasks.nox: Nox is not installed\n    install it where this Python finds it: pip install nox"
    raise ModuleNotFoundError(text, name="nox") from error

_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def sessions(module: dict[str, Any]) -> None:
    """Make a session of each task that `inv --list` lists beside the noxfile.py whose globals these are.

    None runs unless it is named: plain `nox` must release nothing.

    Raises:
        SystemExit: there is no tasks.py, or two tasks' sessions would have one name.

    """
    root = Path(module["__file__"]).resolve().parent
    try:
        tasks = _tasks(root)
        named = _named(tasks)
    except DeployError as error:
        logging.getLogger("nox").error(str(error))
        raise SystemExit(error.code) from error
    for session, name in named.items():
        nox.session(name=session, venv_backend="none", default=False)(_session(root, name, tasks[name]))


def _tasks(root: Path) -> Collection:
    logging.getLogger("invoke").setLevel(logging.WARNING)  # Nox shows whatever is logged
    try:
        module, _ = FilesystemLoader(start=str(root)).load("tasks")
    except (CollectionNotFound, ImportError) as error:
        if isinstance(error, ImportError) and error.name:  # tasks.py lacks a module
            raise
        to_do = "write it, or let python -m deploytasks init do that"
        raise Invalid.of("noxfile.py", "there is no tasks.py beside it", to_do) from error
    return Collection.from_module(module)


def _named(tasks: Collection) -> dict[str, str]:
    """Return session → task, aliases included: `release-prod` → `release.prod`."""
    named: dict[str, str] = {}
    names = tasks.task_names.items()
    for name in (each for main, aliases in names for each in (main, *aliases)):
        session = name.replace(".", "-")
        if session in named:
            what = f"the tasks '{named[session]}' and '{name}' would both be the session '{session}'"
            raise Invalid.of("noxfile.py", what, "rename one of them in tasks.py")
        named[session] = name
    return named


def _session(root: Path, name: str, task: Task[Any]) -> Callable[[nox.Session], None]:
    def run(session: nox.Session) -> None:
        _run(root, [name, *session.posargs])

    run.__doc__ = task.__doc__
    return run


def _run(root: Path, words: list[str]) -> None:
    """Run `inv WORDS` to its end; raise SystemExit with its exit code if that is not 0.

    Nox itself would turn 3 into 1, and end the child half a second after Ctrl-C, amid what it has to clean up.
    """
    process = subprocess.Popen([sys.executable, "-m", "invoke", *words], cwd=root)
    with _forwarding(process):
        code = process.wait()
    if code:
        raise SystemExit(code if code > 0 else 128 - code)


@contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Send the child the signals that would end Nox, but Ctrl-C of the terminal: that reaches the child by itself."""

    def forward(number: int, frame: FrameType | None) -> None:
        if number != signal.SIGINT or not _is_in_foreground():
            process.send_signal(number)

    stopping = [number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, forward) for number in stopping}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _is_in_foreground() -> bool:
    """Return whether this is what the terminal's Ctrl-C is sent to."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    finally:
        os.close(terminal)
