"""Track the directories and links that a base image's layers leave, as far as a new layer must know them.

A layer that lists `bin/tool` where the base has a link `bin -> usr/bin` would hide all of the base's tools behind a
new directory, and one that lists `tmp/` anew would change its mode. So paths are followed, and known directories keep
their modes.
"""

import posixpath
import tarfile
from typing import IO

from msgspec import Struct, field

_WHITEOUT, _OPAQUE = ".wh.", ".wh..wh..opq"
_MOST_LINKS = 40


class Directory(Struct, frozen=True):
    """A directory with its mode and numeric owner."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0


class Link(Struct, frozen=True):
    """A symbolic link."""

    target: str


class Tree(Struct):
    """Directories and links by path (no slash at either end; "" is the root); other paths are files, or nothing."""

    nodes: dict[str, Directory | Link] = field(default_factory=dict)

    def add_layer(self, blob: IO[bytes]) -> None:
        """Apply a base's layer, with its whiteouts. Raises: tarfile.TarError if it is not a (gzipped) tar."""
        with tarfile.open(fileobj=blob, mode="r|*") as layer:
            for member in layer:
                self._add(member)

    def directory(self, path: str) -> Directory | None:
        """Return the directory at a path whose links were followed, None if there is none."""
        node = self.nodes.get(path) if path else Directory()
        return node if isinstance(node, Directory) else None

    def follow(self, path: str, links: int = 0) -> str:
        """Return the path that a path leads to once every link in it is followed, inside the image as in a chroot."""
        real, parts = "", [part for part in path.split("/") if part not in ("", ".")]
        for position, part in enumerate(parts):
            here = posixpath.dirname(real) if part == ".." else posixpath.join(real, part)
            node = self.nodes.get(here)
            if isinstance(node, Link) and links < _MOST_LINKS:
                pointed = posixpath.join("/", posixpath.dirname(here), node.target)
                return self.follow(posixpath.join(pointed, *parts[position + 1 :]), links + 1)
            real = here
        return real

    def beside(self, path: str) -> str:
        """Return the path with the links in its parent followed; if the path itself is a link, it is replaced."""
        parent, name = posixpath.split(path.strip("/"))
        return posixpath.join(self.follow(parent), name)

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
