"""A tier's history, from the registry's tags, the observed targets and the records on revisions.

An image that carries one of the tier's release tags was released; tags in any other form are ignored.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import tags
from deploytasks.model import EcrImage, History, Live, Override, Release, Revision, Target
from deploytasks.rules.image_index import index_images
from deploytasks.rules.observed import begun_at, record, recorded_at, what_runs

_FIRST, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Past(Struct, frozen=True):
    """A tier as observed: everything that ECR has of each image, and the tier's targets.

    `minted` is release tag → image → what it names of it, newest release first.
    """

    tier: str
    images: Mapping[str, Sequence[EcrImage]]
    lives: Sequence[Live]
    minted: Mapping[str, Mapping[str, EcrImage]]


class Record(Struct, frozen=True):
    """What was recorded when a release of `images` reached a target that runs them: our tags, without their prefix."""

    images: tuple[str, ...]
    kept: Mapping[str, str]
    written_at: datetime | None = None


def past_of(tier: str, images: Mapping[str, Sequence[EcrImage]], lives: Sequence[Live]) -> Past:
    """Return the tier's past, with every release that the images' tags name."""
    found: dict[str, dict[str, EcrImage]] = {}
    for name, held in images.items():
        for image in held:
            for tag in tags.releases(image.tags, tier):
                found.setdefault(tag, {})[name] = image
    return Past(tier, images, lives, dict(sorted(found.items(), reverse=True)))


def told_by(live: Live) -> tuple[Record, ...]:
    """Return what the target and its revision record of what runs."""
    images, registered = tuple(live.target.images), (live.definition or {}).get("registeredAt")
    began = begun_at(live.revision_tags, registered)
    return Record(images, record(live), recorded_at(live)), Record(images, live.revision_tags, began)


def told_when_minted(past: Past, override: Override) -> tuple[Record, ...]:
    """Return what was recorded when the release was let past the gate, dated before all other records of it."""
    kept = {key: getattr(override, key) for key in ("release", "commit", "by", "ci")} | {"override": override.reason}
    images = tuple(past.minted.get(override.release, ()))
    return (Record(images, kept, _FIRST),) if images else ()


def tells_who(past: Past, one: Record) -> bool:
    """Return whether the record is of a release of this tier, and names its author.

    A record written after one of its images already had a newer release was left by a rollback, or by a delayed deploy.
    """
    tag, written_at = one.kept.get("release", ""), one.written_at or _NEVER
    newer = takewhile(lambda each: each > tag, past.minted)
    next_one = min((each for each in newer if _concerns(past, each, one)), default="")
    overtaken = (tags.certified_at(next_one, past.tier) or _NEVER) <= written_at < _NEVER
    return _concerns(past, tag, one) and not overtaken


def _concerns(past: Past, release: str, one: Record) -> bool:
    """Return whether the release named one of the record's images."""
    return not past.minted.get(release, {}).keys().isdisjoint(one.images)


def told(past: Past, records: Iterable[Record]) -> dict[str, Record]:
    """Return release tag → the earliest record of its author."""
    telling = [each for each in records if tells_who(past, each)]
    telling.sort(key=lambda each: each.written_at or _NEVER, reverse=True)
    return {each.kept["release"]: each for each in telling}


def history_of(past: Past, last: int, records: Iterable[Record]) -> History:
    """Return the `last` releases, with what the records tell of each and where each runs now."""
    listed = list(records)
    who, runs = told(past, listed), _runs(past)
    configs = told(past, (one for one in listed if one.kept.get("config")))
    rows = [row for tag in list(past.minted)[:last] for row in _rows(past, tag, who.get(tag))]
    rows = [replace(row, config=configs[row.tag].kept["config"]) if row.tag in configs else row for row in rows]
    placed = tuple(replace(row, runs_in=_places(past, runs, row)) for row in rows)
    return History(past.tier, tuple(past.images), placed, older=max(0, len(past.minted) - last))


def titled(history: History, subjects: Mapping[str, str]) -> History:
    """Return the history with the known subjects of its commits."""
    rows = (replace(row, subject=subjects.get(row.commit, "")) for row in history.releases)
    return replace(history, releases=tuple(rows))


def _rows(past: Past, tag: str, one: Record | None) -> Iterator[Release]:
    """Yield the release once for each commit that its images have under it, nearly always one."""
    kept = one.kept if one else {}
    by_commit: dict[str, dict[str, str]] = {}
    for name, image in past.minted[tag].items():
        by_commit.setdefault(_commit(image, kept.get("commit", "")), {})[name] = image.digest
    for commit, digests in by_commit.items():
        yield Release(
            tag=tag,
            certified_at=tags.certified_at(tag, past.tier),
            digests=digests,
            commit=commit,
            by=kept.get("by", ""),
            ci=kept.get("ci", ""),
            override=kept.get("override", ""),
        )


def returned(past: Past, row: Release) -> tuple[EcrImage, EcrImage, bool] | None:
    """Return the image that was replaced by one of an earlier release, and that image; None if nothing returned.

    The third value is whether the returned image was released first: going forward again is not a rollback.
    """
    for name in row.digests:
        images = [named[name] for tag, named in sorted(past.minted.items()) if name in named and tag <= row.tag]
        *_, before, now = [images[0], *images]
        digests = [image.digest for image in images]
        if now.digest in digests[:-1] and before.digest != now.digest:
            return before, now, digests.index(now.digest) < digests.index(before.digest)
    return None


