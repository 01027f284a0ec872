"""List a tier's releases: what was certified, when, by whom, and where each runs now. Read-only."""

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import git, tags
from deploytasks.commands.config_deploys import config_deploys
from deploytasks.commands.context import reach
from deploytasks.commands.images import sweep, unseen
from deploytasks.commands.observe import observe
from deploytasks.commands.origins import known_origins
from deploytasks.commands.overrides import overridden
from deploytasks.commands.revisions import Trail
from deploytasks.concurrency import each, together
from deploytasks.errors import listed
from deploytasks.model import History, Job, Override, Project, Release, Service, Tier
from deploytasks.rules.observed import begun_at, has_begun
from deploytasks.rules.releases import (
    Past,
    Record,
    history_of,
    past_of,
    returned,
    titled,
    told,
    told_by,
    told_when_minted,
)
from deploytasks.template.render import Renderer

_ROUNDS = 3
"""How many targets' revisions are searched, one after the other, for a release without a record yet."""

_BATCH = 5
"""How many revisions are read at a time after the first batch, one for each release shown."""

_SKEW = timedelta(hours=1)
"""How far the clock of a machine that creates release tags may be ahead of AWS's."""

_MOST_READ = 2_000
_MOST_IN_ACCOUNT = 200
"""How many revisions are read for config-only deploys: of all targets together, and per account and region."""


def history(project: Project, tier: Tier, services: Sequence[Service | Job], last: int) -> History:
    """Return the tier's last `last` releases of these services' images, and the config-only deploys since then.

    Both are newest first; the notes say what could not be read.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: no repository can be read.

    """
    clients, wanted = reach(project), {service.name for service in services}
    targets = [one for one in project.of_tier(tier.name) if one.name in wanted]
    named = {name for service in services for name in (service.image, *service.uses)}
    images = [image for image in project.images if image.name in named]
    gated = [tier.name] if tier.after else []
    lives, (swept, passed) = together(
        lambda: observe(clients, targets, renderer=Renderer(project), reading="all"),
        lambda: (sweep(project, clients, images), overridden(project, clients, gated)),
    )
    read = [live for live in lives if not swept.images.keys().isdisjoint(live.target.images)]
    past = past_of(tier.name, swept.images, read)
    shown = list(past.minted)[:last]
    held = {
        name: known_origins(project.root, images, list(past.minted)[: last + 1])
        for name, images in swept.images.items()
    }
    past = past_of(tier.name, held, read)
    trails = [Trail(clients, live) for live in past.lives if live.primary and shown]
    cut = _read_back(past, trails, shown, last)
    seen = history_of(past, last, _records(past, trails, shown, passed.overrides))
    changes = config_deploys(project.name, trails, _oldest(past, shown))
    rows = tuple(replace(row, rollback=_is_rollback(project, past, row)) for row in seen.releases)
    seen = replace(seen, releases=rows, config_deploys=changes)
    seen = titled(seen, git.subjects(project.root, {row.commit for row in rows}))
    missing = (f"releases of {name} are missing: {why}" for name, why in swept.unread.items())
    return replace(seen, notes=(*missing, *passed.notes, *unseen(lives), *_unread(trails), *cut))


class Search(Struct, frozen=True):
    """A target whose revisions are searched for records of the `wanted` releases, newest first."""

    trail: Trail
    wanted: tuple[str, ...]


def _is_rollback(project: Project, past: Past, row: Release) -> bool:
    """Return whether the release was a rollback, by the order of commits, or of images if git lacks the commits."""
    found = returned(past, row)
    if found is None:
        return False
    before, now, came_first = found
    commits = (next(iter(image.commits), "") for image in (now, before))
    relation = git.relation(project.root, *commits)
    return came_first if relation == "unknown" else relation == "older"


def _oldest(past: Past, shown: Sequence[str]) -> datetime | None:
    """Return the time since which config-only deploys are listed; None if there is no release."""
    return tags.certified_at(shown[-1], past.tier) if shown else None


