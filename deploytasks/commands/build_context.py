"""The files of a build: which commit they come from, uncommitted changes, and the context that a builder reads."""

import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from msgspec import Struct

from deploytasks import git, source, tags
from deploytasks.aws import ecr
from deploytasks.commands.context import Context, say
from deploytasks.errors import BuildFailed, Complaint, Invalid, listed
from deploytasks.git import Changes
from deploytasks.model import Build, Command, DesiredImage, EcrImage, Image
from deploytasks.source import Place, Store


def commit_tag(context: Context) -> str:
    """Return the tag of the commit to build: --commit or else HEAD, with uncommitted changes under --allow-dirty.

    A change that no selected image contains does not make the tag dirty.
    """
    root = context.project.root
    if context.options.commit is not None:
        return git.resolve(root, context.options.commit)
    head = git.head_commit(root)
    if not context.options.allow_dirty:
        return head
    changes = git.changes(root)
    with git.snapshot(root) as (tree, reading):
        found = _concerning(context, source.of_commit(root, tree, reading), changes)
        dirty = any(each.tracked or each.untracked for each in found)
        return tags.dirty_tag(head, tree) if dirty else head


def complaints(context: Context, desired_images: Sequence[DesiredImage]) -> Iterator[Complaint]:
    """Yield what prevents building the missing images, and uncommitted changes to files of any desired image.

    Yield nothing for a command and tier that never build.
    """
    options = context.options
    if context.command is not Command.BUILD and context.tier.after is not None:
        return
    if options.commit is None and not options.allow_dirty:
        yield from _uncommitted(context)
    if context.command is not Command.TAG:
        yield from _unbuildable(context, [desired for desired in desired_images if desired.image is None])
        yield from _artifacts(context, desired_images)


def _uncommitted(context: Context) -> Iterator[Complaint]:
    """Yield a complaint about tracked files that an image contains and that changed; only report untracked ones."""
    root = context.project.root
    changes = git.changes(root)
    if not (changes.tracked or changes.untracked):
        return
    found = _concerning(context, source.of_commit(root, "HEAD"), changes)
    untracked = sorted({path for each in found for path in each.untracked})
    if untracked:
        say(context, "commit", f"not in the image, since git does not know them: {listed(untracked)}")
    changed = sorted({path for each in found for path in each.tracked})
    if changed:
        what = f"uncommitted changes of what an image contains: {listed(changed)}"
        inside = " (a submodule's own changes, in the submodule)" if changes.inside else ""
        yield Complaint("git", what, f"commit them, or --allow-dirty{inside}")


def _unbuildable(context: Context, missing: Sequence[DesiredImage]) -> Iterator[Complaint]:
    """Yield what the commit, or this clone of it, lacks to build the images, and what the builder refuses."""
    if not missing:
        return
    from deploytasks.builders import refused  # requests and docker, which only a build needs

    images = {image.name: image for image in context.images}
    with _store(context, missing[0].commit_tag) as store:
        for desired in missing:
            image = images[desired.name]
            try:
                found = source.find(context.project.root, image, store)
            except Invalid as error:
                yield from error.complaints
                continue
            if image.paths:
                yield from source.unmatched(image, source.parts(context.project.root, image, store, found.place), store)
            if store.environment:
                yield from _changed_inside(context, image, found.place, store)
            yield from filter(None, [image.unbuildable])
            yield from refused(image, found.recipe)


def _artifacts(context: Context, desired_images: Sequence[DesiredImage]) -> Iterator[Complaint]:
    images = {image.name: image for image in context.images if image.artifacts}
    for desired in desired_images:
        if desired.name in images:
            image = images[desired.name]
            with suppress(Invalid), _store(context, desired.asked or desired.commit_tag) as store:
                place = source.locate(context.project.root, image, store)
                yield from artifact_complaints(context, image, desired, store, place)


def _changed_inside(context: Context, image: Image, place: Place, store: Store) -> Iterator[Complaint]:
    """Yield changed files inside a submodule: not even --allow-dirty takes them, since git has no object for them."""
    root = context.project.root
    for path in _of_image(root, image, place, store, git.changes(root)).inside:
        yield Complaint(path, "the submodule has uncommitted changes of its own", "commit them in the submodule")


class LaidOut(Struct, frozen=True):
    """A build's context directory, its Dockerfile, and the hash of its artifacts ("" if it has none)."""

    context: Path
    dockerfile: Path
    artifacts: str


@contextmanager
def laid_out(context: Context, build: Build) -> Iterator[LaidOut]:
    """Write the build's context to a temporary directory, which is deleted on exit.

    Raises:
        Invalid: this clone lacks files.
        BuildFailed: the working tree no longer matches its dirty tag.

    """
    root, image = context.project.root, build.image
    with (
        _store(context, build.commit_tag) as store,
        tempfile.TemporaryDirectory(prefix="deploytasks-") as scratch,
    ):
        if tags.is_dirty(build.commit_tag) and build.commit_tag != tags.dirty_tag(build.commit, store.tree):
            raise BuildFailed.of("git", "the working tree changed since this command began", "run it again")
        found, top = source.find(root, image, store), Path(scratch)
        made = copy_artifacts(artifact_paths(image, store, found.place), store, top) if image.artifacts else ""
        source.write(found, top, git.committed_at(root, build.commit).timestamp())
        yield LaidOut(top / found.place.directory, top / found.place.dockerfile, made)


@contextmanager
def _store(context: Context, commit_tag: str) -> Iterator[Store]:
    """Provide the commit's files; for a dirty tag, the working tree's files as git would commit them."""
    root = context.project.root
    if not tags.is_dirty(commit_tag):
        yield source.of_commit(root, commit_tag)
        return
    with git.snapshot(root) as (tree, reading):
        yield source.of_commit(root, tree, reading)


