"""Check offline that the contexts and Dockerfiles in envs/ exist, in the commit and in the working tree."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from deploytasks import git, source
from deploytasks.errors import Complaint, Invalid
from deploytasks.model import Project, Service
from deploytasks.source import Store


def complaints(project: Project) -> Iterator[Complaint]:
    """Yield complaints about platforms, contexts, Dockerfiles and `.dockerignore` files, committed or not yet.

    A service with the default keys and no Dockerfile is fine: its image may be built elsewhere.
    """
    yield from (each.unbuildable for each in project.services if each.unbuildable)
    store: Store | None = None
    with suppress(Invalid):  # no commit: only the working tree is checked
        store = source.of_commit(project.root, git.head_commit(project.root))
    for service in project.services:
        found = _committed(project.root, service, store) if store else list(_missing(project.root, service))
        if store and _is_laid(project.root, service):
            found = [each for each in found if not each.where.startswith("services.")]
        builds = (service.context, service.dockerfile) != (".", "Dockerfile")
        yield from (each for each in found if builds or not each.where.endswith(".dockerfile"))


def _committed(root: Path, service: Service, store: Store) -> list[Complaint]:
    """Return what is wrong in the commit, without missing submodules, which only a build needs."""
    try:
        source.check(root, service, store)
    except Invalid as error:
        return [each for each in error.complaints if each.where.startswith("services.") or "dockerignore" in each.where]
    return []


def _is_laid(root: Path, service: Service) -> bool:
    """Return whether context and Dockerfile are in the working tree, which may be ahead of its commit."""
    top = Path(git.ask(root, "rev-parse", "--show-toplevel"))
    if any(_missing(root, service)):
        return False
    return all(path.resolve().is_relative_to(top) for path in _paths(root, service))


def _missing(root: Path, service: Service) -> Iterator[Complaint]:
    context, dockerfile = _paths(root, service)
    if not _is(Path.is_dir, context):
        yield Complaint(f"services.{service.name}.context", f"there is no directory {service.context}", "fix the key")
    elif not _is(Path.is_file, dockerfile):
        what = f"there is no file {service.dockerfile} in {service.context}"
        yield Complaint(f"services.{service.name}.dockerfile", what, "fix the key (relative to context)")


def _is(kind: Callable[[Path], bool], path: Path) -> bool:
    """Return whether the path is of the kind; an impossible path, such as one that is too long, is not."""
    try:
        return kind(path)
    except (OSError, ValueError):
        return False


def _paths(root: Path, service: Service) -> tuple[Path, Path]:
    context = root / service.context.replace("\0", "")
    return context, context / service.dockerfile.replace("\0", "")
