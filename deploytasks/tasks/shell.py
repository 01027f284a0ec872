"""From a task's body to the journey and back: the face that is shown, the signals, the exit code."""

import atexit
import gc
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from deploytasks.model import OnEvent, Options, Project, Report, Scope
    from deploytasks.report.sheet import Sheet

Work = Callable[["Project", "Scope", "Options", "OnEvent"], "Report"]


def carry_out(root: Path, work: Work, scope: "Scope", options: "Options", *, as_json: bool) -> None:
    """The work is done and shown.

    Raises:
        RolloutsFailed: some rollout did not end well.
        Interrupted: SIGINT or SIGTERM.

    """
    from deploytasks.project.load import load
    from deploytasks.report.face import face

    atexit.register(gc.freeze)  # a last collection of botocore's models takes a quarter of a second, for nothing
    command = "build" if work.__name__ == "build" else f"{work.__name__}.{scope.tier}"
    with interruptible(), face(command, sys.stdout, as_json=as_json) as show:
        report = work(load(root), scope, options, show)
        show.finish(report)
    _raise_if_failed(report)


def show(sheet: "Sheet", document: Any, *, as_json: bool) -> None:
    """One of the two is on stdout: the document for programs, the sheet for people."""
    from deploytasks.report import show as out

    out.show_json(document, sys.stdout) if as_json else out.show(sheet, sys.stdout)


def show_exactly(document: Any) -> None:
    """The document is on stdout with every value as it is, because a program will use it."""
    from deploytasks.report.show import show_exact_json

    show_exact_json(document, sys.stdout)


def say(text: str) -> None:
    """One line on stdout."""
    from deploytasks.report.sheet import line
    from deploytasks.report.show import show

    show((line(text),), sys.stdout)


@contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM stops what SIGINT stops, and both exit with 130.

    Raises:
        Interrupted: instead of KeyboardInterrupt, which Invoke would turn into exit 1.

    """
    from deploytasks.errors import Interrupted

    before = {number: signal.signal(number, _as_interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    except KeyboardInterrupt:
        raise Interrupted.of("inv", "interrupted", "run the same command again: it goes on from here") from None
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _as_interrupt(_number: int, _frame: Any) -> None:
    """The first signal stops us; those that follow shall not stop the cleaning up, the lock's release among it."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _raise_if_failed(report: "Report") -> None:
    from deploytasks.errors import Complaint, RolloutsFailed

    if report.failed:
        what = "; ".join(f"{result.target} {result.outcome}" for result in report.failed)
        raise RolloutsFailed(Complaint(report.command, what, report.resume))
