"""Compare the platforms of images in ECR with what the changed definitions ask for, before the first write.

An image still to be built is checked with its template. An index's platforms are in its manifest, which has been
read; the config of a plain image is read once, and gives its project label without a further call. What may
not or cannot be read refuses nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial

from msgspec import Struct

from deploytasks import concurrency, tags
from deploytasks.aws import ecr
from deploytasks.aws.errors import reason
from deploytasks.commands import ownership, rollouts
from deploytasks.commands.context import Context
from deploytasks.commands.preflight import Note
from deploytasks.errors import AwsError, Complaint, Invalid, listed
from deploytasks.model import DesiredImage, Image, Live, Platform, Target
from deploytasks.rules.observed import has_arrived
from deploytasks.template.check import joined
from deploytasks.template.render import image_name
from deploytasks.template.rules import names_platform, platform_rules


def misfits(
    context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]
) -> Iterator[Complaint | Note]:
    """Yield complaints about images that do not run where the targets' definitions ask for, and notes on unread ones.

    Only targets whose definition or image would change are checked. Images of another project are refused too.
    """
    asked = list(_asked(context, lives, desired_images))
    images = {(desired.repository, desired.digest): (desired, image) for _, desired, image in asked}
    answers = concurrency.each(partial(_read, context), (image for _, image in images.values()))
    read = dict(zip(images, answers, strict=True))
    found = [(target, desired, read[desired.repository, desired.digest]) for target, desired, _ in asked]
    yield from joined(
        (target, complaint)
        for target, desired, known in found
        if isinstance(known, _Known)
        for complaint in _complaints(context, target, desired, known.platforms)
    )
    for key, known in read.items():
        if isinstance(known, _Known) and known.project not in ("", context.project.name):
            yield ownership.foreign_image(context.project, images[key][0], known.project)
    if unread := [each for each in read.values() if isinstance(each, AwsError)]:
        why = listed(list(dict.fromkeys(map(reason, unread))), 2)
        yield Note(f"not checked: the platform of {len(unread)} image{'s' * (len(unread) > 1)} ({why})")


def _asked(
    context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]
) -> Iterator[tuple[Target, DesiredImage, Image]]:
    """Yield the targets that would change, if their definition names a platform.

    Of targets that could not be read, include only those for which AWS itself has answered, for example that the
    cluster is missing.
    """
    by_service = {desired.service: desired for desired in desired_images}
    for live in lives:
        desired = by_service.get(live.target.service)
        if desired is None or desired.image is None or (live.complaint and not live.error_code):
            continue
        with suppress(Invalid):  # other checks report what is wrong with the template
            request = rollouts.render(context, live.target, desired)[0]
            if names_platform(request) and _is_new(context, live, desired):
                yield live.target, desired, desired.image


def _is_new(context: Context, live: Live, desired: DesiredImage) -> bool:
    if rollouts.changes(context, live, desired):
        return True
    return context.tier.pin == "tag" and not has_arrived(live, desired, context.images[desired.service])


class _Known(Struct, frozen=True):
    """An image's platforms, and its label that names the project; "" if it has none or it was not read."""

    platforms: tuple[Platform, ...]
    project: str = ""


def _read(context: Context, image: Image) -> _Known | AwsError:
    """Return what is known of the image; read its manifest if that has not been read."""
    try:
        if not (image.platforms or image.config):
            image = ecr.find(context.ecr, image.repository, [image.digest]).get(image.digest, image)
        if image.platforms:
            return _Known(image.platforms)
        if not image.config:
            return AwsError(Complaint(f"ECR {image.repository}", "the manifest does not tell"))
        config = ecr.image_config(context.ecr, image.repository, image.config)
        return _Known((config.platform,), config.labels.get(ownership.LABEL, ""))
    except AwsError as error:
        return error


def _complaints(
    context: Context, target: Target, desired: DesiredImage, platforms: Sequence[Platform]
) -> tuple[Complaint, ...]:
    request = rollouts.render(context, target, desired)[0]
    shown = f"the image {desired.repository}@{str(desired.digest)[:19]} (commit {tags.short(desired.commit_tag)})"
    found = platform_rules(request, platforms, shown)
    return context.renderer.complaints(
        target, desired, image_name(context.project, target, context.tier, desired), found
    )
