"""What a task's body does to its process: signals, and all writing to stdout and stderr."""

import atexit
import gc
import io
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploytasks.tasks.early import hand_over, open_many

if TYPE_CHECKING:
    from deploytasks.model import Event
    from deploytasks.report.sheet import Sheet


_SAID_AFTER_S, _ONE_SIGNAL_S = 0.5, 0.25
"""Say that an interruption was received if the command takes longer than the first of these to end; and take signals
within the second for one that was sent to the process group and to us."""
_INTERRUPTED = b"interrupted: answers of AWS that are under way have 3 s; a second signal ends this at once\n"
_GOES_ON = "run the same command again: it goes on from here"
_AGAIN = b"interrupted again: ended at once; what was begun goes on at AWS, inv lock.status shows a lock that is left\n"
_saying: list[threading.Timer] = []


def show(sheet: "Sheet", document: Any, *, as_json: bool, summary: str = "") -> None:
    """Print the document for programs or the sheet for people.

    With a `summary`, which is a title, add the sheet to CI's step summary as well.

    Raises:
        Failure: stdout rejected the output.

    """
    from deploytasks.report import streams as out

    if summary:
        _summarise(summary, sheet)
    raise_if_lost(out.show_json(document, sys.stdout) if as_json else out.show(sheet, sys.stdout))


def _summarise(title: str, sheet: "Sheet") -> None:
    """Add the sheet to the step summary; if that fails, say why on stderr."""
    from deploytasks.report import ci

    file = ci.engine(os.environ).summary
    if file and (problem := ci.summarise(file, title, sheet)):
        warn(f"summary: {problem}")


def show_exactly(document: Any, indent: int | None = 2) -> None:
    """Print the document as JSON, unmasked, because a program will use it; `indent=None` makes it one line.

    Raises:
        Failure: stdout rejected the output.

    """
    from deploytasks.report.streams import show_exact_json

    raise_if_lost(show_exact_json(document, sys.stdout, indent))


def show_text(text: str) -> None:
    """Print the text for a program or a file, never wrapped.

    Raises:
        Failure: stdout rejected the output.

    """
    from deploytasks.report.sheet import line
    from deploytasks.report.streams import show

    raise_if_lost(show(tuple(line(each, whole=True) for each in text.split("\n")), sys.stdout))


def raise_if_lost(why: str) -> None:
    """Raise Failure if stdout rejected the output; `why` is "" if it did not."""
    from deploytasks.errors import Failure

    if why:
        raise Failure.of("stdout", f"not everything could be written: {why}", "make room, or send it elsewhere")


def warn(text: str) -> None:
    """Print the text on stderr, made harmless as on stdout."""
    from deploytasks.report.streams import OutputStream
    from deploytasks.report.text import harmless

    OutputStream(sys.stderr).write(f"{harmless(text)}\n")


def say(text: str, *, whole: bool = False) -> None:
    """Print one line on stdout; a `whole` one, which may be a command to copy, is not broken to the terminal's width.

    Raises:
        Failure: stdout rejected the output.

    """
    from deploytasks.report.sheet import line
    from deploytasks.report.streams import show

    raise_if_lost(show((line(text, whole=whole),), sys.stdout))


def say_told(event: "Event") -> None:
    """Print the message of a Told event on stdout; ignore other events."""
    from deploytasks.model import Told

    if isinstance(event, Told):
        say(event.message)


def require_streams() -> None:
    """Refuse a closed stdout; open /dev/null for a closed stdin or stderr.

    Otherwise a file or connection opened later would get the closed stream's number, and child processes would write
    into it.

    Raises:
        Refusal: stdout is closed.

    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
    if sys.stdout is None:
        from deploytasks.errors import Refusal

        raise Refusal.of("stdout", "it is closed", "send it somewhere, for example > /dev/null")


class _Lenient(io.FileIO):
    """Stderr as a file that drops what it can't take: its reader left, the terminal was closed, or the disk is full."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except OSError:
            return len(data)


