"""Point a tier at a commit: mint its release tag, then move its tier tag."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from operator import call
from typing import Any

from deploytasks.aws import ecr, parameters, tags
from deploytasks.commands.build import build_missing
from deploytasks.commands.context import Context, begin, quiet, registry_ssm, say
from deploytasks.commands.lock import lock
from deploytasks.commands.outcome import report
from deploytasks.commands.resume import resumable
from deploytasks.commands.reuse import reuses
from deploytasks.commands.situation import looked
from deploytasks.concurrency import each
from deploytasks.model import (
    Command,
    DesiredImage,
    EcrImage,
    OnEvent,
    Options,
    Override,
    Plan,
    Planned,
    Project,
    Report,
    Scope,
    TagStep,
)
from deploytasks.rules import plan


def steps_to(
    context: Context, desired_images: Sequence[DesiredImage], present: Mapping[str, EcrImage]
) -> tuple[TagStep, ...]:
    """Return the steps that point the tier at the images.

    A release that died is not taken up if its tag names another image than the one that is desired now.
    """
    now = datetime.now(UTC)
    found = plan.tag_steps(context.tier, desired_images, present, now)
    taken_up = {step.release for step, desired in zip(found, desired_images, strict=True) if _carries(desired, step)}
    asked = [step for step in found if step.mint and step.release in taken_up]
    if not any(ecr.find(context.ecr, step.repository, [step.release]) for step in asked):
        return found
    return plan.tag_steps(context.tier, desired_images, present, now, spent=max(taken_up))


def _carries(desired: DesiredImage, step: TagStep) -> bool:
    return desired.image is not None and step.release in desired.image.tags


def put_tags(context: Context, whole: Plan) -> None:
    """Put every image's release tag first, as the record; then move the tier tags, the desired state."""
    if context.options.dry_run:
        return
    state = "no tag was moved and no target was touched"
    with resumable(context, lambda: state):
        _record_override(context, whole)
        for step, names in _puts([step for step in whole.tag_steps if step.digest and (step.mint or step.move)]):
            digest = step.digest or ""
            image = _once_ours(context, partial(ecr.manifest, context.ecr, step.repository, digest))
            state = "some tags may have moved, no target was touched"
            ecr.put(context.ecr, step.repository, image, names)
            say(context, "tag", f"{' and '.join(names)} → {digest[:19]}", step.image)


def _once_ours(context: Context, read: Callable[[], Any]) -> Any:
    """Return what is read, while the lock is read again.

    Raises:
        LockLost: it is no longer ours.
        AwsError: either can't be read.

    """
    return each(call, (context.fence.check, read))[1]


def _puts(steps: Sequence[TagStep]) -> Iterator[tuple[TagStep, list[str]]]:
    """Yield which tags to put on which image, in order.

    No tier tag moves before all images carry the release's tag, so that a release that died is taken up under it.
    """
    if not steps:
        return
    *others, last = steps
    yield from ((step, [step.release]) for step in others if step.mint)
    yield last, [last.release] * last.mint + [last.tier_tag] * last.move
    yield from ((step, [step.tier_tag]) for step in others if step.move)


def _record_override(context: Context, whole: Plan) -> None:
    """Record why the gate is passed before the release exists; only if there is a gate, and a release to mint."""
    minted = {step.release: step.commit_tag for step in whole.tag_steps if step.mint}
    reason, author = context.options.override, context.author
    if not (reason and context.tier.after):
        return
    client, at = registry_ssm(context.project, context.clients), tags.stamp(datetime.now(UTC))
    for release, commit in minted.items():
        context.fence.check()
        override = Override(context.tier.name, release, author.by, at, reason, commit, author.ci)
        parameters.put_override(client, context.project.name, override)


def tag(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Mint the tier's release tag and move its tier tag, for every selected image.

    Raises:
        Refusal: nothing was changed; its complaints list everything that is wrong.
        Failure: AWS failed half-way; the same command resumes.

    """
    context = begin(Command.TAG, project, scope, options, tell)
    with lock(context) as notes:
        found = looked(context)
        shared = reuses(found.desired)
        desired = build_missing(context, Plan(context.tier, reuses=shared), found.desired)
        steps = steps_to(context, desired, found.present)
        whole = Plan(context.tier, tag_steps=steps, notes=(*notes, *found.notes), reuses=shared)
        tell(Planned(whole))
        put_tags(context, whole)
        return report(context, whole)
