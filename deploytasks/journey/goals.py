"""Where a tier may go back to: the releases that ECR holds, and the revisions that each target ran them with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any

from deploytasks import fleet, going_back, tags
from deploytasks.errors import Complaint, DeployError
from deploytasks.history import past_of
from deploytasks.journey import ran_then, unfinished, wishes
from deploytasks.journey.carrying import look
from deploytasks.journey.errand import Errand, say
from deploytasks.journey.locking import hold_of
from deploytasks.journey.ran_then import Then
from deploytasks.journey.shelves import Sweep, sweep
from deploytasks.model import Image, Live, LockState, Target, Wish
from deploytasks.ours import ours
from deploytasks.running import what_runs
from deploytasks.stock import Stock, stock


@dataclass(frozen=True, slots=True)
class Goal:
    """Where it goes: what each service shall run, what tells each target's revision of then, or complaints.

    It `is_unfinished` where an earlier rollback went there and was not seen to its end.

    `others` are the targets that ran another image then than their service's wish is.
    """

    name: str = ""
    at: datetime | None = None
    is_unfinished: bool = False
    wishes: tuple[Wish, ...] = ()
    thens: Mapping[Target, Then] = field(default_factory=dict)
    others: Mapping[Target, Wish] = field(default_factory=dict)
    complaints: tuple[Complaint, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """All that the goal is chosen from; `present` is what is gone back from, `pointed` what the tier tag names.

    Both are by service, as is what ECR holds. `lock` is who held the lock before us. `complaints` say what could not be
    looked at.
    """

    swept: Sweep
    stocks: Mapping[str, Stock]
    present: Mapping[str, Image]
    pointed: Mapping[str, Image]
    lives: tuple[Live, ...]
    hold: LockState | None
    lock: LockState | None
    complaints: tuple[Complaint, ...] = ()


def found_by(errand: Errand, before: LockState | None) -> Found:
    """Return all that a rollback looks at, seen at once, and complaints about what can't be seen.

    `before` is who held the tier's lock when the command began.
    """
    answers = fleet.attempts(
        lambda: sweep(errand.project, errand.clients, errand.services),
        lambda: wishes.present(errand),
        lambda: look(errand, "all"),
        lambda: hold_of(errand),
    )
    complaints = [each for answer in answers if isinstance(answer, DeployError) for each in answer.complaints]
    swept, pointed, lives, hold = (None if isinstance(answer, DeployError) else answer for answer in answers)
    swept, lives = swept or Sweep({}), lives or ()
    if pointed is None:
        pointed = _pointed(errand, swept)
    stocks = {each.name: stock(errand.images[each.name], swept.images.get(each.name, ())) for each in errand.services}
    present = _running(errand, stocks, lives) if is_partial(errand) else pointed
    return Found(swept, stocks, present, pointed, lives, hold, before, (*complaints, *swept.unread.values()))


def _pointed(errand: Errand, swept: Sweep) -> dict[str, Image]:
    """Return what the tier's tag names in the repositories that could be read."""
    tier = errand.tier.name
    return {name: image for name, images in swept.images.items() for image in images if tier in image.tags}


def is_partial(errand: Errand) -> bool:
    """Whether only some of the tier's targets are selected: then the tier tag, which is everybody's, stays."""
    scope = errand.scope
    return bool(scope.tenants or scope.services or scope.exclude)


def _running(errand: Errand, stocks: Mapping[str, Stock], lives: Sequence[Live]) -> dict[str, Image]:
    """What the selected targets run, by service; of several images the one of the newest release."""
    running: dict[str, list[Image]] = {}
    for live in lives:
        held = stocks[live.target.service]
        known = (held.by_digest.get(digest) for digest in what_runs(live, held.name)[0])
        running.setdefault(live.target.service, []).extend(image for image in known if image)
    newest = {service: going_back.newest_of(images, errand.tier.name) for service, images in running.items()}
    return {service: image for service, image in newest.items() if image}


