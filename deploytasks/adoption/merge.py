"""What an upgrade does to each file of a copy: decided from what it was made of, what it is, and what it will be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from deploytasks.adoption.stamp import UNMERGED, Stamp, digest

Kind = Literal["added", "replaced", "merged", "removed", "clashing", "absent", "taken", "orphaned"]


@dataclass(frozen=True, slots=True)
class Row:
    """What a person must decide after a change of a kind: what is wrong, and what is left to do."""

    what: str
    to_do: str


_MERGE = f"merge {{path}}{UNMERGED} into it, and delete that file"
LEFT: Mapping[Kind, Row] = {
    "clashing": Row("edited here, changed in {version}: it stays as it is", _MERGE),
    "taken": Row("added here, and another one in {version}: it stays as it is", _MERGE),
    "absent": Row("deleted here, changed in {version}: it stays so", f"delete {{path}}{UNMERGED} too, or rename it"),
    "orphaned": Row("edited here, gone in {version}: it stays as it is", "move the edit to where the code went"),
}
"""The kinds of change that leave something to do; the file of the copy stays in each."""
BESIDE = ("clashing", "taken", "absent")
"""The kinds that put the new file beside the one that stays."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one file: its new content, if any, and the hash of what it replaces, if anything."""

    path: str
    kind: Kind
    content: bytes | None
    was: str | None


Merge = Callable[[str, bytes, bytes], bytes | None]
"""Merge a path's content here with the new one, over that of the stamp; None if they clash or that is not at hand."""


def plan(stamp: Stamp, mine: Mapping[str, bytes], new: Mapping[str, bytes], merge: Merge) -> list[Change]:
    """Return what changes in a copy of these files so that it has the new ones, and keeps what was edited."""
    changes = [
        _decide(path, stamp.files.get(path), mine.get(path), new.get(path), merge)
        for path in sorted({*stamp.files, *mine, *new})
    ]
    return [change for change in changes if change]


def _decide(path: str, base: str | None, mine: bytes | None, new: bytes | None, merge: Merge) -> Change | None:
    was = None if mine is None else digest(mine)
    wanted = None if new is None else digest(new)
    match mine, new:
        case _ if wanted in (was, base):  # there already, or changed by nobody but the user
            return None
        case None, bytes():
            return Change(path, "absent" if base else "added", new, was)
        case bytes(), None:
            return Change(path, "removed" if was == base else "orphaned", None, was)
        case bytes(), bytes():
            return _both(Change(path, "replaced" if was == base else "taken", new, was), base, mine, merge)
    return None


def _both(change: Change, base: str | None, mine: bytes, merge: Merge) -> Change:
    """Return the change of a file that is on both sides, with the line ends that it has here."""
    new, kind = change.content or b"", change.kind
    if base and kind != "replaced":
        merged = merge(change.path, _lf(mine), new)
        kind, new = ("clashing", new) if merged is None else ("merged", merged)
    return Change(change.path, kind, new.replace(b"\n", b"\r\n") if b"\r\n" in mine else new, change.was)


def _lf(content: bytes) -> bytes:
    return content.replace(b"\r\n", b"\n")
