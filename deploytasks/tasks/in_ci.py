"""Run tasks so that a signal ends them with 130 and, in CI, errors are annotated and no output is a command."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

from invoke.collection import Collection
from invoke.exceptions import Exit
from invoke.parser.argument import Argument
from invoke.tasks import Task

from deploytasks.tasks import shell
from deploytasks.tasks.command_line import CommandLine
from deploytasks.tasks.early import keeping_bytecode

if TYPE_CHECKING:
    from deploytasks.errors import DeployError


class Reporting(Task[Any]):
    """A task that signals can stop and that reports its errors to the CI engine too, if there is one."""

    def __init__(self, task: Task[Any], root: Path, command_line: CommandLine) -> None:
        vars(self).update(vars(task))  # it takes over the task's name, body, flags and help
        self._root, self._command_line = root, command_line
        self._arguments: list[Argument] | None = None

    def __deepcopy__(self, _memo: object) -> "Reporting":
        """Return the task itself: Invoke copies a namespace's tasks, and nothing changes them."""
        return self

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Check the command line, and return the task's arguments; none if the command line does not name it.

        Made once: Invoke asks for them before it parses, and copies them.

        Raises:
            Exit: the command line names an unknown task or flag.

        """
        self._command_line.check()
        if not self._command_line.needs(self):
            return []
        if self._arguments is None:
            self._arguments = super().get_arguments(ignore_unknown_help)
        return self._arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the task.

        Raises:
            Interrupted: SIGINT or SIGTERM, from the task's first import on.

        """
        shell.require_streams()
        with keeping_bytecode(), _readable(), self._told_to_ci(kwargs.get("json")), shell.interruptible():
            return super().__call__(*args, **kwargs)

    @contextmanager
    def _told_to_ci(self, as_json: bool | None) -> Iterator[None]:
        """Annotate errors for GitHub: on stdout, but on stderr if stdout may hold output for programs.

        That is so with `--json`, and for tasks that have no such flag (`as_json` is None).
        """
        if os.environ.get("GITHUB_ACTIONS") != "true":
            yield
            return
        with _annotating(self._root, for_people=as_json is False), _harmless(as_json=as_json):
            yield


def reporting(tasks: Collection, root: Path, command_line: CommandLine | None = None) -> Collection:
    """Make every task of the collection a `Reporting` one; return the collection."""
    command_line = command_line or CommandLine(tasks, root)
    for name, task in tasks.tasks.items():
        tasks.tasks[name] = Reporting(task, root, command_line)
    for inner in tasks.collections.values():
        reporting(inner, root, command_line)
    return tasks


@contextmanager
def _readable() -> Iterator[None]:
    """Make the message of an Exit raised inside harmless, and writable on stderr: Invoke prints it.

    Raises:
        Exit: the same one.

    """
    try:
        yield
    except Exit as error:
        from deploytasks.report.streams import writable
        from deploytasks.report.text import harmless

        error.message = writable(harmless(error.message or ""), sys.stderr)
        shell.outlive_stderr()
        raise


class _Sieve:
    """A stream that applies `change` to every text before it is written."""

    def __init__(self, stream: TextIO, change: Callable[[str], str]) -> None:
        self._stream, self._change = stream, change

    def write(self, text: str) -> int:
        return self._stream.write(self._change(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _harmless(*, as_json: bool | None) -> Iterator[None]:
    """Defuse everything printed inside, so that GitHub's runner takes none of it for a command."""
    from deploytasks.report.ci import defused, defused_json

    out = cast("TextIO", _Sieve(sys.stdout, defused_json if as_json else defused))
    with redirect_stdout(out), redirect_stderr(cast("TextIO", _Sieve(sys.stderr, defused))):
        yield


@contextmanager
def _annotating(root: Path, *, for_people: bool) -> Iterator[None]:
    """Annotate each complaint of an error raised inside, and defuse the message that Invoke will print.

    Raises:
        DeployError: the same one.

    """
    from deploytasks.errors import DeployError
    from deploytasks.report.ci import defused
    from deploytasks.report.streams import writable
    from deploytasks.report.text import harmless

    try:
        yield
    except DeployError as error:
        stream = sys.stdout if for_people else sys.stderr
        stream.write(writable("".join(_annotations(error, root)), stream))
        stream.flush()
        error.message = defused(harmless(error.render()))
        raise


def _annotations(error: "DeployError", root: Path) -> Iterator[str]:
    from deploytasks.errors import RolloutsFailed
    from deploytasks.report import ci

    complaints = error.each if isinstance(error, RolloutsFailed) else error.complaints
    errors = [(each.where, f"{each.what}\n{each.to_do}".rstrip()) for each in complaints]
    return ci.annotations(errors, ci.folder_of(root, ci.engine(os.environ).workspace))
