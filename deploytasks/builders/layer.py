"""Make one layer of COPY and WORKDIR: the same files make the same bytes on any machine, at any time."""

import gzip
import hashlib
import posixpath
import re
import stat
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from io import BufferedReader
from pathlib import Path

from msgspec import Struct

from deploytasks import dockerignore
from deploytasks.builders.tree import Directory, Link, Tree
from deploytasks.errors import BuildFailed, Invalid, Refusal
from deploytasks.model.builders import ENGINE

_WILD = re.compile(r"[*?\[\\]")
_ZSTANDARD = b"\x28\xb5\x2f\xfd"
_LEVEL = 6


class Owner(Struct, frozen=True):
    """The owner of copied files."""

    uid: int = 0
    gid: int = 0


class Workdir(Struct, frozen=True):
    """A directory that exists afterwards."""

    path: str


class Copy(Struct, frozen=True):
    """Copy the sources to an absolute `destination`, which ends with a slash if it must be a directory.

    `unpacks` is true of ADD, which unpacks archives.
    """

    where: str
    sources: tuple[str, ...]
    destination: str
    owner: Owner = Owner()
    mode: int | None = None
    unpacks: bool = False


Step = Workdir | Copy


class File(Struct, frozen=True):
    """A file whose content is that of `source`."""

    source: Path
    mode: int
    owner: Owner


Entry = Directory | File | Link
Entries = Mapping[str, Entry]
"""Entries by path in the image (no slash at either end)."""


def entries(context: Path, visible: frozenset[str], steps: tuple[Step, ...], tree: Tree) -> Entries:
    """Return the entries that the steps add to the tree, sorted, parents first; the tree is updated.

    Raises: BuildFailed if a source does not exist or is ignored, Refusal if several sources become one file.
    """
    copying = _Copying(context, visible, tree)
    for step in steps:
        copying.carry_out(step)
    return dict(sorted(copying.entries.items(), key=lambda item: item[0].split("/")))


