"""Reuse the image of an earlier commit, if nothing that an image with `paths` contains changed since."""

from collections.abc import Sequence

from msgspec.structs import replace

from deploytasks import source, tags
from deploytasks.aws import ecr
from deploytasks.commands import build_context, origins
from deploytasks.commands.context import Context, say
from deploytasks.config import policy
from deploytasks.errors import AwsError, Invalid
from deploytasks.model import DesiredImage, EcrImage, Image, Reuse
from deploytasks.source import Place, Store

_MOST_TAGS = 900
"""An image with more tags is built anew, so that its release tags always fit.

Source: ECR takes 1,000 tags an image, gist.github.com/gurchik/e75cb1aa1575b2a4439fe32477019745.
"""
_SHALLOW = "built, for a shallow clone shows no earlier image to reuse (fetch-depth: 0 in CI, git fetch --unshallow)"


def nearest(context: Context, image: Image, desired: DesiredImage) -> DesiredImage:
    """Return the desired image, which ECR lacks, with the image of the nearest commit that has the same; else as it is.

    An uncommitted tree, a pattern that matches nothing and an unknown history are built, or refused by the build.
    """
    if not image.paths or tags.is_dirty(desired.commit_tag):
        return desired
    try:
        store = source.of_commit(context.project.root, desired.commit_tag)
        place = source.locate(context.project.root, image, store)
        commits = _same(context, image, store, place)
    except Invalid:
        return desired
    held = origins.find(context, image.repository, commits) if commits else {}
    since = next((commit for commit in commits if commit in held), "")
    if not since and store.ask("rev-parse", "--is-shallow-repository") == "true":
        say(context, "build", _SHALLOW, image.name)
    if not since or len(held[since].tags) > _MOST_TAGS:
        return desired
    found = _shared(desired, held[since], since)
    return found if build_context.has_these_artifacts(context, image, found, store, place) else desired


def _same(context: Context, image: Image, store: Store, place: Place) -> tuple[str, ...]:
    """Return the earlier commits that make the same image, nearest first."""
    parts = source.parts(context.project.root, image, store, place)
    if not place.dockerfile or any(source.unmatched(image, parts, store)):
        return ()

    def is_same_table(text: str) -> bool:
        found = policy.image_in(text, image.name)
        return found is not None and replace(found, repository=image.repository) == image

    return source.earlier(parts, store, is_same_table)


def _shared(desired: DesiredImage, image: EcrImage, since: str) -> DesiredImage:
    return replace(
        desired, commit_tag=image.origin or since, digest=image.digest, image=image, asked=desired.commit_tag
    )


def put(context: Context, desired: DesiredImage, reuse: Reuse) -> DesiredImage:
    """Give the image the commit's tag; if another run pushed that commit meanwhile, return its image."""
    try:
        ecr.point(context.ecr, reuse.repository, reuse.digest, [reuse.commit_tag])
    except AwsError:
        there = origins.find(context, reuse.repository, [reuse.commit_tag]).get(reuse.commit_tag)
        if there is None:
            raise
        if there.digest == reuse.digest:
            return _tagged(desired, reuse.commit_tag)
        what = f"another build pushed {tags.short(reuse.commit_tag)} first; its image is used: {there.digest}"
        say(context, "build", what, reuse.image)
        return replace(desired, commit_tag=reuse.commit_tag, digest=there.digest, image=there, asked="")
    what = f"{tags.short(reuse.commit_tag)} has the image of {tags.short(reuse.since)}: {reuse.digest[:19]}"
    say(context, "build", what, reuse.image)
    return _tagged(desired, reuse.commit_tag)


def _tagged(desired: DesiredImage, tag: str) -> DesiredImage:
    image = desired.image
    return replace(desired, image=replace(image, tags=(*image.tags, tag))) if image else desired


def reuses(desired_images: Sequence[DesiredImage]) -> tuple[Reuse, ...]:
    """Return what gives the images the tag of the commit that was asked for."""
    return tuple(desired.reuse for desired in desired_images if desired.reuse)
