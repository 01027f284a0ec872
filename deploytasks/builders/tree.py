"""What a base image's layers leave behind, as far as a new layer must know it: directories, links, the rest.

A layer that lists `bin/tool` where the base has a link `bin -> usr/bin` would hide all of the base's tools behind a
new directory, and one that lists `tmp/` anew would change its mode. So paths are followed, and known directories keep
their modes.
"""

import posixpath
import tarfile
from dataclasses import dataclass, field
from typing import IO

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True)
class Directory:
    """A directory with its mode and numeric owner."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Link:
    """A symbolic link."""

    target: str


@dataclass(slots=True)
class Tree:
    """Directories and links by path (no slash at either end; "" is the root); the rest are files, or nothing."""

    nodes: dict[str, Directory | Link] = field(default_factory=dict)

    def add_layer(self, blob: IO[bytes]) -> None:
        """Lay one layer over the tree, whiteouts obeyed. Raises: tarfile.TarError where it is no (gzipped) tar."""
        with tarfile.open(fileobj=blob, mode="r|*") as layer:
            for member in layer:
                self._add(member)

    def directory(self, path: str) -> Directory | None:
        """The directory at a path whose links were followed, None where there is none."""
        node = self.nodes.get(path) if path else Directory()
        return node if isinstance(node, Directory) else None

    def follow(self, path: str) -> str:
        """Where a path really lies once every link in it is followed, inside the image as in a chroot."""
        return self._follow(path, 0)

    def _follow(self, path: str, links: int) -> str:
        real, parts = "", [part for part in path.split("/") if part not in ("", ".")]
        for position, part in enumerate(parts):
            here = posixpath.dirname(real) if part == ".." else posixpath.join(real, part)
            node = self.nodes.get(here)
            if isinstance(node, Link) and links < _MOST_LINKS:
                pointed = posixpath.join("/", posixpath.dirname(here), node.target)
                return self._follow(posixpath.join(pointed, *parts[position + 1 :]), links + 1)
            real = here
        return real

    def _add(self, member: tarfile.TarInfo) -> None:
        path = posixpath.normpath("/" + member.name).lstrip("/")
        parent, name = posixpath.split(path)
        if name == _OPAQUE:
            self._forget_below(parent)
        elif name.startswith(_WHITEOUT):
            self._forget(posixpath.join(parent, name.removeprefix(_WHITEOUT)))
        elif member.isdir():
            self.nodes[path] = Directory(member.mode, member.uid, member.gid)
        else:
            self._forget(path)
            if member.issym():
                self.nodes[path] = Link(member.linkname)

    def _forget(self, path: str) -> None:
        if isinstance(self.nodes.pop(path, None), Directory):
            self._forget_below(path)

    def _forget_below(self, path: str) -> None:
        below = f"{path}/" if path else ""
        for gone in [each for each in self.nodes if each.startswith(below)]:
            del self.nodes[gone]
