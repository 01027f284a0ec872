"""Find files kept outside of git by git-lfs: the commit holds a pointer, `.git/lfs/objects` the content.

Also find those that git-crypt encrypts, which git itself decrypts if the clone is unlocked.

Source: github.com/git-lfs/git-lfs, docs/spec.md.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec import Struct

from deploytasks.errors import BuildFailed, Complaint, listed
from deploytasks.source.listing import Entry, Store, grouped

_LARGEST_BYTES = 1024
_POINTER = re.compile(r"version https?://\S+\noid sha256:(?P<id>[0-9a-f]{64})\nsize (?P<size>[0-9]+)\n?")


class Pointer(Struct, frozen=True):
    """The fields of a pointer, and the path where the content it stands for should be."""

    id: str
    size_bytes: int
    content: Path

    @property
    def is_here(self) -> bool:
        """Whether the content is on this machine, judged by its size."""
        return self.content.is_file() and self.content.stat().st_size == self.size_bytes

    def copy(self, into: Path) -> None:
        """Copy the content over the pointer. Raises: BuildFailed if its hash is not the one that the pointer names."""
        shutil.copyfile(self.content, into)
        with into.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != self.id:
            raise BuildFailed.of(str(self.content), "is damaged: it has another hash than its name", "git lfs fsck")


def pointers(entries: Iterable[Entry]) -> dict[str, Pointer]:
    """Return path → pointer, for the files that `.gitattributes` assigns to git-lfs and that are pointers."""
    files = {entry.path: entry for entry in entries if not entry.is_link}
    found: dict[str, Pointer] = {}
    for store, paths in grouped((entry.store, path) for path, entry in files.items()).items():
        chosen = [path for path, name in filters(store, paths).items() if name == "lfs"]
        texts = store.small_blobs([files[path].id for path in chosen], _LARGEST_BYTES)
        for path in chosen:
            match = _POINTER.fullmatch(texts.get(files[path].id, ""))
            if match:
                found[path] = Pointer(match["id"], int(match["size"]), _place(store, match["id"]))
    return found


def complaints(entries: Sequence[Entry], pointers: dict[str, Pointer]) -> Iterator[Complaint]:
    """Yield one complaint for each repository whose LFS content is not on this machine."""
    missing = [(entry.store, entry.path) for entry in entries if entry.path in pointers]
    absent = [(store, path) for store, path in missing if not pointers[path].is_here]
    for store, paths in grouped(absent).items():
        what = f"only LFS pointers are on this machine, not the content: {listed(paths)}"
        place = f" -C {store.at}" if store.at else ""
        advice = f"git{place} lfs fetch origin {store.tree}\nor, of what is checked out: git{place} lfs pull"
        yield Complaint("git lfs", what, advice)


def filters(store: Store, paths: Sequence[str]) -> dict[str, str]:
    """Return path → its attribute `filter`, as the commit itself has it."""
    said = store.ask_about(paths, "check-attr", "--cached", "-z", "--stdin", "filter").split("\0")
    return dict(zip(paths, said[2::3], strict=False))


def locked(entries: Iterable[Entry]) -> Iterator[Complaint]:
    """Yield one complaint for each repository with files encrypted by git-crypt, if this clone is not unlocked."""
    for store, paths in grouped((entry.store, entry.path) for entry in entries if not entry.is_link).items():
        encrypted = {path: name for path, name in filters(store, paths).items() if name.startswith("git-crypt")}
        smudges = (store.configured("--get", f"filter.{name}.smudge") for name in set(encrypted.values()))
        if not all(smudges):
            what = f"files are encrypted and this clone is not unlocked: {listed([*encrypted])}"
            yield Complaint("git-crypt", what, "git-crypt unlock")


def _place(store: Store, name: str) -> Path:
    """Return the path of a git-lfs object: below `lfs.storage`, which is below `.git` unless it is absolute."""
    return store.path(store.configured("--get", "lfs.storage") or "lfs") / "objects" / name[:2] / name[2:4] / name
