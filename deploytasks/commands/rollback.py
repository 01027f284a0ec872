"""Roll a tier, or some of its tenants, back to a release that it ran before; then hold it, so that it stays there.

Images and definitions are restored as AWS kept them. Nothing is built, and nothing deregistered.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from functools import partial

from msgspec.structs import replace

from deploytasks import concurrency, tags
from deploytasks.aws.locks import freeing
from deploytasks.commands import ownership, platforms, preflight, references, rollouts, unfinished
from deploytasks.commands.context import Context, before_any_change, begin, quiet, say
from deploytasks.commands.definitions import register_all
from deploytasks.commands.lock import hold_for, lock, lock_of, put_hold_over, replace_hold
from deploytasks.commands.outcome import report, roll_out
from deploytasks.commands.ownership import Ownership
from deploytasks.commands.ran_at import Then, never_ran
from deploytasks.commands.restore_points import Found, RestorePoint, found_by, is_partial, nowhere, restore_points
from deploytasks.commands.resume import exact
from deploytasks.commands.tag import put_tags, steps_to
from deploytasks.errors import Complaint, DeployError, listed, once
from deploytasks.model import (
    Command,
    DesiredImage,
    LockState,
    OnEvent,
    Options,
    Plan,
    Planned,
    Project,
    Report,
    Scope,
    Target,
    desired_by,
    placeholder,
    tenants_of,
)
from deploytasks.rules import plan

_LONGEST_NAMES = 2_000
"""The most characters of a hold, which has 4,096 in all, that tenants may take."""


def rollback(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Roll every selected target back to the previous release, or to `options.to` or `.at`, and hold the tier.

    If tenants, services or exclusions are named, the tier tag stays, since all of the tier shares it.

    Raises:
        Refusal: nothing was changed; there is no release to go back to, or its image is gone.
        Interrupted: names what continues at AWS.

    """
    context = begin(Command.ROLLBACK, project, scope, options, tell)
    with before_any_change():
        before = lock_of(context)
    with lock(context) as notes:
        with before_any_change():
            found, owners = _found(context, before)
            if new := _never_released(context, found):
                context = replace(context, targets=tuple(each for each in context.targets if each not in new))
                found, owners = _found(context, before)
            point = _point(context, found)
            context = replace(context, options=replace(options, to=None if point.at else point.name, at=point.at))
            noted = _check(context, owners, found, point)
        whole = _plan(context, found, point)
        whole = replace(whole, notes=(*notes, *noted, *_left_out(context, new), *_rendered_now(point, whole)))
        tell(Planned(whole))
        whole = register_all(context, whole)
        holds, tenants = found.hold is not None or is_partial(context) or not whole.is_nothing, _held(context, found)
        hold = replace(_hold(context, found, point), tenants=tenants)
        if holds:
            with before_any_change():  # a hold is not a change
                put_hold_over(context, found.hold, hold)
        put_tags(context, whole)
        results = roll_out(context, whole)
        if holds:
            done = {result.target for result in results if result.row.is_good}
            replace_hold(context, replace(hold, unfinished=unfinished.left(context, hold.unfinished, done)))
        return report(context, whole, results, _notes(context, tenants) if holds else ())


def _found(context: Context, before: LockState | None) -> tuple[Found, Ownership]:
    found, owners = concurrency.together(lambda: found_by(context, before), lambda: ownership.look(context))
    return found, owners


def _never_released(context: Context, found: Found) -> set[Target]:
    """Return the targets that are not at AWS and never were; none if there are no others."""
    missing = [live.target for live in found.lives if not live.exists and not live.complaint]
    never = concurrency.each(partial(never_ran, context), missing)
    new = {target for target, is_new in zip(missing, never, strict=True) if is_new}
    return new if new < set(context.targets) else set()


def _left_out(context: Context, new: Set[Target]) -> Iterator[str]:
    if new:
        yield f"left out, since never released in {context.tier.name}: {listed(sorted(map(str, new)))}"


def _hold(context: Context, found: Found, point: RestorePoint) -> LockState:
    """Return the hold as it is until the rollback is finished."""
    at, before = exact(point.at), found.hold
    goes_on = before is not None and (before.release, before.at) == (point.name, at)
    reason = before.reason if before and goes_on else _reason(context.tier.name, found, point)
    mine = hold_for(context, point.desired_images[0].commit_tag, reason)
    return replace(mine, release=point.name, at=at, unfinished=unfinished.begun(context, found.hold, point.name, at))


def _point(context: Context, found: Found) -> RestorePoint:
    """Return the best point; skip the one that the tier is held at once all targets are there.

    If there is none, or it is not known, the point has only complaints.
    """
    is_asked_for = context.options.to or context.options.at
    try:
        for point in restore_points(context, found):
            if point.is_unfinished:
                say(context, "choose", f"{point.name} is resumed: the rollback to it was not finished")
                return point
            if is_asked_for or not found.hold or point.name != found.hold.release:
                return point
            if not _plan(context, found, point).is_nothing:
                return point
    except DeployError as error:
        return RestorePoint(complaints=error.complaints)
    if found.complaints:
        unseen = "not checked yet: which release there is to go back to, and with which definitions"
        return RestorePoint(complaints=(Complaint(context.tier.name, unseen),))
    return RestorePoint(complaints=(nowhere(context),))


