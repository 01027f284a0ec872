"""The version of `envs/` and `templates/`, named by commit and contents: `<commit>.<hash>`, plus `-dirty`.

The commit is the last one that touches the two folders, the hash covers their files, and `-dirty` marks a config that
was rendered from a file that differs from that commit.
"""

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from msgspec import Struct

from deploytasks import git
from deploytasks.errors import Invalid
from deploytasks.git import Relation
from deploytasks.model import Named, Target
from deploytasks.template.render import Renderer

FOLDERS = ("envs", "templates")
State = Literal["committed", "changed", "deleted", "not committed"]
_WORST_FIRST: tuple[Relation, ...] = ("unknown", "diverged", "older", "newer", "same")


class File(Struct, frozen=True):
    """One file of the two folders: the object id that git gives or would give it, and its state against the commit."""

    path: Path
    id: str
    state: State
    seen: tuple[int, ...] = ()
    """Its mtime, size and inode when it was read: see `looked_at`."""


class Config(Struct, frozen=True):
    """Both folders as they are on disk.

    `files` maps a name such as `envs/mb.toml` to the file. `places` are one folder of each repository, `commits` the
    commits of these repositories in the same order; without git `commits` is empty, and `why` says why.
    """

    files: Mapping[str, File]
    commits: tuple[str, ...] = ()
    places: tuple[Path, ...] = ()
    why: str = ""

    def dirty(self, read: Collection[str]) -> dict[str, State]:
        """Return the states of the files read that differ from the commit."""
        states = {name: _state(file) for name, file in sorted(self.files.items()) if name in read}
        return {name: state for name, state in states.items() if state != "committed"}

    def named(self, read: Collection[str]) -> Named:
        """Return the name of the config, given which of its files were read.

        Files that are neither committed nor read, such as an editor's backup, do not count.
        """
        digest = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            if file.state in ("committed", "changed") or (file.state == "not committed" and name in read):
                digest.update(f"{name}\0{file.id}\0".encode(errors="surrogateescape"))
        return Named(self.commits, digest.hexdigest()[:12], dirty=not self.commits or bool(self.dirty(read)))

    def relation(self, recorded: Named) -> Relation:
        """Return how this config relates to the recorded one. A commit that HEAD contains is never newer."""
        if not recorded.commits:
            return "same"
        if len(recorded.commits) != len(self.commits):
            return "unknown"
        pairs = zip(self.places, self.commits, recorded.commits, strict=True)
        found = {_relation(place, ours, theirs) for place, ours, theirs in pairs}
        return next(relation for relation in _WORST_FIRST if relation in found)


def read_for(targets: Iterable[Target], renderer: Renderer) -> frozenset[str]:
    """Return the names of the files read for the targets: the project's, their tenants', and the templates."""
    tenants = (f"envs/{target.environment.tenant}.toml" for target in targets)
    return frozenset({"envs/project.toml", *tenants, *(f"templates/{name}" for name in renderer.read)})


def looked_at(path: Path) -> tuple[int, ...]:
    """Return mtime, size and inode, which change when the file is written; empty if it can't be read."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _state(file: File) -> State:
    """Return the file's state; a committed file that was written during the command is "changed"."""
    return "changed" if file.state == "committed" and looked_at(file.path) != file.seen else file.state


def _relation(place: Path, ours: str, theirs: str) -> Relation:
    relation = git.relation(place, ours, theirs)
    if relation in ("older", "diverged") and git.relation(place, git.head_commit(place), theirs) in ("same", "newer"):
        return "newer"
    return relation


_LINK, _SUBMODULE = "120000", "160000"


class Found(Struct, frozen=True):
    """A file on disk: its name, its path in the folder, and that path with links resolved."""

    name: str
    path: Path
    real: Path


class Repository(Struct, frozen=True):
    """One repository and those of the two folders that are in it; `held` is what HEAD contains: path → mode and id."""

    top: Path
    folders: Mapping[str, Path]
    held: Mapping[str, tuple[str, str]]
    commit: str


def config_of(root: Path) -> Config:
    """Return the config of the project at the root as it is on disk; without git, its `why` says why."""
    folders = {name: (root / name).resolve() for name in FOLDERS if (root / name).is_dir()}
    found = [each for name, folder in folders.items() for each in _files(name, folder)]
    try:
        inside: dict[Path, dict[str, Path]] = {}
        for name, folder in folders.items():
            inside.setdefault(_top(folder), {})[name] = folder
        repositories = [_repository(top, own, found) for top, own in inside.items()]
        files = {name: file for one in repositories for name, file in _compared(one, found).items()}
    except Invalid as error:
        files = {each.name: _file(each, "not committed") for each in found}
        return Config(files, why=error.complaints[0].what)
    places = tuple(next(iter(one.folders.values())) for one in repositories)
    return Config(files, tuple(one.commit for one in repositories), places)