def goals(errand: Errand, found: Found) -> Iterator[Goal]:
    """Where the tier may go back to, best first; unless it is asked for, no release that is known to have failed.

    An unfinished rollback comes first. The hold of a finished one names what it went back to; whether everybody is
    there, the caller sees.

    Raises:
        NotReady: several unfinished rollbacks went to different places.

    """
    to, at, hold = errand.options.to, errand.options.at, found.hold
    minted = past_of(errand.tier.name, found.swept.images, errand.images, ()).minted
    if to:
        yield from _to(errand, found, minted, to)
    elif at:
        stood = going_back.until(minted, errand.tier.name, at)
        yield from (_to_release(errand, found, minted, release, at) for release in stood[:1])
    else:
        for each in unfinished.of(errand, hold, found.lock):
            taken_up = _to(errand, found, minted, each.release, tags.time_told(each.at))
            yield from (replace(goal, is_unfinished=True) for goal in taken_up)
        if hold and hold.release in minted:
            yield _to_release(errand, found, minted, hold.release, tags.time_told(hold.at))
        yield from _before(errand, found, minted)


def _to(errand: Errand, found: Found, minted: going_back.Minted, to: str, at: datetime | None = None) -> Iterator[Goal]:
    """Yield the goal of that release or commit; none where there is no such release any more."""
    if not tags.is_release(to, errand.tier.name):
        yield _to_commit(replace(errand, options=replace(errand.options, to=to)), found)
    elif to in minted:
        yield _to_release(errand, found, minted, to, at)


def _before(errand: Errand, found: Found, minted: going_back.Minted) -> Iterator[Goal]:
    """The releases before the present one; those whose every known rollout failed are passed over, which is told."""
    stays = found.pointed if is_partial(errand) else None
    for release in going_back.before(errand.tier.name, minted, found.present, held=found.hold is not None, stays=stays):
        goal = _to_release(errand, found, minted, release)
        if not _failed(goal):
            yield goal
        else:
            say(errand, "choose", f"{release} is passed over: its rollouts failed")


def nowhere(errand: Errand) -> Complaint:
    """Return why there is nothing to go back to, and what to do."""
    what = "there is no release before the present one"
    if errand.options.to:
        what = f"there is no {errand.options.to} in ECR"
    elif errand.options.at:
        what = f"there was no release at {errand.options.at:%Y-%m-%dT%H:%M:%SZ}"
    to_do = f"inv release.history {errand.tier.name} shows what there is; --to takes any commit that is in ECR, too"
    return Complaint(errand.tier.name, what, to_do)


def _to_release(
    errand: Errand, found: Found, minted: going_back.Minted, release: str, at: datetime | None = None
) -> Goal:
    then = going_back.state(minted, release, found.swept.images)
    return _with_thens(errand, found, Goal(release, at, wishes=tuple(_wishes(errand, found, then))), then)


def _to_commit(errand: Errand, found: Found) -> Goal:
    wanted = wishes.to_deploy(errand)
    then = {wish.service: (wish.release or "", wish.image) for wish in wanted if wish.image}
    return _with_thens(errand, found, Goal(wanted[0].commit_tag, wishes=wanted), then)


def _wishes(errand: Errand, found: Found, then: Mapping[str, tuple[str, Image]]) -> Iterator[Wish]:
    """What each service ran then; one that had no release yet stays as it is."""
    for service in errand.services:
        release, image = then.get(service.name, ("", found.present.get(service.name)))
        if image:
            yield replace(wishes.of_image(errand, service, image), release=release or None)


