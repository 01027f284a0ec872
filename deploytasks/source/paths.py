"""Find what an image's `paths` match in a commit, and the earlier commits since which nothing of them changed.

The patterns are git's own globs: `*` stays in a directory, `**/` goes through any, a directory means all below it.
"""

import posixpath
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

from msgspec import Struct

from deploytasks import git
from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Image
from deploytasks.source.contexts import Place, shown
from deploytasks.source.listing import Listing, Outside, Store, normal

MOST_COMMITS = 100
"""How many earlier commits are looked at: BatchGetImage takes 100 tags a call. Source: ecr BatchGetImage, imageIds."""
_NOTHING = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
"""The tree without files, which git knows in every repository."""
_GLOB = re.compile(r"[*?\[\\]")
_COMMIT = re.compile(r"\n?(?P<commit>[0-9a-f]{40})")
_WALK = (
    *("-c", "log.diffMerges=first-parent", "log", "--first-parent", "--sparse", "-m", "--raw", "--no-abbrev"),
    *("--no-renames", "--ignore-submodules=none", "--no-show-signature", "-z"),
)
"""One entry a commit, also for those that change nothing of the paths. Nobody's own git settings count."""


class Step(Struct, frozen=True):
    """One commit, and what it changed against its first parent: path → the object that was there, zeros for none."""

    commit: str
    changed: Mapping[str, str]


class Parts(Struct, frozen=True):
    """What makes an image: git's pathspecs by pattern of `paths`, its own files, and the file with its table.

    All are paths from the repository's top; `settings` is "" if that file is outside.
    """

    patterns: Mapping[str, tuple[str, ...]]
    files: frozenset[str]
    settings: str

    @property
    def named(self) -> tuple[str, ...]:
        """Return the pathspecs of all patterns."""
        return tuple(spec for specs in self.patterns.values() for spec in specs)

    @property
    def pathspecs(self) -> tuple[str, ...]:
        """Return the pathspecs of everything but the table."""
        return (*self.named, *map(_literal, sorted(self.files)))


def parts(root: Path, image: Image, store: Store, place: Place) -> Parts:
    """Return what makes the image in the store's commit. Raises: Invalid if a pattern leads out of the repository."""
    listing = Listing(store)
    submodules = [path for path, entry in listing.files.items() if entry.is_submodule]
    prefix = git.ask(root, "rev-parse", "--show-prefix")
    files = frozenset((*place.own, *map(listing.follow, place.own)))
    settings = ""
    with suppress(Outside):
        settings = listing.follow(posixpath.join(prefix, "envs/project.toml"))
    found = {pattern: tuple(_pathspecs(image, prefix, pattern, submodules)) for pattern in image.paths}
    return Parts(found, files, settings)


def pathspec(root: Path, image: Image, pattern: str) -> str:
    """Return git's pathspec of one of the image's patterns. Raises: Invalid if it leads out of the repository."""
    return _globbing(_from_top(image, git.ask(root, "rev-parse", "--show-prefix"), pattern))


def unmatched(image: Image, parts: Parts, store: Store) -> Iterator[Complaint]:
    """Yield a complaint for each pattern that matches no file of the commit: its image would never be built again."""
    for pattern, specs in parts.patterns.items():
        if not _files(store, specs):
            yield matches_nothing(image, pattern, shown(store))


def matches_nothing(image: Image, pattern: str, where: str) -> Complaint:
    """Return the complaint about a pattern that matches no file."""
    advice = "it is relative to the directory of tasks.py, and matched as git matches `:(glob)`; fix it or leave it out"
    return Complaint(f"images.{image.name}.paths", f"{pattern!r} matches no file of {where}", advice)


def earlier(parts: Parts, store: Store, is_same_table: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the nearest commits before the store's, by first parent, whose image is the same; nearest first.

    `is_same_table` tells of a project.toml's text whether the image's table is the one that counts now.

    Raises: Invalid if this clone lacks objects.
    """
    if not parts.settings:
        return ()
    is_named = parts.settings in _files(store, parts.pathspecs)  # then any change of the file counts
    asked = (f"--max-count={MOST_COMMITS + 1}", "--format=%H", store.tree, "--", *parts.pathspecs)
    steps = _steps(store.ask(*_WALK, *asked, _literal(parts.settings)))
    now = store.ask("cat-file", "blob", f"{store.tree}:{parts.settings}")

    def is_same(blob: str) -> bool:
        return bool(blob.strip("0")) and is_same_table(store.ask("cat-file", "blob", blob))

    return before_a_change(steps, "" if is_named else parts.settings, is_same) if is_same_table(now) else ()


def before_a_change(steps: Sequence[Step], settings: str, is_same: Callable[[str], bool]) -> tuple[str, ...]:
    """Return the commits after the first of the steps up to one that a later step changed, nearest first.

    A change of `settings` counts only unless the object before it `is_same`.
    """
    found: list[str] = []
    for newer, older in pairwise(steps):
        before = newer.changed.get(settings)
        if newer.changed.keys() - {settings} or (before is not None and not is_same(before)):
            break
        found.append(older.commit)
    return tuple(found)


def _steps(log: str) -> tuple[Step, ...]:
    """Return the commits of `git log --raw -z`: a commit, then for each path `:modes objects status` and the path."""
    found: list[tuple[str, dict[str, str]]] = []
    tokens = iter(log.split("\0"))
    for token in tokens:
        if match := _COMMIT.fullmatch(token):
            found.append((match["commit"], {}))
        elif entry := token.strip():
            found[-1][1][next(tokens)] = entry.split(" ")[2]
    return tuple(Step(commit, changed) for commit, changed in found)


def _files(store: Store, specs: Iterable[str]) -> set[str]:
    """Return the files of the commit that at least one of the pathspecs matches."""
    asked = ("diff-tree", "-r", "--name-only", "--no-renames", "--ignore-submodules=none", "-z")
    return set(filter(None, store.ask(*asked, _NOTHING, store.tree, "--", *specs).split("\0")))


def _pathspecs(image: Image, prefix: str, pattern: str, submodules: Iterable[str]) -> Iterator[str]:
    """Yield the pattern's pathspec, and those of the submodules below which it may match: git sees only the whole."""
    found = _from_top(image, prefix, pattern)
    yield _globbing(found)
    special = _GLOB.search(found)
    literal = found[: special.start()] if special else found
    for path in submodules:
        if literal.startswith(f"{path}/") or (special and f"{path}/".startswith(literal)):
            yield _literal(path)


def _from_top(image: Image, prefix: str, pattern: str) -> str:
    try:
        return normal(posixpath.join(_GLOB.sub(r"\\\g<0>", prefix), pattern))
    except Outside:
        what, advice = f"{pattern!r} leads out of the repository", "it is relative to the directory of tasks.py"
        raise Invalid.of(f"images.{image.name}.paths", what, advice) from None


def _globbing(path: str) -> str:
    return f":(top,glob){path or '**'}"


def _literal(path: str) -> str:
    return f":(top,literal){path}"
