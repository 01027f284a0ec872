"""Find deploys of a tier that changed definitions without a release, from the revisions that have begun."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct

from deploytasks import tags
from deploytasks.commands.revisions import Trail
from deploytasks.model import ConfigDeploy, Live, Revision, Target
from deploytasks.rules.observed import begun_at, brought_by, digest_key, has_begun, record, recorded_at
from deploytasks.template.canonical import canonical, differing


class Change(Struct, frozen=True):
    """One target's definition changed from `before` to `after`; `kept` is the record: `by`, `ci`, `release`, …."""

    live: Live
    before: Revision
    after: Revision
    at: datetime
    kept: Mapping[str, str]
    keys: tuple[str, ...]
    rollback: bool = False


def config_deploys(project: str, trails: Iterable[Trail], oldest: datetime | None) -> tuple[ConfigDeploy, ...]:
    """Return the changes since `oldest` (None: all), newest first; the same change of several targets is one row."""
    together: dict[tuple[object, ...], list[Change]] = {}
    for trail in trails:
        seen: Counter[tuple[object, ...]] = Counter()
        for change in _changes(project, trail):
            if oldest is None or change.at >= oldest:
                kind = _kind(change)
                together.setdefault((*kind, seen[kind]), []).append(change)
                seen[kind] += 1
    newest_first = sorted(together.values(), key=_order, reverse=True)
    return tuple(map(_row, newest_first))


def _order(changes: Sequence[Change]) -> tuple[datetime, int]:
    """Return when the changes began, to the second, and for those of one second the highest revision number."""
    return min(each.at for each in changes), max(_number(each.after) for each in changes)


def _number(revision: Revision) -> int:
    return int(revision.arn.rpartition(":")[2])


def _begun(project: str, trail: Trail) -> list[Revision]:
    """Return the project's revisions of the target that have begun, the earliest first."""
    known = [*trail.read, *filter(None, [trail.running])]
    ours = [one for one in known if one.record.get("project") == project and has_begun(one.record)]
    dated = [(at, _number(one), one) for one in ours if (at := _began(one))]
    return [one for *_, one in sorted(dated, key=lambda each: each[:2])]


def _began(one: Revision) -> datetime | None:
    return begun_at(one.record, one.registered_at)


def _changes(project: str, trail: Trail) -> Iterator[Change]:
    known = _begun(project, trail)
    for number, one in enumerate(known):
        at = _began(one)
        before = _before(trail.live, one, known[:number])
        if at and before and (keys := _keys(trail.live, before, one)):
            yield Change(trail.live, before, one, at, one.record, keys)
    if brought_by(trail.live, project):
        yield from _way_back(trail, known)


def _before(live: Live, one: Revision, earlier: Sequence[Revision]) -> Revision | None:
    """Return the revision that this one replaced under the same release; None if this one began the release.

    If the service's own tags record the release, no revision was registered when the release was deployed.
    """
    newest_first = list(reversed(earlier))
    if same := next((each for each in newest_first if _released(each.record) == _released(one.record)), None):
        return same
    kept, at = live.service_tags, _began(one)
    written, is_its = kept.get("at", ""), _released(kept) == _released(one.record)
    if not at or not is_its or not "" < written <= f"{at:%Y-%m-%dT%H:%M:%SZ}":
        return None
    digest = one.record.get("digest")
    return next((each for each in newest_first if each.record.get("digest") == digest), next(iter(newest_first), None))


def _released(record: Mapping[str, str]) -> dict[str, str]:
    """Return what the record tells of the release: its tag, and the digest of each image."""
    return {key: value for key, value in record.items() if key == "release" or key.partition(".")[0] == "digest"}


def _way_back(trail: Trail, known: Sequence[Revision]) -> Iterator[Change]:
    """Yield a rollback without a release tag of its own: to earlier config, or of some tenants only."""
    live, running, kept = trail.live, trail.running, record(trail.live)
    at = recorded_at(live)
    if kept is not live.service_tags or not known or not running or not at:
        return
    newest, minted = known[-1], tags.certified_at(kept.get("release", ""), live.target.environment.tier)
    newest_at = _began(newest)
    if newest.arn == running.arn or newest.record.get("ended") or (minted and newest_at and minted > newest_at):
        return
    if keys := _keys(live, newest, running):
        yield Change(live, newest, running, at, kept, keys, rollback=True)


def _keys(live: Live, before: Revision, after: Revision) -> tuple[str, ...]:
    """Return the keys that differ, ignoring tags added by others and an image's tag in place of its recorded digest."""
    return differing(*(canonical(_by_digest(one, live.target), {}) for one in (before, after)))


def _by_digest(revision: Revision, target: Target) -> Mapping[str, Any]:
    """Return the definition with recorded digests in place of tags of the tier, as a restored one names them."""
    containers, tier = revision.definition.get("containerDefinitions", []), target.environment.tier
    recorded = {uri: revision.record.get(digest_key(name, target.image)) for name, uri in target.images.items()}
    named = [{**each, "image": _pinned(str(each.get("image", "")), tier, recorded)} for each in containers]
    return {**revision.definition, "containerDefinitions": named} if named else revision.definition


def _pinned(image: str, tier: str, recorded: Mapping[str, str | None]) -> str:
    uri, _, tag = image.rpartition(":")
    is_tiers = tag == tier or tags.is_release(tag, tier)
    return f"{uri}@{recorded[uri]}" if is_tiers and recorded.get(uri) else image


def _kind(change: Change) -> tuple[object, ...]:
    """Return the key by which changes of several targets are grouped into one row."""
    kept = (change.kept.get(name, "") for name in ("config", "release", "commit", "by", "ci", "ended"))
    return (change.live.target.name, change.rollback, change.keys, *kept)


def _row(changes: Sequence[Change]) -> ConfigDeploy:
    first = min(changes, key=lambda change: change.at)
    running = [each for each in changes if each.live.primary and each.live.primary.revision == each.after.arn]
    return ConfigDeploy(
        at=first.at,
        service=first.live.target.name,
        release=first.kept.get("release", ""),
        commit=first.kept.get("commit", ""),
        config=first.kept.get("config", ""),
        keys=first.keys,
        targets=tuple(change.live.target for change in changes),
        before=canonical(first.before.definition, {}),
        after=canonical(first.after.definition, {}),
        by=first.kept.get("by", ""),
        ci=first.kept.get("ci", ""),
        rollback=first.rollback,
        ended=first.kept.get("ended", "") if not first.rollback else "",
        runs_in=tuple(str(each.live.target) for each in running),
    )
