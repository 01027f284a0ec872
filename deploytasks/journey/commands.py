"""The commands that change something: build, tag, register, deploy, and release, which is all of them as one.

Each reads as what it does: select → observe → preflight → plan → show → carry out → observe → report.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from deploytasks import plan
from deploytasks.journey import config_rules, image_platforms, named, ownership, preflight, rolling, sources, wishes
from deploytasks.journey.building import build_all, builds
from deploytasks.journey.carrying import about_targets, look, put_tags, report, roll_out
from deploytasks.journey.errand import Errand, before_any_change, begin, resumable
from deploytasks.journey.locking import hold_of, lock
from deploytasks.journey.looks import look_at_all
from deploytasks.journey.register import UNTOUCHED, register_all
from deploytasks.journey.selecting import taken
from deploytasks.model import Event, OnEvent, Options, Plan, Planned, Project, Report, Scope, Wish
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
        owners, wanted = look_at_all(errand, lambda: ownership.look(errand), lambda: wishes.to_build(errand))
        noted = preflight.check_all(owners.found, lambda: sources.complaints(errand, wanted))
    whole = Plan(errand.tier, builds=builds(errand, wanted), notes=noted)
    _build(errand, whole, wanted)
    return report(errand, whole)


def tag(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """The tier's release tag is minted and its tier tag moved, for every selected service.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Failure: AWS said no half-way; the same command goes on from there.

    """
    errand = begin("tag", project, scope, options, tell)
    with lock(errand) as notes:
        with before_any_change():
            owners, wanted, present, hold, movable = look_at_all(
                errand,
                lambda: ownership.look(errand),
                lambda: wishes.to_tag(errand),
                lambda: wishes.present(errand),
                lambda: hold_of(errand),
                lambda: preflight.movable(errand),
            )
            noted = preflight.check_all(
                owners.found,
                lambda: preflight.held(errand, hold, wanted, present),
                lambda: preflight.taggable(errand, wanted, present, movable),
                lambda: sources.complaints(errand, wanted),
                asking=[lambda: preflight.gated(errand, wanted)],
            )
        steps = plan.tag_steps(errand.tier, wanted, present, datetime.now(UTC))
        whole = Plan(errand.tier, tag_steps=steps, notes=(*notes, *noted))
        tell(Planned(whole))
        put_tags(errand, whole)
        return report(errand, whole)


def deploy(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Every selected target runs what its tier tag names, or `options.to`; the report says how each ended.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Interrupted: names what goes on at AWS.

    """
    errand = begin("deploy", project, scope, options, tell)
    with lock(errand) as found:
        whole, notes = _to_deploy(errand, found)
        tell(Planned(whole))
        whole = register_all(errand, whole)
        return report(errand, whole, roll_out(errand, whole), notes)


