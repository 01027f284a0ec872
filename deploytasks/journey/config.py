"""What `envs/` and `templates/` say, named by commit and contents: `<commit>.<hash>`, with `-dirty` for uncommitted.

The commit is the last that touches the two folders, the hash is one over their files, and dirty is what was made of a
file that is not as that commit holds it.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploytasks import git
from deploytasks.git import Relation
from deploytasks.model import Named, Target
from deploytasks.template.render import Renderer

FOLDERS = ("envs", "templates")
State = Literal["committed", "changed", "deleted", "not committed"]
_WORST_FIRST: tuple[Relation, ...] = ("unknown", "diverged", "older", "newer", "same")


@dataclass(frozen=True, slots=True)
class File:
    """One file of the two folders: the object id that git gives or would give it, and how it stands to the commit."""

    path: Path
    id: str
    state: State
    seen: tuple[int, ...] = ()
    """What the disk said of it when it was read."""


@dataclass(frozen=True, slots=True)
class Config:
    """Both folders as they lie there. No `commits`, and `why`, where git tells none.

    `files` maps a name, `envs/mb.toml`, to how the file stands. Each commit is that of the repository of `places`.
    """

    files: Mapping[str, File]
    commits: tuple[str, ...] = ()
    places: tuple[Path, ...] = ()
    why: str = ""

    def dirty(self, read: Collection[str]) -> dict[str, State]:
        """Return how those of the files read stand that are not as the commit holds them."""
        states = {name: _state(file) for name, file in sorted(self.files.items()) if name in read}
        return {name: state for name, state in states.items() if state != "committed"}

    def named(self, read: Collection[str]) -> Named:
        """Return the name of the config, of which these files were read.

        What nobody committed and nobody read, an editor's backup above all, does not count.
        """
        digest = hashlib.sha256()
        for name, file in sorted(self.files.items()):
            if file.state in ("committed", "changed") or (file.state == "not committed" and name in read):
                digest.update(f"{name}\0{file.id}\0".encode(errors="surrogateescape"))
        return Named(self.commits, digest.hexdigest()[:12], dirty=not self.commits or bool(self.dirty(read)))

    def relation(self, recorded: Named) -> Relation:
        """Return how this config stands to the recorded one. A commit that HEAD contains is never newer."""
        if not recorded.commits:
            return "same"
        if len(recorded.commits) != len(self.commits):
            return "unknown"
        pairs = zip(self.places, self.commits, recorded.commits, strict=True)
        found = {_relation(place, ours, theirs) for place, ours, theirs in pairs}
        return next(relation for relation in _WORST_FIRST if relation in found)


def read_for(targets: Iterable[Target], renderer: Renderer) -> frozenset[str]:
    """Return the files that were read for the targets: the project's, their tenants', and the templates."""
    tenants = (f"envs/{target.environment.tenant}.toml" for target in targets)
    return frozenset({"envs/project.toml", *tenants, *(f"templates/{name}" for name in renderer.read)})


def looked_at(path: Path) -> tuple[int, ...]:
    """Return what tells a file that was written since."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_mtime_ns, found.st_size, found.st_ino


def _state(file: File) -> State:
    """How it stands, also where it was written while the command was under way."""
    return "changed" if file.state == "committed" and looked_at(file.path) != file.seen else file.state


def _relation(place: Path, ours: str, theirs: str) -> Relation:
    relation = git.relation(place, ours, theirs)
    if relation in ("older", "diverged") and git.relation(place, git.head_commit(place), theirs) in ("same", "newer"):
        return "newer"
    return relation
