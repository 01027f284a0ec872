"""A task's way out: a signal ends it with 130; in CI, what it complains of is annotated, and nothing of it obeyed."""

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

if TYPE_CHECKING:
    from deploytasks.errors import DeployError


class Reporting(Task[Any]):
    """A task that may be stopped, and that reports to the CI engine as well, where there is one."""

    def __init__(self, task: Task[Any], root: Path, command_line: CommandLine) -> None:
        vars(self).update(vars(task))  # the same task: its name, body, flags and help
        self._root, self._command_line = root, command_line
        self._arguments: list[Argument] | None = None

    def __deepcopy__(self, _memo: object) -> "Reporting":
        """Return the same one: Invoke copies a namespace's tasks, and nothing changes them."""
        return self

    def get_arguments(self, ignore_unknown_help: bool | None = None) -> list[Argument]:
        """Return the task's arguments, made once: Invoke asks for them before it parses, and copies them to do it.

        Raises:
            Exit: the command line names a task or a flag that is not there.

        """
        self._command_line.check()
        if self._arguments is None:
            self._arguments = super().get_arguments(ignore_unknown_help)
        return self._arguments

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The task is done.

        Raises:
            Interrupted: SIGINT or SIGTERM, from its first import on.

        """
        shell.require_streams()
        with _readable(), self._told_to_ci(kwargs.get("json")), shell.interruptible():
            return super().__call__(*args, **kwargs)

    @contextmanager
    def _told_to_ci(self, as_json: bool | None) -> Iterator[None]:
        """A task without the flag `--json` may print something for programs, so it is annotated on stderr."""
        if os.environ.get("GITHUB_ACTIONS") != "true":
            yield
            return
        with _annotating(self._root, for_people=as_json is False), _harmless(as_json=as_json):
            yield


def reporting(tasks: Collection, root: Path, command_line: CommandLine | None = None) -> Collection:
    """The collection, each of its tasks reporting to CI, and telling what was mistyped."""
    command_line = command_line or CommandLine(tasks, root)
    for name, task in tasks.tasks.items():
        tasks.tasks[name] = Reporting(task, root, command_line)
    for inner in tasks.collections.values():
        reporting(inner, root, command_line)
    return tasks


@contextmanager
def _readable() -> Iterator[None]:
    """What Invoke prints of an error is as harmless as what we print, and can be said on its console.

    Raises:
        Exit: the same one.

    """
    try:
        yield
    except Exit as error:
        from deploytasks.report.streams import writable
        from deploytasks.report.text import harmless

        error.message = writable(harmless(error.message or ""), sys.stderr)
        raise


class _Sieve:
    """A stream whose every text goes through `change` first."""

    def __init__(self, stream: TextIO, change: Callable[[str], str]) -> None:
        self._stream, self._change = stream, change

    def write(self, text: str) -> int:
        return self._stream.write(self._change(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _harmless(*, as_json: bool | None) -> Iterator[None]:
    """Nothing that is printed inside, whoever wrote it, is a command to GitHub's runner."""
    from deploytasks.report.ci import defused, defused_json

    out = cast("TextIO", _Sieve(sys.stdout, defused_json if as_json else defused))
    with redirect_stdout(out), redirect_stderr(cast("TextIO", _Sieve(sys.stderr, defused))):
        yield


@contextmanager
def _annotating(root: Path, *, for_people: bool) -> Iterator[None]:
    """Each complaint of what is raised inside is annotated, and what Invoke prints of it is no command either.

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
