"""`artifacts`: files that a build step made and git ignores, taken into the image of what is checked out."""

import hashlib
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from deploytasks import git, tags
from deploytasks.aws import ecr
from deploytasks.errors import BuildFailed, Complaint, Invalid, listed
from deploytasks.journey.errand import Errand, say
from deploytasks.model import Service, Wish
from deploytasks.source import Place, Store

LABEL = "deploytasks.artifacts"
"""The image's label that records the artifacts' hash."""


def complaints(errand: Errand, service: Service, wish: Wish, store: Store, place: Place) -> Iterator[Complaint]:
    """What speaks against taking the artifacts into the image, or against the image of the commit that ECR has.

    An image that ECR has is taken as it is where --commit names it, or where no artifacts are here to compare.
    """
    where = f"services.{service.name}.artifacts"
    if wish.image is not None:
        if errand.options.commit is None and not any(_unmatched(service, store, place)):
            yield from _others(errand, service, wish, store, place)
        return
    if wish.commit_tag[:40] != git.head_commit(errand.project.root):
        what = f"they are taken from the working tree, and {tags.short(wish.commit_tag)} is not checked out"
        yield Complaint(where, what, f"git checkout {wish.commit_tag}, and run the step that makes them")
        return
    for pattern in _unmatched(service, store, place):
        yield Complaint(where, *_why_unmatched(store, place, pattern))


def paths(service: Service, store: Store, place: Place) -> tuple[str, ...]:
    """The artifacts' paths below the repository's top."""
    found = (path for pattern in service.artifacts for path in _matching(store, place, pattern))
    return tuple(sorted(set(found)))


def copy(artifacts: Iterable[str], store: Store, into: Path) -> str:
    """The artifacts lie below `into` as they lie in the working tree; the hash of what was copied out."""
    taken = sorted(artifacts)
    for path in taken:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(store.work / path, into / path, follow_symlinks=False)
    return hash_of(taken, into)


def hash_of(artifacts: Sequence[str], top: Path) -> str:
    """One hash over the names, kinds and contents of the files."""
    whole = hashlib.sha256()
    for path in artifacts:
        file = top / path
        if file.is_symlink():
            kind, content = "link", hashlib.sha256(str(file.readlink()).encode("utf-8", "surrogateescape")).hexdigest()
        else:
            kind = "program" if file.stat().st_mode & 0o100 else "file"
            with file.open("rb") as opened:
                content = hashlib.file_digest(opened, "sha256").hexdigest()
        whole.update(f"{kind} {content} {path}\0".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _others(errand: Errand, service: Service, wish: Wish, store: Store, place: Place) -> Iterator[Complaint]:
    """The image of the commit was made with other artifacts: it is refused, and never replaced."""
    from deploytasks.builders import Login, labels_of  # docker takes 125 ms, which only artifacts need here

    user, password = ecr.login(errand.ecr, wish.repository)
    login = Login(errand.project.registry.host, user, password)
    try:
        recorded = labels_of(f"{login.host}/{wish.repository}@{wish.digest}", login).get(LABEL, "none")
    except BuildFailed as error:
        say(
            errand, "build", f"not checked: which artifacts it was made with ({error.complaints[0].what})", service.name
        )
        return
    here = hash_of(paths(service, store, place), store.work)
    if recorded != here:
        commit = tags.short(wish.commit_tag)
        what = f"{commit} is in ECR with other artifacts ({recorded[:12]}) than those that are here ({here[:12]})"
        advice = f"--commit {wish.commit_tag} takes the image that ECR has; commit what changed them to make another"
        yield Complaint(f"services.{service.name}.artifacts", what, advice)


def _unmatched(service: Service, store: Store, place: Place) -> Iterator[str]:
    return (pattern for pattern in service.artifacts if not _matching(store, place, pattern))


def _why_unmatched(store: Store, place: Place, pattern: str) -> tuple[str, str]:
    if left_out := _ignored(store, place, pattern):
        return f"{pattern!r} matches only files that .dockerignore leaves out: {listed(left_out)}", "except them there"
    advice = "run the build step that makes it first; a file that git tracks needs no artifacts"
    return f"{pattern!r} matches no git-ignored file of the context", advice


def _matching(store: Store, place: Place, pattern: str) -> list[str]:
    """Files that git ignores and `.dockerignore` does not."""
    return [path for path in _ignored(store, place, pattern) if place.has(path)]


def _ignored(store: Store, place: Place, pattern: str) -> list[str]:
    asked = ("ls-files", "--others", "--ignored", "--exclude-standard", "--full-name", "-z", "--", f":(glob){pattern}")
    try:
        found = git.ask(store.work / place.directory, *asked).split("\0")
    except Invalid:
        return []
    return [path for path in found if path]
