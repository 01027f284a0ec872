"""Which release a tier goes back to, and what each of its services ran then. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from deploytasks import tags
from deploytasks.model import Image, Revision

Minted = Mapping[str, Mapping[str, Image]]
"""Release tag → service → the image that it names, newest release first."""


def until(minted: Minted, tier: str, at: datetime) -> list[str]:
    """The release tags that were minted by that time, newest first."""
    return [tag for tag in minted if _minted_by(tag, tier, at)]


def before(
    tier: str, minted: Minted, present: Mapping[str, Image], *, held: bool, stays: Mapping[str, Image] | None = None
) -> Iterator[str]:
    """The release tags before the present one that may be gone back to, best first.

    The best is the newest older one under which some service ran another image. Where the tier is `held`, it was
    taken back already: then no image that came after the first release of its present ones is gone back to. `stays` is
    what the tier tag names where it does not move.
    """
    start = _start(tier, present, held=held)
    fled = _fled(tier, minted, present, start, stays) if held else set()
    earlier = ((tag, state(minted, tag, present)) for tag in minted if tag < start)
    yield from (tag for tag, then in earlier if _differs(then, present) and not fled & _digests_of(then))


def state(minted: Minted, release: str, services: Collection[str]) -> dict[str, tuple[str, Image]]:
    """What each service ran when the release was minted: its newest release until then, and the image.

    One that had none yet is left out.
    """
    found: dict[str, tuple[str, Image]] = {}
    for tag in sorted(tag for tag in minted if tag <= release):
        found |= {service: (tag, image) for service, image in minted[tag].items() if service in services}
    return found


def newest_of(images: Sequence[Image], tier: str) -> Image | None:
    """Of several images that run, the one of the newest release."""
    return max(images, key=lambda image: tags.newest_release(image.tags, tier) or "", default=None)


def best(revisions: Iterable[Revision]) -> Revision | None:
    """Of a release's revisions, newest first, the newest whose rollout did not fail; the newest, where all did."""
    failed: Revision | None = None
    for revision in revisions:
        if not revision.record.get("ended"):
            return revision
        failed = failed or revision
    return failed


def _start(tier: str, present: Mapping[str, Image], *, held: bool) -> str:
    """Only what was released before this tag may be gone back to."""
    releases = [tags.releases(image.tags, tier) for image in present.values()]
    return max((each[0] if held else each[-1] for each in releases if each), default="")


def _fled(
    tier: str, minted: Minted, present: Mapping[str, Image], start: str, stays: Mapping[str, Image] | None
) -> set[str]:
    """The digests that were gone back from: what was released since `start`, and what stood before the present state.

    An image that was gone back to may never have been released in the tier before. Going back minted no release where
    the tier tag `stays`: there that names what was gone back from.
    """
    later, here = _digests(minted, (tag for tag in minted if tag > start)), {image.digest for image in present.values()}
    if stays is not None:
        return (later | {image.digest for image in stays.values()}) - here
    newest = _start(tier, present, held=False)
    last = next((tag for tag in minted if tag < newest), "")
    return (later | _digests_of(state(minted, last, present))) - here


def _differs(then: Mapping[str, tuple[str, Image]], present: Mapping[str, Image]) -> bool:
    return any(image.digest != present[service].digest for service, (_, image) in then.items())


def _digests(minted: Minted, releases: Iterable[str]) -> set[str]:
    return {image.digest for release in releases for image in minted[release].values()}


def _digests_of(then: Mapping[str, tuple[str, Image]]) -> set[str]:
    return {image.digest for _, image in then.values()}


def _minted_by(tag: str, tier: str, at: datetime) -> bool:
    certified = tags.certified_at(tag, tier)
    return certified is not None and certified <= at
