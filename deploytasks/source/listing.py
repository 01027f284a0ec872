"""List the files of a commit and of its submodules, from the repositories that keep their objects."""

import posixpath
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from deploytasks import git
from deploytasks.errors import Complaint, Invalid


@dataclass(frozen=True, slots=True)
class Store:
    """One repository, and the wanted tree of it, which is `at` a path below the top ("" for the top's own).

    `work` is its working tree, where a submodule that was checked out the old way keeps its objects.
    """

    git_dir: Path
    work: Path
    tree: str
    at: str = ""
    environment: Mapping[str, str] = field(default_factory=dict, hash=False)

    def ask(self, *arguments: str, given: str = "", **extra: str) -> str:
        """Return git's output for this repository; fetch nothing. Raises: Invalid with git's own words."""
        place = {**self.environment, "GIT_DIR": str(self.git_dir), "GIT_NO_LAZY_FETCH": "1", **extra}
        whole = ("-c", "core.sparseCheckout=false", "-c", "index.sparse=false")
        return git.ask(self.git_dir, *whole, *arguments, extra=place, given=given)

    def ask_about(self, paths: Iterable[str], *arguments: str) -> str:
        """Return git's output about paths below the top, which it reads from stdin, with the tree in its index.

        The index is a temporary one: nothing in the repository changes.
        """
        names = "".join(f"{self.inside(path)}\0" for path in paths)
        with tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch:
            place = {"GIT_INDEX_FILE": str(Path(scratch, "index")), "GIT_WORK_TREE": scratch}
            self.ask("read-tree", self.tree, **place)
            return self.ask(*arguments, given=names, **place)

    def configured(self, *arguments: str) -> str:
        """Return what `git config` answers; "" if there is no such setting, or no such file."""
        try:
            return self.ask("config", *arguments)
        except Invalid:
            return ""

    def inside(self, path: str) -> str:
        """Return a path below the top as a path in this repository."""
        return path[len(self.at) + 1 :] if self.at else path

    def path(self, name: str) -> Path:
        """Return the path of a file or directory in `.git`, shared by all worktrees."""
        common = self.git_dir / self.ask("rev-parse", "--git-common-dir")
        return common.resolve() / name

    def small_blobs(self, names: Iterable[str], most_bytes: int) -> dict[str, str]:
        """Return object → content, for those objects that are no larger than `most_bytes`."""
        asked = "".join(f"{name}\n" for name in dict.fromkeys(names))
        sizes = [line.split() for line in self.ask("cat-file", "--batch-check", given=asked).splitlines()]
        small = [name for name, _, size in sizes if size.isdecimal() and int(size) <= most_bytes]
        said = git.to_bytes(self.ask("cat-file", "--batch", given="".join(f"{name}\n" for name in small)))
        found: dict[str, str] = {}
        for name in small:
            header, _, said = said.partition(b"\n")
            size = int(header.split()[2])
            found[name], said = git.to_text(said[:size]), said[size + 1 :]
        return found

    def missing(self, names: Iterable[str]) -> set[str]:
        """Return which of the objects a partial clone did not fetch."""
        if not self.configured("--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"):
            return set()
        listed = self.ask("rev-list", "--objects", "--no-object-names", "--missing=print", f"{self.tree}^{{tree}}")
        return {line[1:] for line in listed.splitlines() if line.startswith("?")} & set(names)

    def submodule(self, path: str, commit: str) -> "Store | None":
        """Return the submodule at a path below the top; None if its commit is not on this machine."""
        for git_dir, work in self._places(self.inside(path)):
            if git_dir.is_dir():
                found = Store(git_dir.resolve(), work, commit, path)
                if found.has(commit):
                    return found
        return None

    def has(self, commit: str) -> bool:
        """Return whether the commit, and its tree, are in the store."""
        try:
            self.ask("cat-file", "-e", f"{commit}^{{tree}}")
        except Invalid:
            return False
        return True

    def _places(self, path: str) -> Iterator[tuple[Path, Path]]:
        """Yield where a submodule's `.git` may be: with the repository's own, or in its working tree."""
        work = self.work / path
        for name in self._names(path):
            if ".." not in Path(name).parts and not Path(name).is_absolute():
                yield self.path("modules") / name, work
                yield self.git_dir / "modules" / name, work
        if not any((self.work / parent).is_symlink() for parent in _with_parents(path)):
            yield work / ".git", work

    def _names(self, path: str) -> Iterator[str]:
        """Yield the submodule's names, from the commit's own `.gitmodules`."""
        asked = ("--blob", f"{self.tree}:.gitmodules", "-z", "--get-regexp", r"^submodule\..*\.path$")
        for entry in self.configured(*asked).split("\0"):
            key, _, value = entry.partition("\n")
            if posixpath.normpath(value) == path:
                yield key.removeprefix("submodule.").removesuffix(".path")


def of_commit(root: Path, tree: str, environment: Mapping[str, str] | None = None) -> Store:
    """Return the repository that contains `root`, with a commit or tree of it."""
    top = Path(git.ask(root, "rev-parse", "--show-toplevel"))
    git_dir = Path(git.ask(root, "rev-parse", "--absolute-git-dir"))
    return Store(git_dir, top, tree, environment=environment or {})


def grouped(paths: Iterable[tuple[Store, str]]) -> dict[Store, list[str]]:
    """Return store → its paths, in the order given."""
    groups: dict[Store, list[str]] = {}
    for store, path in paths:
        groups.setdefault(store, []).append(path)
    return groups


def _with_parents(path: str) -> Iterator[str]:
    while path:
        yield path
        path = posixpath.dirname(path)


_LINK, _SUBMODULE = "120000", "160000"
_MOST_LINKS = 40


class Entry(Struct, frozen=True):
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
        """Whether it is an unopened submodule."""
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
        """Return the content of a file, or the target of a link."""
        entry = self.files[path]
        return entry.store.ask("cat-file", "blob", entry.id)

    def below(self, directory: str) -> Iterator[Entry]:
        """Yield the entries below a directory, itself included."""
        beginning = f"{directory}/" if directory else ""
        return (entry for path, entry in self.files.items() if path == directory or path.startswith(beginning))

    def open(self, entry: Entry) -> Complaint | None:
        """Replace a submodule's entry with its files, or return a complaint if they are not on this machine."""
        found = entry.store.submodule(entry.path, entry.id)
        if found is None:
            advice = f"git submodule update --init --recursive -- {entry.store.at or entry.path}"
            if (entry.store.work / entry.store.inside(entry.path) / ".git").exists():
                fetch = f"git -C {entry.path} fetch origin {entry.id}"
                advice += f"\nor, where it is not the commit that is checked out: {fetch}"
            return Complaint(entry.path, f"the submodule's commit {entry.id[:12]} is not on this machine", advice)
        del self.files[entry.path]
        self.directories.add(entry.path)
        self._add(found)
        return None

    def follow(self, path: str) -> str:
        """Return the path that a path leads to once every link in it is followed; open submodules on the way.

        Raises: Outside if that is out of the repository, Invalid if a submodule on the way is not on this machine.
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
    """Return the path below the top without `.` and `..`; "" is the top.

    Raises: Outside if it leaves the repository.
    """
    found = posixpath.normpath(path)
    if found == ".." or found.startswith(("../", "/")):
        raise Outside(path)
    return "" if found == "." else found