def _commit(image: EcrImage, recorded: str) -> str:
    """Return the recorded commit if the image carries it, else the one it is shown as; "" if it has none."""
    carried = image.commits
    return recorded if recorded in carried else next(iter(carried), "")


Runs = Mapping[tuple[str, str], Sequence[Target]]
"""Release tag and image → the targets that run that image of the release now."""


def _runs(past: Past) -> Runs:
    held = {name: index_images(images) for name, images in past.images.items()}
    runs: dict[tuple[str, str], list[Target]] = {}
    for live in past.lives:
        for name in held.keys() & live.target.images.keys():
            found = (held[name].by_digest.get(digest) for digest in what_runs(live, name)[0])
            for tag in {_release(image, live) for image in found if image}:
                runs.setdefault((tag, name), []).append(live.target)
    return runs


def _release(image: EcrImage, live: Live) -> str:
    """Return which of the image's releases brought it: the recorded one, else the newest; "" if none."""
    carried, recorded = tags.releases(image.tags, live.target.environment.tier), record(live).get("release", "")
    return recorded if recorded in carried else next(reversed(carried), "")


def _places(past: Past, runs: Runs, row: Release) -> tuple[str, ...]:
    """Return the environments where all targets of the row's images run it; elsewhere the targets that do."""
    running = {target for name in row.digests for target in runs.get((row.tag, name), ())}
    there = [live.target for live in past.lives if not row.digests.keys().isdisjoint(live.target.images)]
    missing = {target.environment for target in there if target not in running}
    ours = (target for target in there if target in running)
    return tuple(dict.fromkeys(str(each if each.environment in missing else each.environment) for each in ours))


Minted = Mapping[str, Mapping[str, EcrImage]]
"""Release tag → image → what it names of it, newest release first."""


def until(minted: Minted, tier: str, at: datetime) -> list[str]:
    """Return the release tags that were minted by that time, newest first."""
    return [tag for tag in minted if _minted_by(tag, tier, at)]


def before(
    tier: str,
    minted: Minted,
    present: Mapping[str, EcrImage],
    *,
    held: bool,
    stays: Mapping[str, EcrImage] | None = None,
) -> Iterator[str]:
    """Yield the release tags before the present one that a rollback may restore, best first.

    The best is the newest older one under which some image was another. If the tier is `held`, it was
    rolled back already: then skip images released after the first release of its present ones. `stays` is what the tier
    tag names, if it does not move.
    """
    start = _start(tier, present, held=held)
    fled = _fled(tier, minted, present, start, stays) if held else set()
    earlier = ((tag, state(minted, tag, present)) for tag in minted if tag < start)
    yield from (tag for tag, then in earlier if _differs(then, present) and not fled & _digests_of(then))


def state(minted: Minted, release: str, images: Collection[str]) -> dict[str, tuple[str, EcrImage]]:
    """Return what each image was when the release was minted: its newest release until then, and what that names.

    An image without a release by then is left out.
    """
    found: dict[str, tuple[str, EcrImage]] = {}
    for tag in sorted(tag for tag in minted if tag <= release):
        found |= {name: (tag, image) for name, image in minted[tag].items() if name in images}
    return found


def newest_of(images: Sequence[EcrImage], tier: str) -> EcrImage | None:
    """Return the image with the newest release."""
    return max(images, key=lambda image: tags.newest_release(image.tags, tier) or "", default=None)


def best(revisions: Iterable[Revision]) -> Revision | None:
    """Return the newest revision whose rollout did not fail, else the newest; `revisions` come newest first."""
    failed: Revision | None = None
    for revision in revisions:
        if not revision.record.get("ended"):
            return revision
        failed = failed or revision
    return failed


def _start(tier: str, present: Mapping[str, EcrImage], *, held: bool) -> str:
    """Return the tag that a release must precede to be restored."""
    releases = [tags.releases(image.tags, tier) for image in present.values()]
    return max((each[0] if held else each[-1] for each in releases if each), default="")


def _fled(
    tier: str, minted: Minted, present: Mapping[str, EcrImage], start: str, stays: Mapping[str, EcrImage] | None
) -> set[str]:
    """Return the digests that were rolled back from: those released since `start`, and those of the state before.

    An image that was restored may never have been released in the tier before. A rollback mints no release if the tier
    tag `stays`: then that tag names what was rolled back from.
    """
    later, here = _digests(minted, (tag for tag in minted if tag > start)), {image.digest for image in present.values()}
    if stays is not None:
        return (later | {image.digest for image in stays.values()}) - here
    newest = _start(tier, present, held=False)
    last = next((tag for tag in minted if tag < newest), "")
    return (later | _digests_of(state(minted, last, present))) - here


def _differs(then: Mapping[str, tuple[str, EcrImage]], present: Mapping[str, EcrImage]) -> bool:
    return any(image.digest != present[name].digest for name, (_, image) in then.items())


def _digests(minted: Minted, releases: Iterable[str]) -> set[str]:
    return {image.digest for release in releases for image in minted[release].values()}


def _digests_of(then: Mapping[str, tuple[str, EcrImage]]) -> set[str]:
    return {image.digest for _, image in then.values()}


def _minted_by(tag: str, tier: str, at: datetime) -> bool:
    certified = tags.certified_at(tag, tier)
    return certified is not None and certified <= at