def outlive_stderr() -> None:
    """From now on, drop what stderr does not take: the exit code must be the command's own.

    Invoke prints the message of an Exit by itself, and ends with another code where that fails. Leave a stream alone
    that is not the process's own stderr.
    """
    stderr = sys.stderr
    if stderr is not sys.__stderr__ or not isinstance(stderr, io.TextIOWrapper):
        return
    end_stderr()
    file = io.BufferedWriter(_Lenient(stderr.fileno(), "w", closefd=False))
    sys.stderr = io.TextIOWrapper(file, encoding=stderr.encoding, errors=stderr.errors, line_buffering=True)


def end_stderr() -> None:
    """Flush stderr, and drop what it does not take: else Python's last flush fails and turns the exit code into 120."""
    try:
        sys.stderr.flush()
    except OSError:
        from deploytasks.report.streams import silence

        silence(sys.stderr)


def ask(question: str) -> bool | None:
    """Ask at the terminal, and return whether the answer is yes; None if there is no terminal."""
    answer = ask_for(f"{question} [y/N] ")
    return (answer or "").lower() in ("y", "yes") if _at_terminal() else None


def ask_for(question: str) -> str | None:
    """Ask at the terminal, and return the answer; None if there is no terminal, or its input has ended."""
    from deploytasks.report.text import one_line

    if not _at_terminal():
        return None
    sys.stderr.write(one_line(question))
    sys.stderr.flush()
    line = sys.stdin.readline()
    return line.strip() if line else None


def _at_terminal() -> bool:
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


@contextmanager
def interruptible(where: str = "inv", to_do: str = _GOES_ON) -> Iterator[None]:
    """Let SIGTERM, and SIGHUP when the terminal closes, interrupt like SIGINT, and exit with 130.

    `where` is the command, `to_do` what is to be done after an interruption.

    Raises:
        Interrupted: instead of KeyboardInterrupt, which Invoke would turn into exit 1.
        Unforeseen: instead of an exception that is not ours, which would end as a traceback.

    """
    from deploytasks.errors import Interrupted, Resume, Unforeseen, contained

    hand_over()
    open_many()
    atexit.register(end_stderr)
    atexit.register(gc.freeze)  # saves a last collection of botocore's models, a quarter of a second
    before = {number: signal.signal(number, _as_interrupt) for number in _stopping()}
    try:
        with contained(where):
            yield
    except KeyboardInterrupt as stopped:
        traceback.clear_frames(stopped.__traceback__)  # releases a lock acquired just before its `with` was entered
        raise Interrupted.of(where, "interrupted", to_do) from None
    except Unforeseen as error:
        lacks_a_file = isinstance(error.__cause__, ImportError)  # which running it again does not bring back
        if lacks_a_file or any(isinstance(each, Resume) for each in error.complaints):
            raise
        resume = Resume(where, "what was done so far stands", to_do)
        raise Unforeseen(*error.complaints, resume) from error.__cause__
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        while _saying:
            _saying.pop().cancel()


def _as_interrupt(_number: int, _frame: Any) -> None:
    """Interrupt on the first signal, and say so if ending takes a while; exit at once on a second one."""
    began_at = time.monotonic()

    def at_once(_number: int, _frame: Any) -> None:
        if time.monotonic() - began_at > _ONE_SIGNAL_S:
            with suppress(OSError):
                os.write(2, _AGAIN)  # not sys.stderr: the signal may have come in the middle of a write to it
            os._exit(130)

    for number in _stopping():
        signal.signal(number, at_once)
    saying = threading.Timer(_SAID_AFTER_S, _say_interrupted)
    saying.daemon = True
    saying.start()
    _saying.append(saying)
    raise KeyboardInterrupt


def _say_interrupted() -> None:
    with suppress(OSError):
        os.write(2, _INTERRUPTED)


def _stopping() -> list[signal.Signals]:
    """Return the signals that interrupt; SIGHUP unless it is ignored, as under `nohup`."""
    ours = [signal.SIGINT, signal.SIGTERM]
    return ours if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else [*ours, signal.SIGHUP]
