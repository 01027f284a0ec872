"""Every file of a commit by its path below the repository's top, submodules opened where they are needed."""

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass

from deploytasks.errors import Complaint, Invalid
from deploytasks.source.stores import Store

_LINK, _SUBMODULE = "120000", "160000"
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, link or submodule of a commit; `id` names its object in the store."""

    path: str
    mode: str
    id: str
    store: Store

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return self.mode == _LINK

    @property
    def is_submodule(self) -> bool:
        """Whether it is a submodule that was not opened."""
        return self.mode == _SUBMODULE


class Outside(ValueError):
    """A path that leaves the repository."""


class Listing:
    """The files of one commit; a submodule is one entry until it is opened."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.files: dict[str, Entry] = {}
        self.directories: set[str] = {""}
        self._add(store)

    def text(self, path: str) -> str:
        """The content of a file, or where a link leads."""
        entry = self.files[path]
        return entry.store.ask("cat-file", "blob", entry.id)

    def below(self, directory: str) -> Iterator[Entry]:
        """The entries below a directory, itself included."""
        beginning = f"{directory}/" if directory else ""
        return (entry for path, entry in self.files.items() if path == directory or path.startswith(beginning))

    def open(self, entry: Entry) -> Complaint | None:
        """The files of a submodule take its entry's place; a complaint where they are not on this machine."""
        found = entry.store.submodule(entry.path, entry.id)
        if found is None:
            return _not_here(entry)
        del self.files[entry.path]
        self.directories.add(entry.path)
        self._add(found)
        return None

    def follow(self, path: str) -> str:
        """Where a path leads once every link in it is followed; submodules on the way are opened.

        Raises: Outside where that is out of the repository, Invalid where a submodule on the way is not here.
        """
        return self._follow(path, 0)

    def _follow(self, path: str, links: int) -> str:
        path = normal(path)
        real, parts = "", path.split("/") if path else []
        for number, part in enumerate(parts):
            real = posixpath.join(real, part)
            entry = self.files.get(real)
            if entry is None:
                continue
            if entry.is_submodule:
                complaint = self.open(entry)
                if complaint:
                    raise Invalid(complaint)
            elif entry.is_link and links < _MOST_LINKS:
                target = self.text(real)
                if target.startswith("/"):
                    raise Outside(real)
                onwards = posixpath.join(posixpath.dirname(real), target, *parts[number + 1 :])
                return self._follow(onwards, links + 1)
        return real

    def _add(self, store: Store) -> None:
        for line in store.ask("ls-tree", "-r", "-z", "--full-tree", store.tree).split("\0"):
            if not line:
                continue
            about, _, name = line.partition("\t")
            mode, _, identity = about.split(" ")
            path = posixpath.join(store.at, name)
            self.files[path] = Entry(path, mode, identity, store)
            while (path := posixpath.dirname(path)) not in self.directories:
                self.directories.add(path)


def normal(path: str) -> str:
    """The path below the top without `.` and `..`; "" is the top. Raises: Outside where it leaves the repository."""
    found = posixpath.normpath(path)
    if found == ".." or found.startswith(("../", "/")):
        raise Outside(path)
    return "" if found == "." else found


def _not_here(entry: Entry) -> Complaint:
    store, what = entry.store, f"the submodule's commit {entry.id[:12]} is not on this machine"
    outermost = store.at or entry.path
    advice = f"git submodule update --init --recursive -- {outermost}"
    if (store.work / store.inside(entry.path) / ".git").exists():
        advice += f"\nor, where it is not the commit that is checked out: git -C {entry.path} fetch origin {entry.id}"
    return Complaint(entry.path, what, advice)
