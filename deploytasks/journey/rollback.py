"""A tier, or some of its tenants, goes back to a release that it ran before; then it is held, so that it stays there.

What is gone back to are images and definitions as AWS kept them. Nothing is built, and nothing deregistered.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from deploytasks import fleet, plan, tags
from deploytasks.aws.locks import freeing
from deploytasks.errors import Complaint, DeployError, listed, once
from deploytasks.journey import image_platforms, named, ownership, preflight, rolling, unfinished
from deploytasks.journey.carrying import put_tags, report, roll_out
from deploytasks.journey.commands import quiet
from deploytasks.journey.errand import Errand, before_any_change, begin, exact, say
from deploytasks.journey.goals import Found, Goal, found_by, goals, is_partial, nowhere
from deploytasks.journey.locking import hold_for, lock, lock_of, put_hold, replace_hold
from deploytasks.journey.ran_then import Then
from deploytasks.journey.register import register_all
from deploytasks.model import (
    GOOD_OUTCOMES,
    LockState,
    OnEvent,
    Options,
    Plan,
    Planned,
    Project,
    Report,
    Scope,
    Target,
    Wish,
)
from deploytasks.template.render import Renderer, placeholder

_LONGEST_NAMES = 2_000
"""So many characters of a hold, which has 4,096 in all, may be tenants."""


def rollback(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Every selected target runs what the release before brought, or what `options.to` or `.at` say; the tier is held.

    With tenants, services or exceptions named, the tier tag stays: it is everybody's.

    Raises:
        Refusal: nothing was changed; there is no release to go back to, or its image is gone.
        Interrupted: names what goes on at AWS.

    """
    errand = begin("rollback", project, scope, options, tell)
    renderer = Renderer(project)
    with before_any_change():
        before = lock_of(errand)
    with lock(errand) as notes:
        with before_any_change():
            found, owners = fleet.together(lambda: found_by(errand, before), lambda: ownership.look(errand))
            goal = _goal(errand, renderer, found)
            errand = replace(errand, options=replace(options, to=None if goal.at else goal.name, at=goal.at))
            noted = preflight.check_all(
                owners.found,
                *_checks(errand, renderer, found, goal),
                asking=_asking(errand, renderer, found, goal),
            )
        whole = _plan(errand, renderer, found, goal)
        whole = replace(whole, notes=(*notes, *noted, *_rendered_now(goal, whole)))
        tell(Planned(whole))
        whole = register_all(errand, whole)
        holds, tenants = found.hold is not None or is_partial(errand) or not whole.is_nothing, _held(errand, found)
        hold = replace(_hold(errand, found, goal), tenants=tenants)
        if holds:
            with before_any_change():  # a hold is none
                put_hold(errand, hold)
        put_tags(errand, whole)
        results = roll_out(errand, whole)
        if holds:
            done = {result.target for result in results if result.outcome in GOOD_OUTCOMES}
            replace_hold(errand, replace(hold, unfinished=unfinished.left(errand, hold.unfinished, done)))
        return report(errand, whole, results, _notes(errand, tenants) if holds else ())


def _hold(errand: Errand, found: Found, goal: Goal) -> LockState:
    """Return the hold as it is until the rollback is finished."""
    at, before = exact(goal.at), found.hold
    goes_on = before is not None and (before.release, before.at) == (goal.name, at)
    reason = before.reason if before and goes_on else _reason(errand.tier.name, found, goal)
    mine = hold_for(errand, goal.wishes[0].commit_tag, reason)
    return replace(mine, release=goal.name, at=at, unfinished=unfinished.begun(errand, found.hold, goal.name, at))


def _goal(errand: Errand, renderer: Renderer, found: Found) -> Goal:
    """Return the best goal; what the tier is held at counts only as long as somebody has not arrived there.

    One that says why there is none, or why it is not known, has complaints alone.
    """
    is_asked_for = errand.options.to or errand.options.at
    try:
        for goal in goals(errand, found):
            if goal.is_unfinished:
                say(errand, "choose", f"{goal.name} is taken up: the rollback to it was not finished")
                return goal
            if is_asked_for or not found.hold or goal.name != found.hold.release:
                return goal
            if not _plan(errand, renderer, found, goal).is_nothing:
                return goal
    except DeployError as error:
        return Goal(complaints=error.complaints)
    if found.complaints:
        unseen = "not checked until then: which release there is to go back to, and with which definitions"
        return Goal(complaints=(Complaint(errand.tier.name, unseen),))
    return Goal(complaints=(nowhere(errand),))


def _checks(errand: Errand, renderer: Renderer, found: Found, goal: Goal) -> tuple[preflight.Check, ...]:
    return (
        lambda: ownership.with_former(errand, once(found.complaints)),
        lambda: goal.complaints,
        lambda: preflight.ready(errand, found.lives),
        lambda: _renders(errand, renderer, goal),
        lambda: preflight.wave_rules(errand),
        lambda: _pinned(errand, found, goal) if is_partial(errand) else [],
        lambda: _without_image(errand, found, goal),
    )


