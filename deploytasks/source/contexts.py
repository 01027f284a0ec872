"""Find an image's build context in a commit, or report everything that this clone lacks of it; write its files."""

import difflib
import os
import posixpath
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from deploytasks import dockerignore, git
from deploytasks.dockerignore import Matcher
from deploytasks.errors import Complaint, Invalid, listed, raise_all
from deploytasks.model import Image
from deploytasks.source import lfs
from deploytasks.source.lfs import Pointer
from deploytasks.source.listing import Entry, Listing, Outside, Store, grouped, normal


class Place(Struct, frozen=True):
    """The place of a context: `directory` and `dockerfile` are paths below the repository's top."""

    directory: str
    dockerfile: str
    matcher: Matcher

    @property
    def own(self) -> tuple[str, ...]:
        """Return the paths of the Dockerfile and of its ignore files, which need not exist."""
        return tuple(filter(None, (self.dockerfile, *ignore_files(self.directory, self.dockerfile))))

    def has(self, path: str) -> bool:
        """Return whether a path below the top is the Dockerfile, one of its ignore files, or visible to the image."""
        if path in self.own:
            return True
        relative = below(path, self.directory)
        return relative is not None and not (relative and self.matcher.ignores(relative))


class BuildContext(Struct, frozen=True):
    """The files of a context; `pointers` are the LFS files among them, `directories` include empty ones.

    `recipe` is the Dockerfile's text.
    """

    place: Place
    recipe: str
    files: tuple[Entry, ...]
    directories: tuple[str, ...]
    pointers: dict[str, Pointer]


def locate(root: Path, image: Image, store: Store) -> Place:
    """Return where the image's context is in the store's commit; its Dockerfile need not exist.

    Raises: Invalid if the context does not exist, or leads out of the repository.
    """
    listing = Listing(store)
    directory = _directory(listing, image, root)
    with suppress(Invalid):
        return _located(listing, root, image)
    return Place(directory, "", _matcher(listing, directory, ""))


def check(root: Path, image: Image, store: Store) -> None:
    """Raise Invalid if the image's context, its Dockerfile or its `.dockerignore` is wrong in the commit."""
    _located(Listing(store), root, image)


def find(root: Path, image: Image, store: Store) -> BuildContext:
    """Return the image's context in the store's commit.

    Raises: Invalid with everything in it that is wrong, or that is not on this machine.
    """
    listing = Listing(store)
    place = _located(listing, root, image)
    raise_all(Invalid, list(_opened(listing, place)))
    real = listing.follow(place.dockerfile)
    wanted = {*ignore_files(place.directory, place.dockerfile), place.dockerfile, real}
    wanted |= {entry.path for entry in listing.below(place.directory) if place.has(entry.path)}
    files = tuple(entry for path, entry in listing.files.items() if path in wanted)
    pointers = lfs.pointers(files)
    raise_all(Invalid, [*_unfetched(files), *lfs.complaints(files, pointers), *lfs.locked(files)])
    directories = (each for each in listing.directories if below(each, place.directory) and place.has(each))
    return BuildContext(place, listing.text(real), files, tuple(sorted(directories)), pointers)


def _located(listing: Listing, root: Path, image: Image) -> Place:
    directory = _directory(listing, image, root)
    dockerfile = _dockerfile(listing, image, posixpath.join(directory, image.dockerfile))
    return Place(directory, dockerfile, _matcher(listing, directory, dockerfile))


def below(path: str, directory: str) -> str | None:
    """Return the path relative to a directory, "" for the directory itself; None if the path is outside it."""
    if not directory or path == directory:
        return "" if path == directory else path
    return path.removeprefix(f"{directory}/") if path.startswith(f"{directory}/") else None


def _directory(listing: Listing, image: Image, root: Path) -> str:
    """Return the context's path below the repository's top; envs/ gives it relative to the root."""
    where = f"images.{image.name}.context"
    path = posixpath.join(git.ask(root, "rev-parse", "--show-prefix"), image.context)
    if posixpath.isabs(image.context):
        path = posixpath.relpath(image.context, listing.store.work.as_posix())
    try:
        found = listing.follow(path)
    except Outside:
        advice = "it is relative to the directory of tasks.py; an image is made from files of its commit"
        raise Invalid.of(where, f"{image.context!r} leads out of the repository", advice) from None
    if found not in listing.directories:
        what = f"there is no directory {normal(path)} in {shown(listing.store)}"
        raise Invalid.of(where, what, _nearest(path, listing.directories, "commit it, or fix the key"))
    return found


