"""Compare what images in ECR are built for with what the changed definitions ask for, before the first write.

An image that is still to be built is judged with its template. What an index is for stands in its manifest, which is
at hand; the config of a plain image is read once, and its label that names the project at no further call. What may not
or cannot be read refuses nothing.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from deploytasks import fleet, tags
from deploytasks.aws import ecr, image_config
from deploytasks.aws.failures import reason
from deploytasks.errors import AwsError, Complaint, Invalid, listed
from deploytasks.journey import ownership, rolling
from deploytasks.journey.errand import Errand
from deploytasks.journey.preflight import Note
from deploytasks.model import Image, Live, Platform, Target, Wish
from deploytasks.running import has_arrived
from deploytasks.template.check import joined
from deploytasks.template.render import Renderer, image_name
from deploytasks.template.rules_platform import names_platform, platform_rules


def misfits(
    errand: Errand, renderer: Renderer, lives: Iterable[Live], wishes: Iterable[Wish]
) -> Iterator[Complaint | Note]:
    """Complain of images that do not run where the targets' definitions ask for; note those that could not be read.

    Only targets whose definition or image would change are looked at. Images of another project are refused too.
    """
    asked = list(_asked(errand, renderer, lives, wishes))
    images = {(wish.repository, wish.digest): (wish, image) for _, wish, image in asked}
    answers = fleet.each(partial(_read, errand), (image for _, image in images.values()))
    read = dict(zip(images, answers, strict=True))
    found = [(target, wish, read[wish.repository, wish.digest]) for target, wish, _ in asked]
    yield from joined(
        (target, complaint)
        for target, wish, known in found
        if isinstance(known, _Known)
        for complaint in _complaints(errand, renderer, target, wish, known.platforms)
    )
    for key, known in read.items():
        if isinstance(known, _Known) and known.project not in ("", errand.project.name):
            yield ownership.foreign_image(errand.project, images[key][0], known.project)
    if unread := [each for each in read.values() if isinstance(each, AwsError)]:
        why = listed(list(dict.fromkeys(map(reason, unread))), 2)
        yield Note(f"not checked: the platform of {len(unread)} image{'s' * (len(unread) > 1)} ({why})")


def _asked(
    errand: Errand, renderer: Renderer, lives: Iterable[Live], wishes: Iterable[Wish]
) -> Iterator[tuple[Target, Wish, Image]]:
    """Yield the targets that something new comes to, whose definition names a platform.

    Of those that could not be looked at, only where AWS itself has answered: a cluster that is missing, say.
    """
    by_service = {wish.service: wish for wish in wishes}
    for live in lives:
        wish = by_service.get(live.target.service)
        if wish is None or wish.image is None or (live.complaint and not live.error_code):
            continue
        with suppress(Invalid):  # other checks tell what is wrong with the template
            request = rolling.render(errand, renderer, live.target, wish)[0]
            if names_platform(request) and _is_new(errand, renderer, live, wish):
                yield live.target, wish, wish.image


def _is_new(errand: Errand, renderer: Renderer, live: Live, wish: Wish) -> bool:
    if rolling.changes(errand, renderer, live, wish):
        return True
    return errand.tier.pin == "tag" and not has_arrived(live, wish, errand.images[wish.service])


@dataclass(frozen=True, slots=True)
class _Known:
    """What an image is for, and the project whose label it carries, "" for none or where that was not read."""

    platforms: tuple[Platform, ...]
    project: str = ""


def _read(errand: Errand, image: Image) -> _Known | AwsError:
    """Return what is known of the image; its manifest is read where it is not at hand."""
    try:
        if not (image.platforms or image.config):
            image = ecr.find(errand.ecr, image.repository, [image.digest]).get(image.digest, image)
        if image.platforms:
            return _Known(image.platforms)
        if not image.config:
            return AwsError(Complaint(f"ECR {image.repository}", "the manifest does not tell"))
        config = image_config.read(errand.ecr, image.repository, image.config)
        return _Known((config.platform,), config.labels.get(ownership.LABEL, ""))
    except AwsError as error:
        return error


def _complaints(
    errand: Errand, renderer: Renderer, target: Target, wish: Wish, platforms: Sequence[Platform]
) -> tuple[Complaint, ...]:
    request = rolling.render(errand, renderer, target, wish)[0]
    shown = f"the image {wish.repository}@{str(wish.digest)[:19]} (commit {tags.short(wish.commit_tag)})"
    found = platform_rules(request, platforms, shown)
    return renderer.complaints(target, wish, image_name(errand.project, target, errand.tier, wish), found)