def register(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Register the definitions that a deploy would roll out, and nothing more: the report names their revisions.

    Raises:
        Refusal: nothing was changed; what a deploy would be refused for, or what ECS refuses to register.
        Failure: AWS was out of reach; the same command goes on from there.

    """
    errand = begin("register", project, scope, options, tell)
    with lock(errand) as found:
        whole, notes = _to_deploy(errand, found)
        changed = [tuple(rollout for rollout in wave if rollout.request) for wave in whole.waves]
        told = (*whole.notes, f"only registered: {UNTOUCHED}")
        whole = replace(whole, waves=tuple(filter(None, changed)), notes=told if any(changed) else whole.notes)
        tell(Planned(whole))
        whole = register_all(errand, whole)
        arns = tuple(f"{rollout.target}: {rollout.revision}" for rollout in whole.rollouts if rollout.revision)
        return report(errand, whole, notes=(*notes, *arns))


def _to_deploy(errand: Errand, found: tuple[str, ...]) -> tuple[Plan, tuple[str, ...]]:
    """A deploy as far as its plan, against which nothing speaks; beside it, notes on the targets left out."""
    options, renderer = errand.options, Renderer(errand.project)
    with before_any_change():
        owners, wanted, present, hold, lives, policies = look_at_all(
            errand,
            lambda: ownership.look(errand),
            lambda: wishes.to_deploy(errand),
            lambda: wishes.present(errand) if options.to else {},
            lambda: hold_of(errand),
            lambda: look(errand),
            lambda: preflight.policies(errand),
        )
        only = taken(errand, wanted, lives)
        pointed = present if options.to else {wish.service: wish.image for wish in wanted}
        noted = preflight.check_all(
            owners.found,
            *about_targets(only.errand, renderer, only.lives, wanted),
            lambda: preflight.unpullable(only.errand, policies),
            *config_rules.checks(only, renderer, wanted, hold, preflight.held(errand, hold, wanted, pointed)),
            lambda: rolling.pin_rules(errand, wanted),
            lambda: preflight.dirty(errand, wanted),
            asking=[
                lambda: preflight.gated(errand, wanted) if options.to else [],
                lambda: named.missing(only.errand, renderer, only.lives, wanted),
                lambda: image_platforms.misfits(only.errand, renderer, only.lives, wanted),
            ],
        )
    waves = rolling.rollouts(only.errand, renderer, only.lives, wanted)
    return Plan(errand.tier, waves=waves, notes=(*found, *noted)), only.notes


def release(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """The commit is built (in the first tier), the tier tagged with it, and every selected target runs it.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Failure: a build, a push or a tag failed; the same command goes on from there.
        Interrupted: names what goes on at AWS.

    """
    errand = begin("release", project, scope, options, tell)
    with lock(errand) as found:
        whole, notes = prepared(errand, found)
        return report(errand, whole, roll_out(errand, whole), notes)


def prepared(errand: Errand, notes: tuple[str, ...] = ()) -> tuple[Plan, tuple[str, ...]]:
    """A release as far as its rollouts: nothing speaks against it, its images are built and the tier is tagged.

    `notes` are the plan's so far.
    Beside the plan, notes on the targets that were left out.
    """
    renderer = Renderer(errand.project)
    with before_any_change():
        owners, wanted, present, hold, lives, policies, movable = look_at_all(
            errand,
            lambda: ownership.look(errand),
            lambda: wishes.to_release(errand),
            lambda: wishes.present(errand),
            lambda: hold_of(errand),
            lambda: look(errand),
            lambda: preflight.policies(errand),
            lambda: preflight.movable(errand),
        )
        only = taken(errand, wanted, lives)
        noted = preflight.check_all(
            owners.found,
            *about_targets(only.errand, renderer, only.lives, wanted),
            lambda: preflight.unpullable(only.errand, policies),
            *config_rules.checks(only, renderer, wanted, hold, preflight.held(errand, hold, wanted, present)),
            lambda: preflight.taggable(errand, wanted, present, movable),
            lambda: sources.complaints(errand, wanted),
            asking=[
                lambda: preflight.gated(errand, wanted),
                lambda: named.missing(only.errand, renderer, only.lives, wanted),
                lambda: image_platforms.misfits(only.errand, renderer, only.lives, wanted),
            ],
        )
    missing = Plan(errand.tier, builds=builds(errand, wanted))
    wanted = _build(errand, missing, wanted)
    steps = plan.tag_steps(errand.tier, wanted, present, datetime.now(UTC))
    waves = rolling.rollouts(only.errand, renderer, only.lives, plan.with_releases(wanted, steps))
    whole = Plan(errand.tier, missing.builds if errand.options.dry_run else (), steps, waves, (*notes, *noted))
    errand.tell(Planned(whole))
    whole = register_all(errand, whole)
    put_tags(errand, whole)
    return whole, only.notes


def _build(errand: Errand, whole: Plan, wanted: Sequence[Wish]) -> tuple[Wish, ...]:
    """The wishes with their images; in a dry run those to be built stay without."""
    if errand.options.dry_run or not whole.builds:
        return tuple(wanted)
    errand.tell(Planned(whole))
    with resumable(errand, "the tier is unchanged"):
        return build_all(errand, wanted, whole.builds)