def _with_thens(errand: Errand, found: Found, goal: Goal, then: Mapping[str, tuple[str, Image]]) -> Goal:
    """Return the goal with what tells each target's revision of then, and what speaks against going there."""
    targets = [live.target for live in found.lives if live.exists and live.target.service in then]
    answers = fleet.each(partial(_asked, errand, found, goal, then), targets)
    thens = {target: answer for target, answer in zip(targets, answers, strict=True) if isinstance(answer, Then)}
    ran = [(target, _other(errand, found, goal, target, each)) for target, each in thens.items() if each.how]
    complaints = [each for answer in answers if isinstance(answer, DeployError) for each in answer.complaints]
    complaints += [each for _, each in ran if isinstance(each, Complaint)]
    others = {target: each for target, each in ran if isinstance(each, Wish)}
    return replace(goal, thens=thens, others=others, complaints=tuple(dict.fromkeys(complaints)))


def _asked(
    errand: Errand, found: Found, goal: Goal, then: Mapping[str, tuple[str, Image]], target: Target
) -> Then | DeployError:
    try:
        return _then(errand, found.stocks[target.service], goal, then[target.service], target)
    except DeployError as error:
        return error


def _then(errand: Errand, held: Stock, goal: Goal, ran: tuple[str, Image], target: Target) -> Then:
    """Return what the target ran: at the goal's time, or with the image of its release.

    A release's own time means that release: its rollouts begin a little later. Where a definition names the tier's
    tag, a new image needs no new revision, so that revisions do not tell which release they ran.
    """
    (release, image), tier = ran, errand.tier
    began = goal.at == tags.certified_at(release, tier.name)
    if goal.at and not began:
        return ran_then.at_time(errand, target, goal.at)
    moves = tier.pin == "tag" and tier.tag == "mutable"
    runs = partial(_is_of, held, image)
    told = ran_then.with_image(errand, target, runs, goal.at) if moves or goal.at else None
    if told is None and moves:
        return ran_then.up_to(errand, target, release)
    return told or ran_then.with_releases(errand, target, tags.releases(image.tags, tier.name))


def _is_of(held: Stock, image: Image, digest: str) -> bool:
    return held.whole(digest) == image.digest


def _other(errand: Errand, found: Found, goal: Goal, target: Target, then: Then) -> Wish | Complaint | None:
    """Return the image of the revision of then where it is not the goal's, or why there is none."""
    if then.revision is None:
        return None
    held, number = found.stocks[target.service], then.revision.arn.rpartition("/")[2]
    wish = next(wish for wish in goal.wishes if wish.service == target.service)
    digest = _digest(errand, held, wish, then)
    image = held.by_digest.get(digest)
    if image is None:
        what = f"ECR does not hold the image of {number}, {_relative(then.how)}"
        to_do = f"leave it out: --exclude {target.environment.tenant}; or name a release or commit: --to"
        return Complaint(str(target), what, to_do)
    return None if image.digest == wish.digest else wishes.of_image(errand, errand.project.service(wish.service), image)


def _relative(how: str) -> str:
    return "which ran then" if how == ran_then.ECS_SAYS else how


def _digest(errand: Errand, held: Stock, wish: Wish, then: Then) -> str:
    """Return the digest that our container of the revision ran, or will run: a tier's tag names the wish by then."""
    tier, revision = errand.tier, then.revision
    record, definition = (revision.record, revision.definition) if revision else ({}, {})
    containers: Sequence[Mapping[str, Any]] = definition.get("containerDefinitions", [])
    for container in ours(containers, held.name, tier.name, record.get("digest", "")):
        name, _, digest = str(container["image"]).partition("@")
        tag = name.removeprefix(f"{held.name}:")
        if tag == tier.name and not digest and tier.tag == "mutable":
            return wish.digest or ""
        ran = then.digests.get(str(container["name"]), "")
        return digest or (held.by_tag[tag].digest if tag in held.by_tag else ran)
    return ""


def _failed(goal: Goal) -> bool:
    known = [then.revision for then in goal.thens.values() if then.revision]
    never_began = any(then.never_began for then in goal.thens.values())
    return bool(known or never_began) and all(revision.record.get("ended") for revision in known)
