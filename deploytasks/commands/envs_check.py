"""Check offline that the contexts and Dockerfiles in envs/ exist, in the commit and in the working tree."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from deploytasks import git, source
from deploytasks.config import unfilled
from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Image, Project
from deploytasks.source import Store


def notes(project: Project) -> Iterator[str]:
    """Yield what is valid and yet in the way of a release: a line that is still to be filled in, no Dockerfile."""
    yield from unfilled.notes(project.root)
    for image in project.images:
        if any(each.where.endswith(".dockerfile") for each in _missing(project.root, image)):
            yield f"images.{image.name}: there is no {image.dockerfile} in {image.context}, so it can't be built here"


def complaints(project: Project) -> Iterator[Complaint]:
    """Yield complaints about platforms, contexts, Dockerfiles and `.dockerignore` files, committed or not yet.

    An image with the default keys and no Dockerfile is fine: it may be built elsewhere.
    """
    yield from (each.unbuildable for each in project.images if each.unbuildable)
    store: Store | None = None
    with suppress(Invalid):  # no commit: only the working tree is checked
        store = source.of_commit(project.root, git.head_commit(project.root))
    for image in project.images:
        found = _committed(project.root, image, store) if store else list(_missing(project.root, image))
        if store and _is_laid(project.root, image):
            found = [each for each in found if not each.where.startswith("images.")]
        found += _unmatched(project.root, image) if store else []
        builds = (image.context, image.dockerfile) != (".", "Dockerfile")
        yield from (each for each in found if builds or not each.where.endswith(".dockerfile"))


def _committed(root: Path, image: Image, store: Store) -> list[Complaint]:
    """Return what is wrong in the commit, without missing submodules, which only a build needs."""
    try:
        source.check(root, image, store)
    except Invalid as error:
        return [each for each in error.complaints if each.where.startswith("images.") or "dockerignore" in each.where]
    return []


def _unmatched(root: Path, image: Image) -> Iterator[Complaint]:
    """Yield complaints about patterns of `paths` that match no file, committed or not yet, ignored ones left out."""
    for pattern in image.paths:
        try:
            asked = ("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--")
            if not git.ask(root, *asked, source.pathspec(root, image, pattern)):
                yield source.matches_nothing(image, pattern, "the repository")
        except Invalid as error:
            yield from error.complaints


def _is_laid(root: Path, image: Image) -> bool:
    """Return whether context and Dockerfile are in the working tree, which may be ahead of its commit."""
    top = Path(git.ask(root, "rev-parse", "--show-toplevel"))
    if any(_missing(root, image)):
        return False
    return all(path.resolve().is_relative_to(top) for path in _paths(root, image))


def _missing(root: Path, image: Image) -> Iterator[Complaint]:
    context, dockerfile = _paths(root, image)
    if not _is(Path.is_dir, context):
        yield Complaint(f"images.{image.name}.context", f"there is no directory {image.context}", "fix the key")
    elif not _is(Path.is_file, dockerfile):
        what = f"there is no file {image.dockerfile} in {image.context}"
        yield Complaint(f"images.{image.name}.dockerfile", what, "fix the key (relative to context)")


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """Return whether the path is of the kind; an impossible path, such as one that is too long, is not."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def _paths(root: Path, image: Image) -> tuple[Path, Path]:
    context = root / image.context.replace("\0", "")
    return context, context / image.dockerfile.replace("\0", "")