def _read_back(past: Past, trails: Sequence[Trail], shown: Sequence[str], last: int) -> tuple[str, ...]:
    """Read every target's revisions back to the oldest release shown; return a note if the limit was reached first."""
    if not trails:
        return ()
    accounts = Counter((trail.live.target.access.account, trail.live.target.access.region) for trail in trails)
    most = max(1, min(last, _MOST_READ // len(trails), _MOST_IN_ACCOUNT // max(accounts.values())))
    oldest = _oldest(past, shown)
    reached = each(lambda trail: _reaches(trail, oldest, most, len(shown)), trails)
    cut = [str(trail.live.target) for trail, is_there in zip(trails, reached, strict=True) if not is_there]
    if not cut:
        return ()
    what = f"only the newest {most} of their revisions were read" if most > 1 else "only their newest revision was read"
    more = f"; --last {2 * last} reads more" if most == last else ""
    return (f"older config-only deploys may be missing in {listed(cut)}: {what}{more}",)


def _reaches(trail: Trail, oldest: datetime | None, most: int, first: int) -> bool:
    """Read up to `most` revisions, `first` of them in the first batch; return whether all since `oldest` were read."""
    batch = min(first, most)
    while found := trail.more(batch):
        times = (begun_at(one.record, one.registered_at) for one in found if has_begun(one.record))
        if oldest and any(at and at < oldest for at in times):
            return True
        if len(trail.read) >= most:
            return not trail.has_more()
        batch = min(_BATCH, most - len(trail.read))
    return True


def _unread(trails: Iterable[Trail]) -> tuple[str, ...]:
    failed = [(str(trail.live.target), trail.error) for trail in trails if trail.error]
    if not failed:
        return ()
    what = "who released, and config-only deploys, may be missing: revisions could not be read"
    return (f"{what} of {listed([target for target, _ in failed])}: {failed[0][1]}",)


def _records(past: Past, trails: Sequence[Trail], shown: Sequence[str], overrides: Iterable[Override]) -> list[Record]:
    """Return records of the shown releases: of overrides, of the targets, then of as few revisions as needed."""
    records = [one for override in overrides for one in told_when_minted(past, override)]
    records += [one for live in past.lives for one in told_by(live)]
    unread = list(trails)
    records += [one for trail in trails for one in _records_of(trail)]
    for _ in range(_ROUNDS):
        known = told(past, records)
        searches = _searches(past, unread, [tag for tag in shown if tag not in known])
        records += [one for found in each(partial(_read, past, shown), searches) for one in found]
        searched = [search.trail for search in searches]
        unread = [trail for trail in unread if trail not in searched]
    return records


def _records_of(trail: Trail) -> list[Record]:
    begun = (one for one in trail.read if has_begun(one.record))
    images = tuple(trail.live.target.images)
    return [Record(images, one.record, begun_at(one.record, one.registered_at)) for one in begun]


def _searches(past: Past, unread: Sequence[Trail], missing: Iterable[str]) -> list[Search]:
    """Return where to search for each missing release: at the first unread target of one of its images."""
    found: dict[int, list[str]] = {}
    for tag in missing:
        images = past.minted[tag].keys()
        at = next((at for at, trail in enumerate(unread) if not images.isdisjoint(trail.live.target.images)), None)
        if at is not None:
            found.setdefault(at, []).append(tag)
    return [Search(unread[at], tuple(wanted)) for at, wanted in found.items()]


def _read(past: Past, shown: Sequence[str], search: Search) -> list[Record]:
    """Return the records of the target's revisions, read until the wanted releases are found.

    A release usually registers one revision, so the first batch reaches back to the oldest wanted release.
    """
    trail, depth = search.trail, shown.index(search.wanted[-1])
    while not _is_enough(past, _records_of(trail), search.wanted):
        most = min(max(1, depth), 2 * len(shown) - len(trail.read))
        if most < 1 or not trail.more(most):
            break
    return _records_of(trail)


def _is_enough(past: Past, records: Sequence[Record], wanted: Sequence[str]) -> bool:
    """Return whether all wanted are found, or the unread revisions are older than the oldest wanted release tag."""
    minted_at, written_at = tags.certified_at(wanted[-1], past.tier), records[-1].written_at if records else None
    too_old = bool(minted_at and written_at and written_at < minted_at - _SKEW)
    return too_old or set(wanted) <= told(past, records).keys()