def _repository(top: Path, folders: Mapping[str, Path], found: Sequence[Found]) -> Repository:
    own = [each.real for each in found if each.name.partition("/")[0] in folders]
    linked = [real for real in own if _is_in(real, top) and not any(_is_in(real, one) for one in folders.values())]
    paths = [*folders.values(), *linked]
    commit = git.last_commit(paths)
    if not commit:
        raise Invalid.of("git", f"nothing in {', '.join(folders)} was ever committed")
    return Repository(top, folders, git.entries(paths), commit)


def _files(name: str, folder: Path) -> Iterator[Found]:
    """Yield every file of the folder, following links; a circular link is followed once."""
    seen: set[str] = set()
    for at, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(at)
        inner[:] = [each for each in inner if each != ".git" and real not in seen]
        for file in sorted(files) if real not in seen else ():
            path = Path(at, file)
            if file != ".git" and path.is_file():
                yield Found(f"{name}/{path.relative_to(folder).as_posix()}", path, path.resolve())
        seen.add(real)


def _compared(repository: Repository, found: Sequence[Found]) -> dict[str, File]:
    """Return each file of the repository's folders by name, including deleted ones."""
    own = [each for each in found if each.name.partition("/")[0] in repository.folders]
    wanted = {each.name: _wanted(repository, each) for each in own}
    files = {each.name: _file(each, "not committed", wanted[each.name]) for each in own}
    differing = [each for each in own if wanted[each.name] not in ("", files[each.name].id) and "\n" not in each.name]
    filtered = git.object_ids(repository.top, [each.real for each in differing])
    for each, actual in zip(differing, filtered, strict=False):
        if actual == wanted[each.name]:  # only line endings or a git filter made it differ
            files[each.name] = _file(each, "committed", actual, known=actual)
    return files | dict(_deleted(repository, files))


def _file(found: Found, otherwise: State, wanted: str = "", known: str = "") -> File:
    seen, kind = looked_at(found.real), "sha256" if len(wanted) == 64 else "sha1"
    actual = known or _id(found.real.read_bytes(), kind)
    state: State = otherwise if not wanted else "committed" if actual == wanted else "changed"
    return File(found.real, actual, state, seen)


def _wanted(repository: Repository, found: Found) -> str:
    """Return the file's id in the commit; "" if it, or a link on the way to it, is not committed."""
    folder = repository.folders[found.name.partition("/")[0]]
    between = [*reversed(found.path.relative_to(folder).parents), found.path.relative_to(folder)]
    link = next((folder / each for each in between if (folder / each).is_symlink()), None)
    if link is not None and not _is_committed(repository, link):
        return ""
    top = _top(found.real)
    if top == repository.top:
        return _held(repository.held, found.real, top)
    submodule = repository.held.get(_inside(top, repository.top)) if _is_in(top, repository.top) else None
    if submodule != (_SUBMODULE, git.head_commit(top)):
        return ""
    return _held(git.entries([found.real]), found.real, top)


def _is_committed(repository: Repository, link: Path) -> bool:
    mode, wanted = repository.held.get(_inside(link, repository.top), ("", ""))
    kind = "sha256" if len(wanted) == 64 else "sha1"
    return mode == _LINK and _id(os.fsencode(link.readlink()), kind) == wanted


def _held(held: Mapping[str, tuple[str, str]], path: Path, top: Path) -> str:
    mode, wanted = held.get(_inside(path, top), ("", ""))
    return "" if mode in (_LINK, _SUBMODULE) else wanted


def _deleted(repository: Repository, files: Mapping[str, File]) -> Iterator[tuple[str, File]]:
    for path, (mode, wanted) in repository.held.items():
        whole = repository.top / path
        for name, folder in repository.folders.items():
            called = f"{name}/{_inside(whole, folder)}"
            if _is_in(whole, folder) and called not in files and mode != _SUBMODULE and not whole.is_dir():
                yield called, File(whole, wanted, "deleted")


def _top(place: Path) -> Path:
    """Return the top of the work tree that contains the place.

    Raises:
        Invalid: no work tree contains it.

    """
    for each in (place, *place.parents):
        if (each / ".git").exists():
            return each
    raise Invalid.of("git", f"{place} is not in a git repository")


def _is_in(path: Path, folder: Path) -> bool:
    return path == folder or folder in path.parents


def _inside(path: Path, folder: Path) -> str:
    return os.path.relpath(path, folder).replace(os.sep, "/")


def _id(data: bytes, kind: str) -> str:
    return hashlib.new(kind, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