class _Copying:
    """Steps carried out in order on a base's tree; a later one replaces what an earlier one added."""

    def __init__(self, context: Path, visible: frozenset[str], tree: Tree) -> None:
        self.context, self.visible, self.tree = context.resolve(), visible, tree
        self.links = Tree({path: Link(str(at.readlink())) for path in visible if (at := context / path).is_symlink()})
        self.entries: dict[str, Entry] = {}

    def carry_out(self, step: Step) -> None:
        if isinstance(step, Workdir):
            self._make_directory(self.tree.follow(step.path), Owner())
            return
        sources = [path for source in step.sources for path in self._found(step, source)]
        if len(sources) > 1 and not self._goes_into(step):
            files = f"{len(sources)} files match ({', '.join(sources[:3])})"
            what = f"{files}, and {step.destination} is not a directory"
            raise Refusal.of(step.where, what, f"name one of them, or end it with a slash: {step.destination}/")
        for source in sources:
            self._copy(step, source)

    def _found(self, step: Copy, source: str) -> list[str]:
        """Return the visible paths that a source names, relative to the context; "" is the context itself."""
        pattern = posixpath.normpath("/" + source).lstrip("/")
        if not pattern or self.links.follow(pattern) in self.visible:
            return [pattern]
        if found := sorted(self._matching(step, pattern)):
            return found
        raise self._absent(step, source, pattern)

    def _matching(self, step: Copy, pattern: str) -> Iterator[str]:
        """Yield the visible paths that match part by part: a star never matches a slash."""
        if not _WILD.search(pattern):
            return
        try:
            expressions = [dockerignore.wildcard(part) for part in pattern.split("/")]
        except Invalid as error:
            raise Refusal.of(step.where, str(error.complaints[0])) from None
        for path in self.visible:
            names = path.split("/")
            if len(names) == len(expressions) and all(map(re.Pattern.match, expressions, names)):
                yield path

    def _absent(self, step: Copy, source: str, path: str) -> BuildFailed:
        real = self.links.follow(path)
        led = f" (it leads to {real})" if real != path else ""
        ignored = (self.context / real).exists()
        reason = "is ignored by .dockerignore" if ignored else "is not in the build context"
        return BuildFailed.of(step.where, f"COPY {source}{led}: {reason}", "fix it, or commit it")

    def _copy(self, step: Copy, source: str) -> None:
        """Copy a directory's content into the destination; copy a file to it, or into it if it is a directory.

        A link is followed inside the context, as in a chroot, and never to what `.dockerignore` ignores.
        """
        real = self.links.follow(source)
        if real and real not in self.visible:
            raise self._absent(step, source, source)
        origin = self.context / real
        if step.unpacks and origin.is_file() and _is_archive(origin):
            raise Refusal.of(step.where, f"ADD {source}: {ENGINE} would unpack it", "COPY it, or its content")
        target = self.tree.follow(step.destination)
        if origin.is_dir():
            self._make_directory(target, step.owner)
            below = f"{real}/" if real else ""
            for path in sorted(each for each in self.visible if each.startswith(below)):
                inside = posixpath.join(target, path.removeprefix(below))
                self._lay(step, self.context / path, self.tree.beside(inside))
        elif self._goes_into(step):
            self._lay(step, origin, posixpath.join(target, posixpath.basename(source)))
        else:
            self._lay(step, origin, self.tree.beside(step.destination))

    def _goes_into(self, step: Copy) -> bool:
        return step.destination.endswith("/") or self.tree.directory(self.tree.follow(step.destination)) is not None

    def _lay(self, step: Copy, origin: Path, path: str) -> None:
        """Add one file, link or directory; its mode is that of a fresh checkout, whatever this machine's umask."""
        self._make_directory(posixpath.dirname(path), step.owner)
        mode = origin.lstat().st_mode
        if stat.S_ISDIR(mode):
            self._make_directory(self.tree.follow(path), step.owner)
        elif stat.S_ISLNK(mode):
            self._put(path, Link(str(origin.readlink())))
        elif stat.S_ISREG(mode):
            self._put(path, File(origin, step.mode or (0o755 if mode & stat.S_IXUSR else 0o644), step.owner))
        else:
            raise BuildFailed.of(step.where, f"{origin} is not a file, directory or link", "name it in .dockerignore")

    def _make_directory(self, path: str, owner: Owner) -> None:
        """Add the directory and its parents: as the base has them, else new."""
        if path and not isinstance(self.entries.get(path), Directory):
            self._make_directory(posixpath.dirname(path), owner)
            self._put(path, self.tree.directory(path) or Directory(0o755, owner.uid, owner.gid))

    def _put(self, path: str, entry: Entry) -> None:
        """Add the entry, in place of an earlier one; a directory and a file don't replace each other."""
        match self.entries.get(path), entry:
            case File(), Directory():
                raise BuildFailed.of("COPY", f"/{path} is a file already", "choose another name for the directory")
            case Directory(), File() | Link():
                raise BuildFailed.of("COPY", f"/{path} is a directory already", "copy into it, or choose another name")
        self.entries[path] = entry
        if isinstance(entry, File):
            self.tree.nodes.pop(path, None)
        else:
            self.tree.nodes[path] = entry


def _is_archive(path: Path) -> bool:
    """Return whether ADD would unpack a file.

    Source: moby pkg/archive, which looks for a tar in whatever it can decompress.
    """
    with path.open("rb") as file:
        return file.read(4) == _ZSTANDARD or tarfile.is_tarfile(path)


class Layer(Struct, frozen=True):
    """A gzipped tar on disk: `digest` is the blob's, `diff_id` that of the tar inside."""

    path: Path
    digest: str
    diff_id: str
    size_bytes: int


def pack(entries: Entries, path: Path) -> Layer:
    """Write the entries, in their order, as a gzipped tar without times, user names and all else of this machine."""
    with path.open("wb") as file:
        zipped = gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0)
        with zipped, tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for name, entry in entries.items():
                with entry.source.open("rb") if isinstance(entry, File) else nullcontext() as content:
                    tar.addfile(_member(name, entry), content)
    with path.open("rb") as blob, gzip.open(path) as content:
        return Layer(path, _digest(blob), _digest(content), path.stat().st_size)


def _digest(file: BufferedReader | gzip.GzipFile) -> str:
    return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"


def _member(name: str, entry: Entry) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    match entry:
        case Directory(mode, uid, gid):
            info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, gid
        case Link(target):
            info.type, info.mode, info.linkname = tarfile.SYMTYPE, 0o777, target
        case File(source, mode, owner):
            info.size, info.mode, info.uid, info.gid = source.stat().st_size, mode, owner.uid, owner.gid
    return info
