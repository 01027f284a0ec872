"""A tier, or some of its tenants, goes back to a release that it ran before; then it is held, so that it stays there.

What is gone back to are images and definitions as AWS kept them. Nothing is built, and nothing deregistered.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

from deploytasks import plan, tags
from deploytasks.aws.locks import freeing
from deploytasks.errors import Complaint
from deploytasks.journey import image_platforms, named, preflight, rolling
from deploytasks.journey.carrying import put_tags, report, roll_out
from deploytasks.journey.commands import quiet
from deploytasks.journey.errand import Errand, before_any_change, begin
from deploytasks.journey.goals import Found, Goal, found_by, goals, is_partial, nowhere
from deploytasks.journey.locking import lock, put_hold
from deploytasks.journey.register import register_all
from deploytasks.model import OnEvent, Options, Plan, Planned, Project, Report, Scope
from deploytasks.template.render import Renderer

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
    with lock(errand) as notes:
        with before_any_change():
            found = found_by(errand)
            goal = _goal(errand, renderer, found)
            errand = replace(errand, options=replace(options, to=goal.name, at=None))
            noted = preflight.check_all(
                *_checks(errand, renderer, found, goal), asking=_asking(errand, renderer, found, goal)
            )
        whole = replace(_plan(errand, renderer, found, goal), notes=(*notes, *noted))
        tell(Planned(whole))
        whole = register_all(errand, whole)
        holds, tenants = found.hold is not None or is_partial(errand) or not whole.is_nothing, _held(errand, found)
        if holds:
            with before_any_change():  # a hold is none
                put_hold(errand, goal.wishes[0], _reason(errand.tier.name, found, goal), tenants)
        put_tags(errand, whole)
        return report(errand, whole, roll_out(errand, whole), _notes(errand, tenants) if holds else ())


def _goal(errand: Errand, renderer: Renderer, found: Found) -> Goal:
    """The best goal; what the tier is held at counts only as long as somebody has not arrived there.

    Raises:
        NotBuilt: there is none.

    """
    for goal in goals(errand, found):
        resumed = found.hold is not None and goal.name == found.hold.release and not errand.options.to
        if not resumed or not _plan(errand, renderer, found, goal).is_nothing:
            return goal
    raise nowhere(errand)


def _asking(errand: Errand, renderer: Renderer, found: Found, goal: Goal) -> tuple[preflight.Check, ...]:
    rendered = [live for live in found.lives if not goal.revisions.get(live.target)]
    return (
        lambda: named.missing(errand, renderer, rendered, goal.wishes),
        lambda: image_platforms.misfits(errand, renderer, rendered, goal.wishes),
    )


def _checks(errand: Errand, renderer: Renderer, found: Found, goal: Goal) -> tuple[preflight.Check, ...]:
    rendered = tuple(live.target for live in found.lives if not goal.revisions.get(live.target))
    return (
        lambda: preflight.ready(errand, found.lives),
        lambda: rolling.renders(replace(errand, targets=rendered), renderer, goal.wishes),
        lambda: preflight.wave_rules(errand),
        lambda: rolling.pin_rules(errand, goal.wishes) if is_partial(errand) else [],
        lambda: _without_image(errand, goal),
    )


def _without_image(errand: Errand, goal: Goal) -> Iterator[Complaint]:
    for service in errand.services:
        if service.name not in [wish.service for wish in goal.wishes]:
            yield Complaint(service.name, f"it had no image at {goal.name}", "leave it out: name others by --service")


def _plan(errand: Errand, renderer: Renderer, found: Found, goal: Goal) -> Plan:
    if is_partial(errand):
        return Plan(errand.tier, waves=rolling.returns(errand, renderer, found.lives, goal.wishes, goal.revisions))
    steps = plan.tag_steps(errand.tier, goal.wishes, found.present, datetime.now(UTC))
    wanted = plan.with_releases(goal.wishes, steps)
    return Plan(
        errand.tier, tag_steps=steps, waves=rolling.returns(errand, renderer, found.lives, wanted, goal.revisions)
    )


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
    named = f" ({goal.name})" if tags.is_release(goal.name, tier) else ""
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
