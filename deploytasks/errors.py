"""Everything that may go wrong, drawn as a tree.

DeployError                       an invoke.Exit: Invoke prints its message on stderr and exits with its code
├── Refusal           2           nothing was changed
│   ├── Invalid                   envs/, templates or flags: every complaint at once
│   ├── NotReady                  the preflight: every complaint at once
│   ├── NotBuilt                  no image for that commit
│   └── Locked                    somebody else is at work
├── Failure           1           something failed at AWS or in a rollout
│   ├── BuildFailed
│   ├── AwsError                  an AWS call said no
│   │   └── Unforeseen            what no code expected: the trouble of one target, never of the others
│   ├── CommandFailed             a one-off task's command did; the exit code is the command's own
│   └── RolloutsFailed            the table says what did change and what did not
├── Different         3           what was looked at is not as it should be: a diff, `status --check`
└── Interrupted       130         SIGINT or SIGTERM
"""

import errno
import os
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from invoke.exceptions import Exit


@dataclass(frozen=True, slots=True)
class Complaint:
    """One thing that is wrong: `where: what`, and below it, indented, what to do."""

    where: str
    what: str
    to_do: str = ""

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}"
        return "\n".join([head, *(f"    {line}" for line in self.to_do.splitlines())])


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return the names as a complaint lists them: so many at most, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def once(complaints: Iterable[Complaint]) -> list[Complaint]:
    """Return one complaint of each thing, the first, whichever AWS operation found it."""
    kept: dict[tuple[str, str], Complaint] = {}
    for complaint in complaints:
        operation, _, said = complaint.what.partition(": ")
        kept.setdefault((complaint.where, said if operation.isalpha() and said else complaint.what), complaint)
    return list(kept.values())


class DeployError(Exit):
    """What a user may see go wrong: complaints in, message and exit code out; never a traceback."""

    code: ClassVar[int] = 1  # Invoke reads it from the exception

    def __init__(self, *complaints: Complaint) -> None:
        self.complaints = complaints
        super().__init__(message=self.render(), code=type(self).code)

    @classmethod
    def of(cls, where: str, what: str, to_do: str = "") -> "DeployError":
        """The error of one complaint."""
        return cls(Complaint(where, what, to_do))

    def render(self) -> str:
        """The whole text that goes to stderr."""
        return "\n".join(str(complaint) for complaint in self.complaints)

    def reword(self, change: Callable[[str], str]) -> None:
        """Change the words of every complaint, so that they may be shown."""
        self.complaints = tuple(
            Complaint(change(each.where), change(each.what), change(each.to_do)) for each in self.complaints
        )
        self.message = self.render()

    def __str__(self) -> str:
        return self.render()


class Refusal(DeployError):
    """Refused before any change."""

    code = 2


class Invalid(Refusal):
    """A file of envs/, a template or a flag is wrong."""


class NotReady(Refusal):
    """The preflight found something; nothing was changed."""


class NotBuilt(Refusal):
    """No image carries the wanted commit."""


class Locked(Refusal):
    """Somebody else holds the tier's lock."""


class Failure(DeployError):
    """Something failed after the start."""


class BuildFailed(Failure):
    """A builder or a push failed."""


class AwsError(Failure):
    """An AWS call failed. `error_code` is AWS's own, e.g. `AccessDeniedException`."""

    def __init__(self, *complaints: Complaint, error_code: str = "") -> None:
        self.error_code = error_code
        super().__init__(*complaints)


class Unforeseen(AwsError):
    """Something was raised that nobody expected, while a target was worked on."""


class CommandFailed(Failure):
    """A one-off task's command failed: the process ends with its exit code, with 125 where it never started."""

    NEVER_STARTED: ClassVar[int] = 125

    def __init__(self, *complaints: Complaint, exit_code: int = NEVER_STARTED) -> None:
        super().__init__(*complaints)
        self.code = exit_code  # type: ignore[misc]  # the one error whose code varies


class RolloutsFailed(Failure):
    """At least one rollout did not end well. `each` says of every one what went wrong with it."""

    def __init__(self, *complaints: Complaint, each: Sequence[Complaint] = ()) -> None:
        self.each = each or complaints
        super().__init__(*complaints)


class Different(DeployError):
    """Everything could be looked at, and something is not as it should be; nothing was changed."""

    code = 3


class Interrupted(DeployError):
    """The person or the CI engine stopped us."""

    code = 130


def raise_all(error: type[DeployError], complaints: Sequence[Complaint]) -> None:
    """Raise one error with every complaint, if there is any."""
    if complaints:
        raise error(*complaints)


@contextmanager
def contained(where: str) -> Iterator[None]:
    """Let nothing out but DeployErrors: whatever else is raised inside is the trouble of `where` alone.

    Raises:
        Unforeseen: with the type and the place of what was raised.

    """
    try:
        yield
    except Exit:
        raise
    except Exception as error:
        raise Unforeseen(unforeseen(where, error)) from error


def unforeseen(where: str, error: Exception) -> Complaint:
    """Return what is said of an exception that nobody expected: its type, its place, and where its traceback is.

    A file that can't be used is named instead.
    """
    if isinstance(error, OSError) and (error.filename is not None or is_full(error)):
        return unwritable(error)
    last = traceback.extract_tb(error.__traceback__)[-1:]
    at = "".join(f" ({Path(each.filename).name}:{each.lineno}, in {each.name})" for each in last)
    said = " ".join(str(error).split())[:200]
    what = f"unforeseen {type(error).__name__}: {said}".removesuffix(": ") + at
    return Complaint(where, what, _traceback(error))


ROOM = "see that it is there, has room and may be used; for temporary files, TMPDIR names another directory"
"""What to do about a file that can't be written or read."""


def is_full(error: OSError) -> bool:
    """Return whether the disk, or what its user may have of it, is full."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def unwritable(error: OSError) -> Complaint:
    """Return the complaint about a file, above all a temporary one, that cannot be written or read.

    Of a copy that found no room it is the copy that is named.
    """
    file = (error.filename2 if is_full(error) else None) or error.filename or "this machine"
    return Complaint(str(file), error.strerror or str(error), ROOM)


def _traceback(error: Exception) -> str:
    """Return where the whole traceback is written; it is only on demand, since it may show what nobody should see."""
    if os.environ.get("DEPLOYTASKS_DEBUG") != "1":
        return "DEPLOYTASKS_DEBUG=1 writes the whole traceback to a file"
    import tempfile

    try:
        with tempfile.NamedTemporaryFile("w", prefix="deploytasks-", suffix=".traceback", delete=False) as file:
            file.writelines(traceback.format_exception(error))
    except OSError as lost:
        return f"its traceback could not be written: {lost}"
    return f"its traceback is in {file.name}"