def _renders(errand: Errand, renderer: Renderer, goal: Goal) -> tuple[Complaint, ...]:
    """Try the templates of what has no revision of then."""
    targets = tuple(target for target in errand.targets if _is_rendered(goal, target))
    return rolling.renders(replace(errand, targets=targets), renderer, _tried(errand, goal))


def _asking(errand: Errand, renderer: Renderer, found: Found, goal: Goal) -> tuple[preflight.Check, ...]:
    rendered = [live for live in found.lives if _is_rendered(goal, live.target)]
    return (
        lambda: named.missing(errand, renderer, rendered, _tried(errand, goal)),
        lambda: image_platforms.misfits(errand, renderer, rendered, goal.wishes),
    )


def _tried(errand: Errand, goal: Goal) -> list[Wish]:
    """Return each service's wish, one for an image that nobody built where none is known."""
    unknown = {target.service: placeholder(errand.project, target) for target in errand.targets}
    return list({**unknown, **{wish.service: wish for wish in goal.wishes}}.values())


def _is_rendered(goal: Goal, target: Target) -> bool:
    return goal.thens.get(target, Then()).revision is None


def _rendered_now(goal: Goal, whole: Plan) -> Iterator[str]:
    """Yield the note that names the targets whose definitions are none of then."""
    targets = [str(each.target) for each in whole.rollouts if each.request and _is_rendered(goal, each.target)]
    if targets:
        yield (
            f"rendered now from this checkout: {listed(targets)}\n"
            "whether that config is committed, or older than what runs, was not asked"
        )


def _pinned(errand: Errand, found: Found, goal: Goal) -> Iterator[Complaint]:
    """Complain where the definitions name a tag that stays, and it names another image."""
    stays = errand.tier.tag == "mutable"
    moved = [wish for wish in goal.wishes if not (stays and plan.is_there(wish, found.pointed.get(wish.service)))]
    yield from rolling.pin_rules(errand, moved)


def _without_image(errand: Errand, found: Found, goal: Goal) -> Iterator[Complaint]:
    """Complain of services without an image there; of those that could not be looked at nobody knows."""
    known = {wish.service for wish in goal.wishes} | set(found.swept.unread)
    for service in errand.services if goal.name else ():
        if service.name not in known:
            yield Complaint(service.name, f"it had no image at {goal.name}", "leave it out: name others by --service")


def _plan(errand: Errand, renderer: Renderer, found: Found, goal: Goal) -> Plan:
    steps = () if is_partial(errand) else plan.tag_steps(errand.tier, goal.wishes, found.present, datetime.now(UTC))
    wanted = {wish.service: wish for wish in (plan.with_releases(goal.wishes, steps) if steps else goal.wishes)}
    lives = [live for live in found.lives if live.target.service in wanted]
    wishes = {live.target: goal.others.get(live.target) or wanted[live.target.service] for live in lives}
    return Plan(errand.tier, tag_steps=steps, waves=rolling.returns(errand, renderer, lives, wishes, goal.thens))


def _held(errand: Errand, found: Found) -> str:
    """The tenants that the hold is about, those of an earlier one too; "" where it is about everybody.

    It is, too, where there is no room for so many names: rather too many are held than too few.
    """
    if not is_partial(errand) or (found.hold and not found.hold.tenants):
        return ""
    before = found.hold.tenants.split(",") if found.hold else []
    named = ",".join(dict.fromkeys([*before, *(target.environment.tenant for target in errand.targets)]))
    return named if len(named) <= _LONGEST_NAMES else ""


def _reason(tier: str, found: Found, goal: Goal) -> str:
    here = ", ".join(
        dict.fromkeys(tags.short(commit) for image in found.present.values() for commit in tags.commits(image.tags)[:1])
    )
    there = ", ".join(dict.fromkeys(tags.short(wish.commit_tag) for wish in goal.wishes))
    named = f" (as of {exact(goal.at)})" if goal.at else f" ({goal.name})" if tags.is_release(goal.name, tier) else ""
    return f"rolled back from {here or 'what ran'} to {there}{named}"


def _notes(errand: Errand, tenants: str) -> tuple[str, ...]:
    """What the hold keeps away, and from whom: these tenants, comma-separated, or everybody."""
    tier, until = errand.tier.name, freeing(errand.tier.name, errand.author.run)
    whose = f"of {tier}, {tenants}" if tenants else tier
    is_held = "would be" if errand.options.dry_run else "are" if "," in tenants else "is"
    what = "nothing else is released or deployed" if tenants else "no other commit is tagged or released"
    held = f"{whose} {is_held} on hold: {what} there until {until}"
    stays = f"the tag {tier} stays where it is: after that, inv deploy.{tier} brings these targets forward again"
    return (held, *([stays] if is_partial(errand) else []))