def _check(context: Context, owners: Ownership, found: Found, point: RestorePoint) -> tuple[str, ...]:
    """Return the notes of all checks; those of definitions are about targets whose revision then is unknown."""
    rendered = [live for live in found.lives if _is_rendered(point, live.target)]
    unknown = replace(context, targets=tuple(each for each in context.targets if _is_rendered(point, each)))
    return preflight.check_all(
        owners.found,
        lambda: ownership.with_former(context, once(found.complaints)),
        lambda: point.complaints,
        lambda: preflight.ready(context, found.lives),
        lambda: rollouts.renders(unknown, _tried(context, point)),
        lambda: preflight.wave_rules(context),
        lambda: _pinned(context, found, point) if is_partial(context) else [],
        lambda: _without_image(context, found, point),
        asking=(
            lambda: references.missing(context, rendered, _tried(context, point)),
            lambda: platforms.misfits(context, rendered, point.desired_images),
        ),
    )


def _tried(context: Context, point: RestorePoint) -> list[DesiredImage]:
    """Return the desired images, with a placeholder for each that is not known."""
    unknown = {image.name: placeholder(image) for image in context.images}
    return list({**unknown, **{desired.name: desired for desired in point.desired_images}}.values())


def _is_rendered(point: RestorePoint, target: Target) -> bool:
    return point.thens.get(target, Then()).revision is None


def _rendered_now(point: RestorePoint, whole: Plan) -> Iterator[str]:
    """Yield the note that names the targets whose definitions are rendered now."""
    targets = [str(each.target) for each in whole.rollouts if each.request and _is_rendered(point, each.target)]
    if targets:
        yield (
            f"rendered now from this checkout: {listed(targets)}\n"
            "whether that config is committed, or older than what runs, was not asked"
        )


def _pinned(context: Context, found: Found, point: RestorePoint) -> Iterator[Complaint]:
    """Yield complaints if the definitions name a tag that stays, and it names another image."""
    stays = context.tier.tag == "mutable"
    moved = [
        desired
        for desired in point.desired_images
        if not (stays and plan.is_there(desired, found.pointed.get(desired.name)))
    ]
    yield from rollouts.pin_rules(context, moved)


def _without_image(context: Context, found: Found, point: RestorePoint) -> Iterator[Complaint]:
    """Yield complaints about images that were not there yet; one that could not be read is left out."""
    known = {desired.name for desired in point.desired_images} | set(found.swept.unread)
    for image in context.images if point.name else ():
        if image.name not in known:
            yield Complaint(
                image.name, f"there was no image of it at {point.name}", "leave it out: name others by --service"
            )


def _plan(context: Context, found: Found, point: RestorePoint) -> Plan:
    steps = () if is_partial(context) else steps_to(context, point.desired_images, found.present)
    wanted = {
        desired.name: desired
        for desired in (plan.with_releases(point.desired_images, steps) if steps else point.desired_images)
    }
    lives = [live for live in found.lives if wanted.keys() >= live.target.images.keys()]
    desired_images = {live.target: _desired(point, wanted, live.target) for live in lives}
    return Plan(context.tier, tag_steps=steps, waves=rollouts.returns(context, lives, desired_images, point.thens))


def _desired(point: RestorePoint, wanted: Mapping[str, DesiredImage], target: Target) -> DesiredImage:
    """Return the target's images of then; if its revision of then ran others, those."""
    return point.others.get(target) or desired_by(target, wanted.values())


def _held(context: Context, found: Found) -> tuple[str, ...]:
    """Return the tenants that the hold covers, an earlier hold's included; empty for all tenants.

    It is empty too if the names take too much room: holding too many is safer than too few.
    """
    if not is_partial(context) or (found.hold and not found.hold.tenants):
        return ()
    before = found.hold.tenants if found.hold else ()
    named = tuple(dict.fromkeys([*before, *tenants_of(context.targets)]))
    return named if len(",".join(named)) <= _LONGEST_NAMES else ()


def _reason(tier: str, found: Found, point: RestorePoint) -> str:
    here = ", ".join(
        dict.fromkeys(tags.short(commit) for image in found.present.values() for commit in image.commits[:1])
    )
    there = ", ".join(dict.fromkeys(tags.short(desired.commit_tag) for desired in point.desired_images))
    named = (
        f" (as of {exact(point.at)})" if point.at else f" ({point.name})" if tags.is_release(point.name, tier) else ""
    )
    return f"rolled back from {here or 'what ran'} to {there}{named}"


def _notes(context: Context, tenants: Sequence[str]) -> tuple[str, ...]:
    """Return what the hold prevents, and for whom: these tenants, or all."""
    tier, until = context.tier.name, freeing(context.tier.name, context.author.run)
    whose = f"of {tier}, {','.join(tenants)}" if tenants else tier
    is_held = "would be" if context.options.dry_run else "are" if len(tenants) > 1 else "is"
    what = "nothing else is released or deployed" if tenants else "no other commit is tagged or released"
    held = f"{whose} {is_held} on hold: {what} there until {until}"
    stays = f"the tag {tier} stays where it is: after that, inv deploy.{tier} brings these targets forward again"
    return (held, *([stays] if is_partial(context) else []))
