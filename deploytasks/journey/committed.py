"""Which files `envs/` and `templates/` hold, and how each stands to what git has committed. Git is only read.

Each folder is asked of in the repository that it lies in: it may be a symbolic link, or a submodule. Contents are
compared, not times or the index, so that a file that git was told to overlook is seen.
"""

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploytasks import git
from deploytasks.errors import Invalid
from deploytasks.journey.config import FOLDERS, Config, File, State, looked_at

_LINK, _SUBMODULE = "120000", "160000"


@dataclass(frozen=True, slots=True)
class Found:
    """A file on the disk: what it is called, where it lies in its folder, and where that leads if it is a link."""

    name: str
    path: Path
    real: Path


@dataclass(frozen=True, slots=True)
class Repository:
    """One repository with those of the two folders that lie in it; `held` is what HEAD holds: path → mode and id."""

    top: Path
    folders: Mapping[str, Path]
    held: Mapping[str, tuple[str, str]]
    commit: str


def config_of(root: Path) -> Config:
    """Return the config of the project at the root, as it lies there now; its `why` says what git could not tell."""
    folders = {name: (root / name).resolve() for name in FOLDERS if (root / name).is_dir()}
    found = [each for name, folder in folders.items() for each in _files(name, folder)]
    try:
        repositories = _repositories(folders, found)
        files = {name: file for one in repositories for name, file in _compared(one, found).items()}
    except Invalid as error:
        files = {each.name: _file(each, "not committed") for each in found}
        return Config(files, why=error.complaints[0].what)
    places = tuple(next(iter(one.folders.values())) for one in repositories)
    return Config(files, tuple(one.commit for one in repositories), places)


def _repositories(folders: Mapping[str, Path], found: Sequence[Found]) -> list[Repository]:
    """Raises: Invalid where a folder lies in none, or nothing of it was ever committed."""
    inside: dict[Path, dict[str, Path]] = {}
    for name, folder in folders.items():
        inside.setdefault(_top(folder), {})[name] = folder
    return [_repository(top, own, found) for top, own in inside.items()]


def _repository(top: Path, folders: Mapping[str, Path], found: Sequence[Found]) -> Repository:
    own = [each.real for each in found if each.name.partition("/")[0] in folders]
    linked = [real for real in own if _is_in(real, top) and not any(_is_in(real, one) for one in folders.values())]
    paths = [*folders.values(), *linked]
    commit = git.last_commit(paths)
    if not commit:
        raise Invalid.of("git", f"nothing in {', '.join(folders)} was ever committed")
    return Repository(top, folders, git.entries(paths), commit)


def _files(name: str, folder: Path) -> Iterator[Found]:
    """Every file of the folder, links followed; a link that leads round in a circle is followed once."""
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
    """Each file of the repository's folders with how it stands, deleted ones too."""
    own = [each for each in found if each.name.partition("/")[0] in repository.folders]
    wanted = {each.name: _wanted(repository, each) for each in own}
    files = {each.name: _file(each, "not committed", wanted[each.name]) for each in own}
    differing = [each for each in own if wanted[each.name] not in ("", files[each.name].id) and "\n" not in each.name]
    filtered = git.object_ids(repository.top, [each.real for each in differing])
    for each, actual in zip(differing, filtered, strict=False):
        if actual == wanted[each.name]:  # it differs by its line ends, or by a filter of git's
            files[each.name] = _file(each, "committed", actual, known=actual)
    return files | dict(_deleted(repository, files))


def _file(found: Found, otherwise: State, wanted: str = "", known: str = "") -> File:
    seen, kind = looked_at(found.real), "sha256" if len(wanted) == 64 else "sha1"
    actual = known or _id(found.real.read_bytes(), kind)
    state: State = otherwise if not wanted else "committed" if actual == wanted else "changed"
    return File(found.real, actual, state, seen)


def _wanted(repository: Repository, found: Found) -> str:
    """The id that the file has in the commit; "" where it is not committed, or is reached by a link that is not."""
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
    """The work tree that the place lies in.

    Raises:
        Invalid: it lies in none.

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
