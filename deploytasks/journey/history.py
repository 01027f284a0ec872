"""A tier's releases: what was certified when, by whom, and where each runs now. Changes nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from itertools import islice

from deploytasks import git, tags
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.fleet import each, together
from deploytasks.history import Past, Record, history_of, past_of, titled, told, told_by, told_when_minted
from deploytasks.journey.errand import images, reach
from deploytasks.journey.observe import observe
from deploytasks.journey.overridden import overridden
from deploytasks.journey.revisions import newest_first
from deploytasks.journey.shelves import sweep, unseen
from deploytasks.model import History, Live, Override, Project, Service, Tier
from deploytasks.running import begun_at, has_begun

_ROUNDS = 3
"""Of how many targets the revisions are read, one after the other, for a release that nobody told of yet."""

_SKEW = timedelta(hours=1)
"""How far the clock of a machine that mints tags may be ahead of AWS's."""


@dataclass(frozen=True, slots=True)
class Search:
    """A target whose revisions may tell of some releases, newest first."""

    live: Live
    wanted: tuple[str, ...]


def history(project: Project, tier: Tier, services: Sequence[Service], last: int) -> History:
    """The tier's last so many releases of these services, newest first; its notes say what could not be seen.

    Raises:
        NotReady: the registry's credentials belong to another account.
        AwsError: no repository can be read.

    """
    clients, names, wanted = reach(), images(project), {service.name for service in services}
    targets = [one for one in project.targets if one.environment.tier == tier.name and one.service in wanted]
    gated = [tier.name] if tier.after else []
    lives, (swept, passed) = together(
        lambda: observe(clients, targets, names, reading="all"),
        lambda: (sweep(project, clients, services), overridden(project, clients, gated)),
    )
    past = past_of(tier.name, swept.images, names, [live for live in lives if live.target.service in swept.images])
    records, unread = _records(clients, past, list(past.minted)[:last], passed.overrides)
    seen = history_of(past, last, records)
    seen = titled(seen, git.subjects(project.root, {row.commit for row in seen.releases}))
    missing = (f"releases of {name} are missing: {why}" for name, why in swept.unread.items())
    return replace(seen, notes=(*missing, *passed.notes, *unseen(lives), *unread))


def _records(
    clients: Clients, past: Past, shown: Sequence[str], overrides: Iterable[Override]
) -> tuple[list[Record], list[str]]:
    """What tells of the shown releases: overrides, the targets, then revisions of as few as are needed; and notes."""
    records = [one for override in overrides for one in told_when_minted(past, override)]
    records += [one for live in past.lives for one in told_by(live)]
    notes: list[str] = []
    unread = [live for live in past.lives if live.primary]
    for _ in range(_ROUNDS):
        known = told(past, records)
        searches = _searches(past, unread, [tag for tag in shown if tag not in known])
        for found, why in each(partial(_read, clients, past, shown), searches):
            records += found
            notes += why
        unread = [live for live in unread if live not in [search.live for search in searches]]
    return records, notes


def _searches(past: Past, unread: Sequence[Live], missing: Iterable[str]) -> list[Search]:
    """Where each missing release is looked for: at the first target that has a service of it."""
    found: dict[int, list[str]] = {}
    for tag in missing:
        at = next((at for at, live in enumerate(unread) if live.target.service in past.minted[tag]), None)
        if at is not None:
            found.setdefault(at, []).append(tag)
    return [Search(unread[at], tuple(wanted)) for at, wanted in found.items()]


def _read(clients: Clients, past: Past, shown: Sequence[str], search: Search) -> tuple[list[Record], list[str]]:
    """What the target's revisions record of the releases looked for; and a note, where they could not be read.

    A release registers one revision as a rule, so that the first batch reaches back to the oldest.
    """
    target, depth = search.live.target, shown.index(search.wanted[-1])
    running = [each.revision for each in search.live.deployments if each.status == "PRIMARY"]
    revisions = newest_first(clients, target, at_once=max(1, depth), known=running)
    records: list[Record] = []
    try:
        for one in islice(revisions, 2 * len(shown)):
            if not has_begun(one.record):
                continue
            records.append(Record(target.service, one.record, begun_at(one.record, one.registered_at)))
            if _is_enough(past, records, search.wanted):
                break
    except AwsError as error:
        return records, [f"who released may be missing, revisions could not be read: {error}"]
    return records, []


def _is_enough(past: Past, records: Sequence[Record], wanted: Sequence[str]) -> bool:
    """Whether all is found, or what is left to read was registered before the oldest of them was minted."""
    minted_at, written_at = tags.certified_at(wanted[-1], past.tier), records[-1].written_at
    too_old = bool(minted_at and written_at and written_at < minted_at - _SKEW)
    return too_old or set(wanted) <= told(past, records).keys()
