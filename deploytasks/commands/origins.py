"""Read images from ECR, and of those with several commit tags the commit that they are shown as."""

from collections.abc import Collection, Iterable
from pathlib import Path

from msgspec.structs import replace

from deploytasks import concurrency, git, tags
from deploytasks.aws import ecr
from deploytasks.commands.context import Context
from deploytasks.model import EcrImage


def find(context: Context, repository: str, references: Iterable[str]) -> dict[str, EcrImage]:
    """Return what `ecr.find` returns, each image with its origin."""
    found = ecr.find(context.ecr, repository, references)
    images = {image.digest: image for image in found.values()}
    known = {image.digest: image for image in known_origins(context.project.root, images.values())}
    return {reference: known[image.digest] for reference, image in found.items()}


def known_origins(root: Path, images: Iterable[EcrImage], shown: Collection[str] | None = None) -> tuple[EcrImage, ...]:
    """Return the images; those with several commit tags have their origin, as far as git can tell.

    If only some are `shown`, by tag or digest, git is asked about those alone: it takes a process for each.
    """

    def known(image: EcrImage) -> EcrImage:
        is_shown = shown is None or not {image.digest, *image.children, *image.tags}.isdisjoint(shown)
        return _known_origin(root, image) if is_shown else image

    return tuple(concurrency.each(known, images))


def _known_origin(root: Path, image: EcrImage) -> EcrImage:
    several = tags.commits(image.tags)
    return replace(image, origin=git.oldest(root, several)) if len(several) > 1 else image
