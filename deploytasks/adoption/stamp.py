"""The stamp of a vendored copy, `vendored.json`: the version it was made of, and a hash of each of its files.

Only a copy has one: neither the wheel nor the sdist does. Line ends (git's autocrlf) and file modes do not count.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from deploytasks.errors import Refusal

NAME = "vendored.json"
UNMERGED = ".new"
"""How a file's name ends that `upgrade` could not merge into the one beside it."""
_ABOUT = "Written by `python -m deploytasks`: what this copy was made of. Commit it, and change nothing in it."
_FORMAT = 1
_UNREADABLE = "restore it from git; after a merge, take the whole file of the side whose copy you kept"


@dataclass(frozen=True, slots=True)
class Changes:
    """How a copy differs from what it was made of: paths below its folder."""

    edited: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Stamp:
    """The version, the hash of each file by its path, and the packages that the version requires, as pip takes them."""

    version: str
    files: Mapping[str, str]
    requires: tuple[str, ...] = ()

    def text(self) -> str:
        """Return the content of the stamp's file."""
        document = {"about": _ABOUT, "format": _FORMAT, "version": self.version, "requires": self.requires}
        return json.dumps({**document, "files": dict(sorted(self.files.items()))}, indent=1) + "\n"

    def changes(self, files: Mapping[str, bytes]) -> Changes:
        """Return how these files differ from those that the copy was made of."""
        common = self.files.keys() & files.keys()
        edited = [path for path in common if digest(files[path]) != self.files[path]]
        added, missing = files.keys() - common, self.files.keys() - common
        return Changes(tuple(sorted(edited)), tuple(sorted(added)), tuple(sorted(missing)))


def digest(content: bytes) -> str:
    """Return the hash of a file's content, whatever its line ends."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def tree(folder: Path) -> dict[str, bytes]:
    """Return the content of each file of a copy by its path, without the stamp, bytecode, hidden and unmerged files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and belongs(path.relative_to(folder))
    }


def belongs(path: PurePath) -> bool:
    """Return whether a file at this path, below the copy's folder, is part of the copy."""
    generated = path.suffix in (".pyc", UNMERGED) or "__pycache__" in path.parts or path == PurePath(NAME)
    return not generated and not any(part.startswith(".") for part in path.parts)


def unmerged(folder: Path) -> list[str]:
    """Return the files that an upgrade could not merge, and nobody has yet: paths below the folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob(f"*{UNMERGED}"))


def read(folder: Path) -> Stamp | None:
    """Return the stamp of the copy in the folder; None if it has none.

    Raises: Refusal if it can't be read, or a later version of this package wrote it.
    """
    file = folder / NAME
    try:
        document = json.loads(file.read_text("utf-8"))
        return _of(document)
    except FileNotFoundError:
        return None
    except _Later as error:
        what = f"format {error}, written by a later version"
        raise Refusal.of(str(file), what, "install that one, and use it: deploytasks upgrade") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refusal.of(str(file), f"this stamp can't be read: {error}", _UNREADABLE) from None


class _Later(Exception):
    """A format that this version does not know."""


def _of(document: Any) -> Stamp:
    if document["format"] > _FORMAT:
        raise _Later(document["format"])
    stamp = Stamp(document["version"], dict(document["files"]), tuple(document["requires"]))
    if not all(isinstance(each, str) for each in (stamp.version, *stamp.files.values(), *stamp.requires)):
        raise TypeError("a value in it is not a text")
    return stamp
