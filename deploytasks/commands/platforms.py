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
from deploytasks.model import Definition, DesiredImage, EcrImage, Live, Platform, Target, desired_by, image_name
from deploytasks.rules.observed import given, has_arrived
from deploytasks.template.check import joined
from deploytasks.template.rules import names_platform, platform_rules


class _Given(Struct, frozen=True):
    """One of a target's images, as ECR has it; `desired` is what the target is rendered for."""

    target: Target
    desired: DesiredImage
    image: DesiredImage
    found: EcrImage


def misfits(
    context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]
) -> Iterator[Complaint | Note]:
    """Yield complaints about images that do not run where the targets' definitions ask for, and notes on unread ones.

    Only targets whose definition or image would change are checked. Images of another project are refused too.
    """
    asked = list(_asked(context, lives, desired_images))
    images = {(each.found.repository, each.found.digest): each for each in asked}
    answers = concurrency.each(partial(_read, context), (each.found for each in images.values()))
    read = dict(zip(images, answers, strict=True))
    yield from joined(
        (each.target, complaint)
        for each in asked
        if isinstance(known := read[each.found.repository, each.found.digest], _Known)
        for complaint in _complaints(context, each, known.platforms)
    )
    for key, known in read.items():
        if isinstance(known, _Known) and known.project not in ("", context.project.name):
            yield ownership.foreign_image(context.project, images[key].image, known.project)
    if unread := [each for each in read.values() if isinstance(each, AwsError)]:
        why = listed(list(dict.fromkeys(map(reason, unread))), 2)
        yield Note(f"not checked: the platform of {len(unread)} image{'s' * (len(unread) > 1)} ({why})")


def _asked(context: Context, lives: Iterable[Live], desired_images: Iterable[DesiredImage]) -> Iterator[_Given]:
    """Yield each image that the definition of a target gives to a container, if it would change and names a platform.

    Of targets that could not be read, include only those for which AWS itself has answered, for example that the
    cluster is missing.
    """
    listed = tuple(desired_images)
    known = {desired.name for desired in listed}
    for live in lives:
        if not known >= live.target.images.keys() or (live.complaint and not live.error_code):
            continue
        desired = desired_by(live.target, listed)
        with suppress(Invalid):  # other checks report what is wrong with the template
            request = rollouts.render(context, live.target, desired)[0]
            if names_platform(request) and _is_new(context, live, desired):
                used = (each for each in desired.with_uses if _is_given(context, live.target, request, each))
                yield from (_Given(live.target, desired, each, each.image) for each in used if each.image)


def _is_given(context: Context, target: Target, request: Definition, image: DesiredImage) -> bool:
    return bool(given(request["containerDefinitions"], image_name(target, context.tier, image)))


def _is_new(context: Context, live: Live, desired: DesiredImage) -> bool:
    if rollouts.changes(context, live, desired):
        return True
    return context.tier.pin == "tag" and not has_arrived(live, desired)


class _Known(Struct, frozen=True):
    """An image's platforms, and its label that names the project; "" if it has none or it was not read."""

    platforms: tuple[Platform, ...]
    project: str = ""


def _read(context: Context, image: EcrImage) -> _Known | AwsError:
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


def _complaints(context: Context, one: _Given, platforms: Sequence[Platform]) -> tuple[Complaint, ...]:
    request, image = rollouts.render(context, one.target, one.desired)[0], one.image
    shown = f"the image {image.repository}@{str(image.digest)[:19]} (commit {tags.short(image.commit_tag)})"
    found = platform_rules(request, platforms, shown)
    return context.renderer.complaints(one.target, one.desired, found)