def _dockerfile(listing: Listing, image: Image, path: str) -> str:
    """Return the Dockerfile's path: links in its directory are followed, the Dockerfile itself is not."""
    where = f"images.{image.name}.dockerfile"
    try:
        directory, name = posixpath.split(normal(path))
        found = posixpath.join(listing.follow(directory), name)
        is_file = listing.follow(found) in listing.files
    except Outside:
        raise Invalid.of(where, f"{image.dockerfile!r} leads out of the repository", "move it in") from None
    if not is_file:
        what = f"there is no file {normal(path)} in {shown(listing.store)}"
        raise Invalid.of(where, what, _nearest(path, listing.files, "commit it, or fix the key (relative to context)"))
    return found


def ignore_files(directory: str, dockerfile: str) -> tuple[str, str]:
    """Return where the ignore file of a Dockerfile may be: its own, and the context's."""
    return f"{dockerfile}.dockerignore", posixpath.join(directory, ".dockerignore")


def _matcher(listing: Listing, directory: str, dockerfile: str) -> Matcher:
    """Return the matcher of the Dockerfile's own ignore file, else of the context's."""
    for path in ignore_files(directory, dockerfile):
        try:
            found = listing.follow(path)
        except Outside:
            raise Invalid.of(path, "leads out of the repository", "write it here") from None
        if found in listing.files:
            return dockerignore.parse(listing.text(found), path)
    return dockerignore.parse("")


def _opened(listing: Listing, place: Place) -> Iterator[Complaint]:
    """Open every submodule of the context that the image may see; yield a complaint for each that is not here."""
    refused: set[str] = set()
    while closed := [each for each in _closed(listing, place) if each.path not in refused]:
        for entry in closed:
            complaint = listing.open(entry)
            if complaint:
                refused.add(entry.path)
                yield complaint


def _closed(listing: Listing, place: Place) -> list[Entry]:
    submodules = [entry for entry in listing.below(place.directory) if entry.is_submodule]
    return [each for each in submodules if not place.matcher.ignores_tree(below(each.path, place.directory) or "")]


def _unfetched(files: Iterable[Entry]) -> Iterator[Complaint]:
    """Yield one complaint for each repository of which a partial clone lacks files."""
    names = {(entry.store, entry.id): entry.path for entry in files}
    for store, ids in grouped(names).items():
        absent = store.missing(ids)
        missing = [names[store, each] for each in ids if each in absent]
        if missing:
            what = f"this partial clone lacks files of {shown(store)}: {listed(missing)}"
            place = f" -C {store.at}" if store.at else ""
            yield Complaint("git", what, f"git{place} fetch --refetch --no-filter origin")


def shown(store: Store) -> str:
    """Return what the store's tree is, for people."""
    return f"commit {store.tree[:12]}" if not store.environment else "the working tree (ignored files apart)"


def _nearest(path: str, known: Iterable[str], otherwise: str) -> str:
    close = difflib.get_close_matches(path, sorted(known), n=1)
    return f"did you mean {close[0]}?" if close else otherwise


# The same bytes on every machine, whatever its git configuration; LFS content is copied in afterwards.
_SETTINGS = {
    "core.autocrlf": "false",
    "core.eol": "lf",
    "core.symlinks": "true",
    "filter.lfs.smudge": "",
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
}


def write(context: BuildContext, into: Path, at: float) -> None:
    """Write the context's files below `into`, by their paths below the top, all with the same time `at`.

    Raises: Invalid if git refuses, BuildFailed if LFS content is damaged.
    """
    settings = [part for name, value in _SETTINGS.items() for part in ("-c", f"{name}={value}")]
    for store, paths in grouped((entry.store, entry.path) for entry in context.files).items():
        prefix = f"--prefix={into.resolve() / store.at}/"
        store.ask_about(paths, *settings, "checkout-index", "-z", "--stdin", prefix)
    for path, pointer in context.pointers.items():
        pointer.copy(into / path)
    for directory in context.directories:
        (into / directory).mkdir(parents=True, exist_ok=True)
    _make_even(into, at)


def _make_even(top: Path, at: float) -> None:
    """Set modes and times that do not depend on this machine or its umask."""
    for folder, directories, files in os.walk(top):
        for name in (*directories, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)
            os.utime(path, (at, at), follow_symlinks=False)
