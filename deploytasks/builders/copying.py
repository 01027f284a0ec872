"""Turn COPY and WORKDIR into the entries of one layer: which file of the context goes where, owned by whom."""

import posixpath
import re
import stat
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploytasks import dockerignore
from deploytasks.builders.recipe import Copy, Owner, Step, Workdir
from deploytasks.builders.tree import Directory, Link, Tree
from deploytasks.errors import BuildFailed, Invalid, Refusal
from deploytasks.model.builders import ENGINE

_WILD = re.compile(r"[*?\[\\]")
_ZSTANDARD = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True, slots=True)
class File:
    """A file whose content is that of `source`."""

    source: Path
    mode: int
    owner: Owner


Entry = Directory | File | Link
Entries = Mapping[str, Entry]
"""Entries by path in the image (no slash at either end)."""


class Copying:
    """Steps carried out in order on a base's tree; a later one replaces what an earlier one added."""

    def __init__(self, context: Path, visible: frozenset[str], tree: Tree) -> None:
        self.context = context.resolve()
        self.visible = visible
        self.links = Tree(
            {path: Link(str((context / path).readlink())) for path in visible if (context / path).is_symlink()}
        )
        self.tree = tree
        self.entries: dict[str, Entry] = {}

    def carry_out(self, step: Step) -> None:
        """Add the entries of one step.

        Raises: BuildFailed if a source does not exist or is ignored, Refusal if several sources become one file.
        """
        match step:
            case Workdir(path):
                self._make_directory(self.tree.follow(path), Owner())
            case Copy():
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
        if not pattern:
            return [""]
        found = [pattern] if self.links.follow(pattern) in self.visible else sorted(self._matching(step, pattern))
        if not found:
            raise self._absent(step, source, pattern)
        return found

    def _matching(self, step: Copy, pattern: str) -> list[str]:
        """Return the visible paths that match part by part: a star never matches a slash."""
        if not _WILD.search(pattern):
            return []
        try:
            expressions = [dockerignore.wildcard(part) for part in pattern.split("/")]
        except Invalid as error:
            raise Refusal.of(step.where, str(error.complaints[0])) from None
        split = ((path, path.split("/")) for path in self.visible)
        return [
            path
            for path, names in split
            if len(names) == len(expressions)
            and all(each.match(name) for each, name in zip(expressions, names, strict=True))
        ]

    def _absent(self, step: Copy, source: str, path: str) -> BuildFailed:
        real = self.links.follow(path)
        led = f" (it leads to {real})" if real != path else ""
        ignored = (self.context / real).exists()
        reason = "is ignored by .dockerignore" if ignored else "is not in the build context"
        return BuildFailed(
            *BuildFailed.of(step.where, f"COPY {source}{led}: {reason}", "fix it, or commit it").complaints
        )

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
            self._copy_content(step, real, target)
        elif self._goes_into(step):
            self._lay(step, origin, posixpath.join(target, posixpath.basename(source)))
        else:
            self._lay(step, origin, self._beside(step.destination))

    def _goes_into(self, step: Copy) -> bool:
        return step.destination.endswith("/") or self._is_directory(self.tree.follow(step.destination))

    def _copy_content(self, step: Copy, directory: str, target: str) -> None:
        self._make_directory(target, step.owner)
        below = f"{directory}/" if directory else ""
        for path in sorted(each for each in self.visible if each.startswith(below)):
            self._lay(step, self.context / path, self._beside(posixpath.join(target, path[len(below) :])))

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
        if not path or isinstance(self.entries.get(path), Directory):
            return
        if isinstance(self.entries.get(path), File):
            raise BuildFailed.of("COPY", f"/{path} is a file already", "choose another name for the directory")
        self._make_directory(posixpath.dirname(path), owner)
        self._put(path, self.tree.directory(path) or Directory(0o755, owner.uid, owner.gid))

    def _put(self, path: str, entry: Entry) -> None:
        if isinstance(self.entries.get(path), Directory) and not isinstance(entry, Directory):
            raise BuildFailed.of("COPY", f"/{path} is a directory already", "copy into it, or choose another name")
        self.entries[path] = entry
        if isinstance(entry, File):
            self.tree.nodes.pop(path, None)
        else:
            self.tree.nodes[path] = entry

    def _is_directory(self, path: str) -> bool:
        return not path or self.tree.directory(path) is not None

    def _beside(self, path: str) -> str:
        """Return the path with the links in its parent followed; if the path itself is a link, it is replaced."""
        parent, name = posixpath.split(path.strip("/"))
        return posixpath.join(self.tree.follow(parent), name)


def entries(context: Path, visible: frozenset[str], steps: tuple[Step, ...], tree: Tree) -> Entries:
    """Return the entries that the steps add to the tree, sorted, parents first; the tree is updated."""
    copying = Copying(context, visible, tree)
    for step in steps:
        copying.carry_out(step)
    return dict(sorted(copying.entries.items(), key=lambda item: item[0].split("/")))


def _is_archive(path: Path) -> bool:
    """Return whether ADD would unpack a file.

    Source: moby pkg/archive, which looks for a tar in whatever it can decompress.
    """
    with path.open("rb") as file:
        if file.read(4) == _ZSTANDARD:
            return True
    return tarfile.is_tarfile(path)
