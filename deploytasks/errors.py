"""The exit codes, one row each, and the tree of errors that carry them.

DeployError                       an invoke.Exit: Invoke prints its message on stderr and exits with its code
├── Refusal           2           nothing was changed
│   ├── Invalid                   envs/, templates or flags: every complaint at once
│   ├── NotReady                  the preflight: every complaint at once
│   ├── NotBuilt                  no image for that commit
│   └── Locked                    someone else holds the lock
├── Failure           1           something failed at AWS or in a rollout
│   ├── BuildFailed
│   ├── AwsError                  an AWS call failed
│   │   └── Unforeseen            an unexpected exception: it ends one target, never the others
│   ├── CommandFailed             a one-off task's command failed; the exit code is the command's own
│   └── RolloutsFailed            the table lists what was changed and what was not
├── Different         3           something is not as it should be: a diff, `status --check`
└── Interrupted       130         SIGINT or SIGTERM
"""

import errno
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import ClassVar, Self

from invoke.exceptions import Exit


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong: `where: what`, and below it, indented, what to do."""

    where: str
    what: str
    to_do: str = ""
    said: str = field(default="", compare=False)
    """What AWS said: `what` without the operation that it answered; "" if AWS did not say it."""
    file: str = field(default="", compare=False)
    """The file and line in `where`, if that names the target after them."""

    @property
    def text(self) -> str:
        """Return what is wrong and what to do, without the place."""
        return "\n".join([self.what, *(f"    {line}" for line in self.to_do.splitlines())])

    def at(self, where: str) -> "Complaint":
        """Return the same complaint about another place."""
        return replace(self, where=where)

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


@dataclass(frozen=True, slots=True)
class Resume(Complaint):
    """The state that a failure left, and the command that resumes from it."""


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the names as a comma-separated list: at most `most`, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def once(complaints: Iterable[Complaint]) -> list[Complaint]:
    """Return the first complaint about each thing, whichever AWS operation reported it."""
    kept: dict[tuple[str, str], Complaint] = {}
    for complaint in complaints:
        kept.setdefault((complaint.where, complaint.said or complaint.what), complaint)
    return list(kept.values())


DONE, FAILED, REFUSED, DIFFERENT, INTERRUPTED = 0, 1, 2, 3, 130


@dataclass(frozen=True, slots=True)
class ExitCode:
    """An exit code: what README.md says of it, and the verb of a command that broke off with it."""

    code: int
    meaning: str
    verb: str = "failed"


_ROWS = (
    ExitCode(DONE, "done, or nothing to do", "is done"),
    ExitCode(
        FAILED,
        "some rollout ended otherwise than `deployed`, `unchanged` or `started` (`unhealthy`, `paused` and "
        "`not attempted` too), or AWS failed; the table says what did change and what did not. "
        "Also a mistyped task or flag",
    ),
    ExitCode(
        REFUSED,
        "refused before any change: no tag and no service was touched. "
        "ECS's refusal of a definition is such a one, too",
        "was refused",
    ),
    ExitCode(
        DIFFERENT,
        "`status --check`, `envs.schema --check` or `deploy.diff` found something; everything could be looked at",
    ),
    ExitCode(
        INTERRUPTED,
        "stopped by Ctrl-C, SIGTERM or the end of the terminal; what goes on at AWS is named",
        "was interrupted",
    ),
)
EXIT_CODES = {row.code: row for row in _ROWS}


def exit_code(error: BaseException) -> int:
    """Return the exit code with which the error ends the process: our errors carry it."""
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    code = getattr(error, "code", FAILED)
    return code if isinstance(code, int) else FAILED


def ended_as(error: BaseException) -> str:
    """Return the verb of a command that the error broke off."""
    return EXIT_CODES.get(exit_code(error), EXIT_CODES[FAILED]).verb


class DeployError(Exit):
    """An error that is shown to the user: complaints in, message and exit code out, without a traceback."""

    code: ClassVar[int] = FAILED  # Invoke reads it from the exception

    def __init__(self, *complaints: Complaint) -> None:
        self.complaints = complaints
        super().__init__(message=self.render(), code=type(self).code)

    @classmethod
    def of(cls, where: str, what: str, to_do: str = "") -> Self:
        """Return the error with one complaint."""
        return cls(Complaint(where, what, to_do))

    def render(self) -> str:
        """Return the whole text that goes to stderr."""
        return "\n".join(str(complaint) for complaint in self.complaints)

    def render_at(self, *places: str) -> str:
        """Return the whole text for a report that names the place already: one of `places` is not repeated."""
        first, *more = self.complaints
        return "\n".join([first.text if first.where in places else str(first), *map(str, more)])

    def reword(self, change: Callable[[str], str]) -> None:
        """Rewrite the text of every complaint, so that it is safe to show."""
        self.complaints = tuple(
            replace(each, **{part.name: change(getattr(each, part.name)) for part in fields(each)})
            for each in self.complaints
        )
        self.message = self.render()

    def __str__(self) -> str:
        return self.render()


class Refusal(DeployError):
    """A refusal before any change."""

    code = REFUSED


class Invalid(Refusal):
    """Something in envs/, a template or a flag is invalid."""


class NotReady(Refusal):
    """The preflight found a problem; nothing was changed."""


class NotBuilt(Refusal):
    """There is no image with the wanted commit tag."""


class Locked(Refusal):
    """Someone else holds the tier's lock."""


