"""Point a tier at a commit: mint its release tag, then move its tier tag."""

from datetime import UTC, datetime

from deploytasks.aws import ecr, parameters, tags
from deploytasks.commands.build import build_missing
from deploytasks.commands.context import Context, begin, quiet, registry_ssm, say
from deploytasks.commands.lock import lock
from deploytasks.commands.outcome import report
from deploytasks.commands.resume import resumable
from deploytasks.commands.reuse import reuses
from deploytasks.commands.situation import looked
from deploytasks.model import Command, OnEvent, Options, Override, Plan, Planned, Project, Report, Scope
from deploytasks.rules import plan


def put_tags(context: Context, whole: Plan) -> None:
    """Put the release tag first, as the record; then move the tier tag, the desired state."""
    if context.options.dry_run:
        return
    state = "no tag was moved and no target was touched"
    with resumable(context, lambda: state):
        _record_override(context, whole)
        for step in whole.tag_steps:
            names = [step.release] * step.mint + [step.tier_tag] * step.move
            if names and step.digest:
                context.fence.check()
                state = "some tags may have moved, no target was touched"
                ecr.point(context.ecr, step.repository, step.digest, names)
                say(context, "tag", f"{' and '.join(names)} → {step.digest[:19]}", step.image)


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
        steps = plan.tag_steps(context.tier, desired, found.present, datetime.now(UTC))
        whole = Plan(context.tier, tag_steps=steps, notes=(*notes, *found.notes), reuses=shared)
        tell(Planned(whole))
        put_tags(context, whole)
        return report(context, whole)
