"""Where a tier may go back to: the releases that ECR holds, and the revisions that each target ran them with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice, takewhile

from deploytasks import fleet, going_back, tags
from deploytasks.errors import Complaint, NotBuilt, NotReady, raise_all
from deploytasks.history import past_of
from deploytasks.journey import wishes
from deploytasks.journey.carrying import look
from deploytasks.journey.errand import Errand, say
from deploytasks.journey.locking import hold_of
from deploytasks.journey.revisions import newest_first
from deploytasks.journey.shelves import Sweep, sweep
from deploytasks.model import Image, Live, LockState, Revision, Target, Wish
from deploytasks.running import begun_at, has_begun, what_runs
from deploytasks.stock import stock

_REVISIONS = 200
"""So many revisions of a target are looked through, newest first, for the one that a release ran with."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Where it goes: what each service shall run, and each target's revision of then, as far as there is one.

    Of a release that `never_began` on a target, revisions were registered there, and nothing more.
    """

    name: str
    wishes: tuple[Wish, ...]
    revisions: Mapping[Target, Revision | None]
    never_began: frozenset[Target] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """All that the goal is chosen from; `present` is what is gone back from, by service."""

    swept: Sweep
    present: Mapping[str, Image]
    lives: tuple[Live, ...]
    hold: LockState | None


def found_by(errand: Errand) -> Found:
    """All that a rollback looks at, seen at once.

    Raises:
        NotReady: a repository can't be read.

    """
    swept, pointed, lives, hold = fleet.together(
        lambda: sweep(errand.project, errand.clients, errand.services),
        lambda: wishes.present(errand),
        lambda: look(errand, "all"),
        lambda: hold_of(errand),
    )
    raise_all(NotReady, list(swept.unread.values()))
    present = _running(errand, swept, lives) if is_partial(errand) else pointed
    return Found(swept, present, lives, hold)


def is_partial(errand: Errand) -> bool:
    """Whether only some of the tier's targets are selected: then the tier tag, which is everybody's, stays."""
    scope = errand.scope
    return bool(scope.tenants or scope.services or scope.exclude)


def _running(errand: Errand, swept: Sweep, lives: Sequence[Live]) -> dict[str, Image]:
    """What the selected targets run, by service; of several images the one of the newest release."""
    stocks = {service: stock(errand.images[service], images) for service, images in swept.images.items()}
    running: dict[str, list[Image]] = {}
    for live in lives:
        held = stocks[live.target.service]
        known = (held.by_digest.get(digest) for digest in what_runs(live, held.name)[0])
        running.setdefault(live.target.service, []).extend(image for image in known if image)
    newest = {service: going_back.newest_of(images, errand.tier.name) for service, images in running.items()}
    return {service: image for service, image in newest.items() if image}


def goals(errand: Errand, found: Found) -> Iterator[Goal]:
    """Where the tier may go back to, best first; unless it is asked for, no release that is known to have failed.

    The hold of a rollback names what it went back to; whether that is done already, the caller sees.
    """
    tier, to, at = errand.tier.name, errand.options.to, errand.options.at
    if to and not tags.is_release(to, tier):
        yield _to_commit(errand, found)
        return
    minted = past_of(tier, found.swept.images, errand.images, ()).minted
    if to:
        asked = [to] if to in minted else []
    elif at:
        asked = going_back.until(minted, tier, at)
    else:
        asked = [found.hold.release] if found.hold and found.hold.release in minted else []
    yield from (_to_release(errand, found, minted, release) for release in asked)
    if not (to or at):
        yield from _before(errand, found, minted)


def _before(errand: Errand, found: Found, minted: going_back.Minted) -> Iterator[Goal]:
    """The releases before the present one; those whose every known rollout failed are passed over, which is told."""
    for release in going_back.before(errand.tier.name, minted, found.present, held=found.hold is not None):
        goal = _to_release(errand, found, minted, release)
        if not _failed(goal):
            yield goal
        else:
            say(errand, "choose", f"{release} is passed over: its rollouts failed")


def nowhere(errand: Errand) -> NotBuilt:
    """Why there is nothing to go back to, and what to do."""
    what = "there is no release before the present one"
    if errand.options.to:
        what = f"there is no {errand.options.to} in ECR"
    elif errand.options.at:
        what = f"there was no release at {errand.options.at:%Y-%m-%dT%H:%M:%SZ}"
    to_do = f"inv release.history {errand.tier.name} shows what there is; --to takes any commit that is in ECR, too"
    return NotBuilt(Complaint(errand.tier.name, what, to_do))


def _to_release(errand: Errand, found: Found, minted: going_back.Minted, release: str) -> Goal:
    then = going_back.state(minted, release, found.swept.images)
    return Goal(release, tuple(_wishes(errand, found, then)), *_revisions(errand, found, then))


def _to_commit(errand: Errand, found: Found) -> Goal:
    wanted = wishes.to_deploy(errand)
    then = {wish.service: (wish.release or "", wish.image) for wish in wanted if wish.image}
    return Goal(wanted[0].commit_tag, wanted, *_revisions(errand, found, then))


def _wishes(errand: Errand, found: Found, then: Mapping[str, tuple[str, Image]]) -> Iterator[Wish]:
    """What each service ran then; one that had no release yet stays as it is."""
    for service in errand.services:
        release, image = then.get(service.name, ("", found.present.get(service.name)))
        if image:
            yield replace(wishes.of_image(errand, service, image), release=release or None)


def _revisions(
    errand: Errand, found: Found, then: Mapping[str, tuple[str, Image]]
) -> tuple[dict[Target, Revision | None], frozenset[Target]]:
    """Each target's best revision of the image's releases, and where they never began.

    A mutable tag says what runs, whatever the revision.
    """
    if errand.tier.pin == "tag" and errand.tier.tag == "mutable":
        return {}, frozenset()
    targets = [live.target for live in found.lives if live.exists and live.target.service in then]
    carried = {service: tags.releases(image.tags, errand.tier.name) for service, (_, image) in then.items()}
    known = dict(zip(targets, fleet.each(partial(_carrying, errand, carried), targets), strict=True))
    begun = {target: [one for one in listed if has_begun(one.record)] for target, listed in known.items()}
    unbegun = frozenset(target for target, listed in known.items() if listed and not begun[target])
    return {target: going_back.best(listed) for target, listed in begun.items()}, unbegun


def _carrying(errand: Errand, carried: Mapping[str, Sequence[str]], target: Target) -> list[Revision]:
    """Return the target's revisions that record one of the releases, newest first, as far as the best is among them."""
    releases = carried[target.service]
    if not releases:
        return []
    return _found(errand, releases, target, "ACTIVE") or _found(errand, releases, target, "INACTIVE")


def _found(errand: Errand, releases: Sequence[str], target: Target, status: str) -> list[Revision]:
    """Return those among the usable revisions, or among the deregistered ones, of which copies can be registered."""
    revisions = islice(newest_first(errand.clients, target, at_once=8, status=status), _REVISIONS)
    recent = takewhile(partial(_may_carry, tags.certified_at(releases[0], errand.tier.name)), revisions)
    found: list[Revision] = []
    for one in recent:
        if one.record.get("project") == errand.project.name and one.record.get("release") in releases:
            found.append(one)
            if has_begun(one.record) and not one.record.get("ended"):
                break
    return found


def _may_carry(oldest: datetime | None, revision: Revision) -> bool:
    """Whether it is young enough for a release of that time, whichever machine's clock named it."""
    began = begun_at(revision.record, revision.registered_at)
    return oldest is None or began is None or began > oldest - timedelta(days=1)


def _failed(goal: Goal) -> bool:
    known = [revision for revision in goal.revisions.values() if revision]
    return bool(known or goal.never_began) and all(revision.record.get("ended") for revision in known)