class Failure(DeployError):
    """Something failed after the start."""


class BuildFailed(Failure):
    """A builder or a push failed."""


class AwsError(Failure):
    """An AWS call failed: the `operation` that was refused, and AWS's own `error_code`; "" if AWS did not answer."""

    def __init__(self, *complaints: Complaint, error_code: str = "", operation: str = "") -> None:
        self.error_code, self.operation = error_code, operation
        super().__init__(*complaints)


class Unlisted(AttributeError):
    """An AWS operation without a row in aws/operations.py is called: a mistake in this package, not AWS's error."""


class Unforeseen(AwsError):
    """An unexpected exception while a target was worked on."""


class CommandFailed(Failure):
    """A one-off task's command failed: the process exits with the command's exit code, or 125 if it never started."""

    NEVER_STARTED: ClassVar[int] = 125

    def __init__(self, *complaints: Complaint, exit_code: int = NEVER_STARTED) -> None:
        super().__init__(*complaints)
        self.code = exit_code  # type: ignore[misc]  # the one error whose code varies


class RolloutsFailed(Failure):
    """At least one rollout did not end well; `each` has the complaint of every such rollout."""

    def __init__(self, *complaints: Complaint, each: Sequence[Complaint] = ()) -> None:
        self.each = each or complaints
        super().__init__(*complaints)


class Different(DeployError):
    """Everything could be read, and something is not as it should be; nothing was changed."""

    code = DIFFERENT


class Interrupted(DeployError):
    """The command was stopped by a person or the CI engine."""

    code = INTERRUPTED


def raise_all(error: type[DeployError], complaints: Sequence[Complaint]) -> None:
    """Raise one error with every complaint, if there is any."""
    if complaints:
        raise error(*complaints)


@contextmanager
def contained(where: str, but: type[Exception] = Exit) -> Iterator[None]:
    """Turn any exception but an Exit and `but` into an error of `where`: it ends one target and not the others.

    Raises:
        Unforeseen: with the type and the place of what was raised.
    """
    try:
        yield
    except (Exit, but):
        raise
    except Exception as error:
        raise Unforeseen(unforeseen(where, error)) from error


def unforeseen(where: str, error: Exception) -> Complaint:
    """Return the complaint about an unexpected exception: its type, its place, and where its traceback is.

    For a file that can't be used, return the complaint about the file instead, and for one that a copy of deploytasks
    lacks, how to get it back.
    """
    if isinstance(error, ImportError) and f"{error.name}.".startswith("deploytasks."):
        to_do = "git checkout deploytasks/ restores a copy's files; else install it again"
        return Complaint(where, f"deploytasks lacks a file: {' '.join(str(error).split())[:300]}", to_do)
    if isinstance(error, OSError) and (error.filename is not None or is_full(error)):
        return unwritable(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    at = "".join(f" ({Path(each.filename).name}:{each.lineno}, in {each.name})" for each in last)
    said = " ".join(str(error).split())[:200]
    what = f"unforeseen {type(error).__name__}: {said}".removesuffix(": ") + at
    return Complaint(where, what, _traceback(error))


ROOM = "see that it is there, has room and may be used; for temporary files, TMPDIR names another directory"
"""The advice for a file that can't be written or read."""


def is_full(error: OSError) -> bool:
    """Return whether the disk, or the user's quota on it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritable(error: OSError) -> Complaint:
    """Return the complaint about a file, usually a temporary one, that can't be written or read.

    If a copy found no space, the complaint names the copy.
    """
    file = (error.filename2 if is_full(error) else None) or error.filename or "this machine"
    return Complaint(str(file), error.strerror or str(error), ROOM)


def _traceback(error: Exception) -> str:
    """Write the traceback if asked to, since it may show secrets, and return where it is or how to get it."""
    if os.environ.get("DEPLOYTASKS_DEBUG") != "1":
        return "DEPLOYTASKS_DEBUG=1 writes the whole traceback to a file"
    import tempfile

    try:
        with tempfile.NamedTemporaryFile("w", prefix="deploytasks-", suffix=".traceback", delete=False) as file:
            file.writelines(traceback.format_exception(error))
    except OSError as lost:
        return f"its traceback could not be written: {lost}"
    return f"its traceback is in {file.name}"