def _concerning(context: Context, store: Store, changes: Changes) -> list[Changes]:
    """Return the changes that concern each selected image; `_unbuildable` reports contexts that are missing."""
    root, found = context.project.root, []
    for image in context.images:
        with suppress(Invalid):
            found.append(_of_image(root, image, source.locate(root, image, store), store, changes))
    return found


def _of_image(root: Path, image: Image, place: Place, store: Store, changes: Changes) -> Changes:
    """Return the changes in the image's context; if it has `paths`, those that they match, and of its own files."""
    if image.paths:
        changes = git.changes(root, source.parts(root, image, store, place).pathspecs)
    kinds = (changes.tracked, changes.untracked, changes.inside)
    return Changes(*(tuple(path for path in kind if place.has(path.rstrip("/"))) for kind in kinds))


ARTIFACTS_LABEL = "deploytasks.artifacts"
"""The image label that records the artifacts' hash."""


def artifact_complaints(
    context: Context, image: Image, desired: DesiredImage, store: Store, place: Place
) -> Iterator[Complaint]:
    """Yield why the artifacts can't be put into the image, or why ECR's image of the commit can't be used.

    ECR's image is used unchecked with --commit, or where some artifacts are missing here and can't be compared.
    """
    where = f"images.{image.name}.artifacts"
    if desired.image is not None:
        if context.options.commit is None and not any(_unmatched(image, store, place)):
            yield from _others(context, image, desired, store, place)
        return
    if desired.commit_tag[:40] != git.head_commit(context.project.root):
        what = f"they are taken from the working tree, and {tags.short(desired.commit_tag)} is not checked out"
        yield Complaint(where, what, f"git checkout {desired.commit_tag}, and run the step that makes them")
        return
    for pattern in _unmatched(image, store, place):
        yield Complaint(where, *_why_unmatched(store, place, pattern))


def artifact_paths(image: Image, store: Store, place: Place) -> tuple[str, ...]:
    """Return the artifacts' paths relative to the repository's top, sorted."""
    found = (path for pattern in image.artifacts for path in _matching(store, place, pattern))
    return tuple(sorted(set(found)))


def copy_artifacts(artifacts: Iterable[str], store: Store, into: Path) -> str:
    """Copy the artifacts from the working tree to the same paths below `into`; return the hash of the copies."""
    taken = sorted(artifacts)
    for path in taken:
        (into / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(store.work / path, into / path, follow_symlinks=False)
    return artifacts_hash(taken, into)


def artifacts_hash(artifacts: Sequence[str], top: Path) -> str:
    """Return one hash over the paths, kinds (link, program, file) and contents of the files."""
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


def has_these_artifacts(context: Context, image: Image, desired: DesiredImage, store: Store, place: Place) -> bool:
    """Return whether ECR's image was built with the artifacts that a build of the commit asked for would take here."""
    if not image.artifacts or desired.image is None:
        return True
    if desired.asked != git.head_commit(context.project.root) or any(_unmatched(image, store, place)):
        return False
    with suppress(BuildFailed):
        return _recorded(context, desired.image) == artifacts_hash(artifact_paths(image, store, place), store.work)
    return False


def _recorded(context: Context, found: EcrImage) -> str:
    """Return the hash of the artifacts that ECR's image was built with. Raises: BuildFailed if it can't be read."""
    from deploytasks.builders import Login, labels_of  # requests, which only artifacts need here

    user, password = ecr.login(context.ecr, found.repository)
    login = Login(context.project.registry.host, user, password)
    return labels_of(f"{login.host}/{found.repository}@{found.digest}", login).get(ARTIFACTS_LABEL, "none")


def _others(context: Context, image: Image, desired: DesiredImage, store: Store, place: Place) -> Iterator[Complaint]:
    """Yield a complaint if ECR's image of the commit was built with other artifacts; it is never replaced."""
    if desired.image is None:
        return
    try:
        recorded = _recorded(context, desired.image)
    except BuildFailed as error:
        say(
            context,
            "build",
            f"not checked: which artifacts it was made with ({error.complaints[0].what})",
            image.name,
        )
        return
    here = artifacts_hash(artifact_paths(image, store, place), store.work)
    if recorded != here:
        asked = desired.asked or desired.commit_tag
        there = f"{tags.short(asked)} is in ECR with other artifacts"
        what = f"{there} ({recorded[:12]}) than those that are here ({here[:12]})"
        advice = f"--commit {asked} takes the image that ECR has; commit what changed them to make another"
        yield Complaint(f"images.{image.name}.artifacts", what, advice)


def _unmatched(image: Image, store: Store, place: Place) -> Iterator[str]:
    return (pattern for pattern in image.artifacts if not _matching(store, place, pattern))


def _why_unmatched(store: Store, place: Place, pattern: str) -> tuple[str, str]:
    if left_out := _ignored(store, place, pattern):
        return f"{pattern!r} matches only files that .dockerignore leaves out: {listed(left_out)}", "except them there"
    advice = "run the build step that makes it first; a file that git tracks needs no artifacts"
    return f"{pattern!r} matches no git-ignored file of the context", advice


def _matching(store: Store, place: Place, pattern: str) -> list[str]:
    """Return the files that git ignores and `.dockerignore` does not."""
    return [path for path in _ignored(store, place, pattern) if place.has(path)]


def _ignored(store: Store, place: Place, pattern: str) -> list[str]:
    asked = ("ls-files", "--others", "--ignored", "--exclude-standard", "--full-name", "-z", "--", f":(glob){pattern}")
    try:
        found = git.ask(store.work / place.directory, *asked).split("\0")
    except Invalid:
        return []
    return [path for path in found if path]
