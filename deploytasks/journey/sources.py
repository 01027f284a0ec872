"""The commit of a build: whether the working tree says something else, and its files laid out for a builder."""

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploytasks import git, source, tags
from deploytasks.errors import BuildFailed, Complaint, Invalid, listed
from deploytasks.git import Changes
from deploytasks.journey import artifacts
from deploytasks.journey.errand import Errand, say
from deploytasks.model import Build, Wish
from deploytasks.source import Place, Store


def commit_tag(errand: Errand) -> str:
    """The commit that is built: the one asked for, else HEAD, with the uncommitted changes that --allow-dirty takes.

    A change that no selected image contains makes no image dirty.
    """
    root = errand.project.root
    if errand.options.commit is not None:
        return git.resolve(root, errand.options.commit)
    head = git.head_commit(root)
    if not errand.options.allow_dirty:
        return head
    changes = git.changes(root)
    with git.snapshot(root) as (tree, reading):
        places = _places(errand, source.of_commit(root, tree, reading))
        dirty = any(_contained((*changes.tracked, *changes.untracked), places))
        return tags.dirty_tag(head, tree) if dirty else head


def complaints(errand: Errand, wishes: Sequence[Wish]) -> Iterator[Complaint]:
    """What speaks against building the wishes that are missing, and what the working tree changes of any of them.

    In a tier that never builds nothing speaks against it.
    """
    options = errand.options
    if errand.command != "build" and errand.tier.after is not None:
        return
    if options.commit is None and not options.allow_dirty:
        yield from _uncommitted(errand)
    if errand.command != "tag":
        yield from _unbuildable(errand, [wish for wish in wishes if wish.image is None])
        yield from _artifacts(errand, wishes)


def _uncommitted(errand: Errand) -> Iterator[Complaint]:
    """Changed files that an image would contain; files that were never added are only told."""
    root = errand.project.root
    changes = git.changes(root)
    if not (changes.tracked or changes.untracked):
        return
    places = _places(errand, source.of_commit(root, "HEAD"))
    untracked = list(_contained(changes.untracked, places))
    if untracked:
        say(errand, "commit", f"not in the image, since git does not know them: {listed(untracked)}")
    changed = list(_contained(changes.tracked, places))
    if changed:
        what = f"uncommitted changes of what an image contains: {listed(changed)}"
        yield Complaint("git", what, _commit_advice(changes))


def _commit_advice(changes: Changes) -> str:
    return "commit them, or --allow-dirty" + (
        " (a submodule's own changes, in the submodule)" if changes.inside else ""
    )


def _unbuildable(errand: Errand, missing: Sequence[Wish]) -> Iterator[Complaint]:
    """What the commit, or this clone of it, lacks of the images' contexts."""
    if not missing:
        return
    from deploytasks.builders import refused  # docker takes 125 ms, which only a build needs

    services = {service.name: service for service in errand.services}
    with _store(errand, missing[0].commit_tag) as store:
        for wish in missing:
            service = services[wish.service]
            try:
                found = source.find(errand.project.root, service, store)
            except Invalid as error:
                yield from error.complaints
                continue
            if store.environment:
                yield from _changed_inside(errand, found.place)
            yield from filter(None, [service.unbuildable])
            yield from refused(service, found.recipe)


def _artifacts(errand: Errand, wishes: Sequence[Wish]) -> Iterator[Complaint]:
    services = {service.name: service for service in errand.services if service.artifacts}
    for wish in wishes:
        if wish.service in services:
            service = services[wish.service]
            with suppress(Invalid), _store(errand, wish.commit_tag) as store:
                place = source.locate(errand.project.root, service, store)
                yield from artifacts.complaints(errand, service, wish, store, place)


def _changed_inside(errand: Errand, place: Place) -> Iterator[Complaint]:
    """Not even --allow-dirty takes what is changed inside of a submodule: git has no object of it."""
    for path in _contained(git.changes(errand.project.root).inside, [place]):
        yield Complaint(path, "the submodule has uncommitted changes of its own", "commit them in the submodule")


@dataclass(frozen=True, slots=True)
class LaidOut:
    """A build's context in a directory, its Dockerfile, and the hash of its artifacts, "" where it names none."""

    context: Path
    dockerfile: Path
    artifacts: str


@contextmanager
def laid_out(errand: Errand, build: Build) -> Iterator[LaidOut]:
    """The build's context, which is gone afterwards.

    Raises: Invalid where this clone lacks files, BuildFailed where the working tree is no longer what its tag says.
    """
    root, service = errand.project.root, build.service
    with (
        _store(errand, build.commit_tag) as store,
        tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch,
    ):
        if tags.is_dirty(build.commit_tag) and build.commit_tag != tags.dirty_tag(build.commit, store.tree):
            raise BuildFailed.of("git", "the working tree changed since this command began", "run it again")
        found, top = source.find(root, service, store), Path(scratch)
        made = artifacts.copy(artifacts.paths(service, store, found.place), store, top) if service.artifacts else ""
        source.write(found, top, git.committed_at(root, build.commit).timestamp())
        yield LaidOut(top / found.place.directory, top / found.place.dockerfile, made)


@contextmanager
def _store(errand: Errand, commit_tag: str) -> Iterator[Store]:
    """The commit's files, or those of the working tree as git would commit them where the tag is dirty."""
    root = errand.project.root
    if not tags.is_dirty(commit_tag):
        yield source.of_commit(root, commit_tag)
        return
    with git.snapshot(root) as (tree, reading):
        yield source.of_commit(root, tree, reading)


def _places(errand: Errand, store: Store) -> list[Place]:
    """Where the selected images' contexts lie; one that is not there is complained about where it is to be built."""
    places = []
    for service in errand.services:
        with suppress(Invalid):
            places.append(source.locate(errand.project.root, service, store))
    return places


def _contained(paths: Iterable[str], places: Sequence[Place]) -> Iterator[str]:
    """The paths that one of the contexts contains."""
    for path in paths:
        if any(place.has(path.rstrip("/")) for place in places):
            yield path
