"""The four commands that change something: build, tag, deploy, and release, which is all three as one.

Each reads as what it does: select → observe → preflight → plan → show → carry out → observe → report.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

from deploytasks import fleet, plan
from deploytasks.aws import ecr
from deploytasks.journey import preflight, rolling, wishes
from deploytasks.journey.building import build_all, builds
from deploytasks.journey.errand import Errand, again, before_any_change, begin, lock, resumable, say, shown_command
from deploytasks.journey.observe import observe
from deploytasks.model import (
    GOOD_OUTCOMES,
    Event,
    Live,
    OnEvent,
    Options,
    Plan,
    Planned,
    Project,
    Reading,
    Report,
    Result,
    Scope,
    Wish,
)
from deploytasks.template.render import Renderer


def quiet(_event: Event) -> None:
    """Listens to nothing."""


def build(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Every selected service's image is in ECR under its commit tag; those that were there are left alone.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Failure: a build or a push failed.

    """
    errand = begin("build", project, scope, options, tell)
    with before_any_change():
        wanted = wishes.to_build(errand)
    whole = Plan(errand.tier, builds=builds(errand, wanted))
    _build(errand, whole, wanted)
    return _report(errand, whole)


def tag(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """The tier's release tag is minted and its tier tag moved, for every selected service.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Failure: AWS said no half-way; the same command goes on from there.

    """
    errand = begin("tag", project, scope, options, tell)
    with lock(errand):
        with before_any_change():
            wanted, present = wishes.to_tag(errand), wishes.present(errand)
            preflight.check_all(lambda: preflight.taggable(errand, wanted, present))
        whole = Plan(errand.tier, tag_steps=plan.tag_steps(errand.tier, wanted, present, datetime.now(UTC)))
        tell(Planned(whole))
        _put_tags(errand, whole)
        return _report(errand, whole)


def deploy(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Every selected target runs what its tier tag names, or `options.to`; the report says how each ended.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Interrupted: names what goes on at AWS.

    """
    errand = begin("deploy", project, scope, options, tell)
    renderer = Renderer(project)
    with lock(errand):
        with before_any_change():
            wanted, lives, unpullable = fleet.together(
                lambda: wishes.to_deploy(errand), lambda: _observe(errand), lambda: preflight.unpullable(errand)
            )
            preflight.check_all(
                *_about_targets(errand, renderer, lives, wanted),
                lambda: unpullable,
                lambda: rolling.pin_rules(errand, wanted),
                lambda: preflight.dirty(errand, wanted),
                lambda: [] if options.to is None or options.override else preflight.gated(errand, wanted),
            )
        whole = Plan(errand.tier, waves=rolling.rollouts(errand, renderer, lives, wanted))
        tell(Planned(whole))
        return _report(errand, whole, _roll_out(errand, whole))


def release(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """The commit is built (in the first tier), the tier tagged with it, and every selected target runs it.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Failure: a build, a push or a tag failed; the same command goes on from there.
        Interrupted: names what goes on at AWS.

    """
    errand = begin("release", project, scope, options, tell)
    renderer = Renderer(project)
    with lock(errand):
        with before_any_change():
            wanted, present, lives, unpullable = fleet.together(
                lambda: wishes.to_release(errand),
                lambda: wishes.present(errand),
                lambda: _observe(errand),
                lambda: preflight.unpullable(errand),
            )
            preflight.check_all(
                *_about_targets(errand, renderer, lives, wanted),
                lambda: unpullable,
                lambda: preflight.taggable(errand, wanted, present),
            )
        missing = Plan(errand.tier, builds=builds(errand, wanted))
        wanted = _build(errand, missing, wanted)
        steps = plan.tag_steps(errand.tier, wanted, present, datetime.now(UTC))
        waves = rolling.rollouts(errand, renderer, lives, plan.with_releases(wanted, steps))
        whole = Plan(errand.tier, missing.builds if options.dry_run else (), steps, waves)
        tell(Planned(whole))
        _put_tags(errand, whole)
        return _report(errand, whole, _roll_out(errand, whole))


def _about_targets(
    errand: Errand, renderer: Renderer, lives: Sequence[Live], wanted: Sequence[Wish]
) -> tuple[preflight.Check, ...]:
    """The checks of every command that rolls out."""
    return (
        lambda: preflight.ready(errand, lives),
        lambda: rolling.renders(errand, renderer, wanted),
        lambda: preflight.wave_rules(errand),
        lambda: preflight.promised(errand),
    )


def _observe(errand: Errand) -> tuple[Live, ...]:
    say(
        errand, "observe", f"{len(errand.targets)} target{'s' if len(errand.targets) > 1 else ''} of {errand.tier.name}"
    )
    reading: Reading = "unpinned" if errand.tier.pin == "tag" else "none"
    return observe(errand.clients, errand.targets, errand.images, reading=reading)


def _build(errand: Errand, whole: Plan, wanted: Sequence[Wish]) -> tuple[Wish, ...]:
    """The wishes with their images; in a dry run those to be built stay without."""
    if errand.options.dry_run or not whole.builds:
        return tuple(wanted)
    errand.tell(Planned(whole))
    with resumable(errand, "the tier is unchanged"):
        return build_all(errand, wanted, whole.builds)


def _put_tags(errand: Errand, whole: Plan) -> None:
    """The release tag first, the record; then the tier tag, the wanted state."""
    if errand.options.dry_run:
        return
    with resumable(errand, "some tags may have moved, no target was touched"):
        for step in whole.tag_steps:
            names = [step.release] * step.mint + [step.tier_tag] * step.move
            if names and step.digest:
                ecr.point(errand.ecr, step.repository, step.digest, names)
                say(errand, "tag", f"{' and '.join(names)} → {step.digest[:19]}", step.service)


def _roll_out(errand: Errand, whole: Plan) -> tuple[Result, ...]:
    if errand.options.dry_run:
        return ()
    means = fleet.Means(errand.clients, errand.images, errand.tell)
    with resumable(errand, f"the tag {errand.tier.name} stands, its targets may differ from it", command="deploy"):
        return fleet.carry_out(whole, means, wait=errand.options.wait)


def _report(errand: Errand, whole: Plan, results: tuple[Result, ...] = ()) -> Report:
    return Report(
        command=shown_command(errand.command, errand.tier.name),
        plan=whole,
        results=results,
        notes=_left_behind(errand, whole),
        resume=_resume(errand, results),
        dry_run=errand.options.dry_run,
    )


def _left_behind(errand: Errand, whole: Plan) -> tuple[str, ...]:
    """Who does not follow a tag that moved for everybody."""
    moved = {step.service for step in whole.tag_steps if step.move}
    everybody = [target for target in errand.project.targets if target.environment.tier == errand.tier.name]
    behind = [target for target in everybody if target.service in moved and target not in errand.targets]
    if not behind or errand.command == "tag":
        return ()
    names = ", ".join(dict.fromkeys(str(target.environment) for target in behind))
    return (f"stay behind until `inv deploy.{errand.tier.name}`: {names}",)


def _resume(errand: Errand, results: Sequence[Result]) -> str:
    """What goes on where these results ended; nothing, where all ended well."""
    open_ends = [result for result in results if result.outcome not in GOOD_OUTCOMES]
    if not open_ends:
        return ""
    command = again(errand, "deploy", open_ends)
    if any(result.outcome == "rolled back" for result in open_ends):
        return f"mend the image and release it; to try this one again: {command}"
    return f"to go on: {command}"
