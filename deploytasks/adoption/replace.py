"""Change the files of a copy so that an end at any point loses nothing, and the next `upgrade` goes on from there.

All that is new is written into a folder beside the copy first, its list of changes last. From then on files are only
renamed into their places and removed, the stamp last; what is still in the folder is what is left to do.
"""

import json
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from deploytasks.adoption import stamp
from deploytasks.adoption.merge import BESIDE, Change
from deploytasks.adoption.staging import discard, stage

_FOLDER = ".deploytasks-upgrade"
_LIST, _DRAFT, _FILES, _STAMP = "changes.json", "draft", "files", "stamp.json"


@dataclass(frozen=True, slots=True)
class Upgrade:
    """An upgrade that is prepared: the version that it brings, and what changes."""

    version: str
    changes: tuple[Change, ...]


def prepare(copy: Path, new: stamp.Stamp, changes: Sequence[Change]) -> Upgrade:
    """Write what is to be put into the copy beside it; nothing of the copy is touched."""
    files = {f"{_FILES}/{each.path}": each.content for each in changes if each.content is not None}
    listed = [{"path": each.path, "kind": each.kind, "was": each.was} for each in changes]
    document = json.dumps({"version": new.version, "changes": listed})
    stage(_beside(copy), {**files, _STAMP: new.text().encode(), _DRAFT: document.encode()})
    (_beside(copy) / _DRAFT).replace(_beside(copy) / _LIST)
    return Upgrade(new.version, tuple(changes))


def prepared(copy: Path) -> Upgrade | None:
    """Return the upgrade that was prepared and has not ended; None if there is none.

    A list that a power cut spoilt is none, too: what is done already is seen from the files.
    """
    try:
        document = json.loads((_beside(copy) / _LIST).read_text("utf-8"))
        return Upgrade(document["version"], tuple(Change(**each, content=None) for each in document["changes"]))
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError, KeyError):
        return None


def carry_out(copy: Path, upgrade: Upgrade) -> list[Change]:
    """Put the prepared files into the copy, and return the changes as they were made.

    A file that somebody changed since it was looked at stays, and the new one is put beside it.
    """
    made = [_change(copy, each) for each in sorted(upgrade.changes, key=_turn)]
    with suppress(FileNotFoundError):
        (_beside(copy) / _STAMP).replace(copy / stamp.NAME)
    discard_prepared(copy)
    return made


def _turn(change: Change) -> tuple[bool, bool, str]:
    """Order changes so that a new file is there before others import it, and one that goes is the last to."""
    return change.kind == "removed", change.kind != "added", change.path


def _change(copy: Path, change: Change) -> Change:
    staged, target = _beside(copy) / _FILES / change.path, copy / change.path
    untouched = _digest(target) == change.was
    if change.kind == "removed" and untouched:
        target.unlink(missing_ok=True)
        _prune(target.parent, copy)
    elif change.kind == "removed" and target.exists():
        return replace(change, kind="orphaned")
    elif staged.exists():
        beside = change.kind in BESIDE or not untouched
        _put(staged, target.with_name(target.name + stamp.UNMERGED) if beside else target)
        return replace(change, kind="clashing") if beside and change.kind not in BESIDE else change
    return change


def _put(staged: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.exists():
        shutil.copymode(target, staged)
    staged.replace(target)


def _prune(folder: Path, copy: Path) -> None:
    """Remove the folder if nothing but bytecode is left in it, and so its parents, up to the copy's own."""
    for each in [folder, *folder.parents]:
        if each == copy or any(path.name != "__pycache__" for path in each.iterdir()):
            return
        shutil.rmtree(each)


def _digest(file: Path) -> str | None:
    return stamp.digest(file.read_bytes()) if file.exists() else None


def _beside(copy: Path) -> Path:
    return copy.parent / _FOLDER


def discard_prepared(copy: Path) -> None:
    """Remove what was prepared, or is left of it."""
    discard(_beside(copy))
