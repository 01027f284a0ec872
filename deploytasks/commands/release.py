"""Build, tag and deploy, as one."""

from deploytasks.commands import rollouts
from deploytasks.commands.build import build_missing, builds
from deploytasks.commands.context import Context, begin, quiet
from deploytasks.commands.definitions import register_all
from deploytasks.commands.lock import lock
from deploytasks.commands.outcome import report, roll_out
from deploytasks.commands.reuse import reuses
from deploytasks.commands.situation import looked
from deploytasks.commands.tag import put_tags, steps_to
from deploytasks.model import Command, OnEvent, Options, Plan, Planned, Project, Report, Scope
from deploytasks.rules import plan


def release(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Build the commit (in the first tier), point the tier at it, and roll every selected target out to it.

    Raises:
        Refusal: nothing was changed; its complaints list everything that is wrong.
        Failure: a build, a push or a tag failed; the same command resumes.
        Interrupted: names what continues at AWS.

    """
    context = begin(Command.RELEASE, project, scope, options, tell)
    with lock(context) as notes:
        whole, left_out = prepared(context, notes)
        return report(context, whole, roll_out(context, whole), left_out)


def prepared(context: Context, notes: tuple[str, ...]) -> tuple[Plan, tuple[str, ...]]:
    """Carry a release out up to its rollouts: build its images, register its definitions, tag the tier.

    Return the plan, whose rollouts remain, and notes on the targets left out.
    """
    found = looked(context)
    missing = Plan(context.tier, builds(context, found.desired), reuses=reuses(found.desired))
    desired = build_missing(context, missing, found.desired)
    steps = steps_to(context, desired, found.present)
    waves = rollouts.rollouts(found.chosen, found.lives, plan.with_releases(desired, steps))
    to_build = missing.builds if context.options.dry_run else ()
    whole = Plan(context.tier, to_build, steps, waves, (*notes, *found.notes), missing.reuses)
    context.tell(Planned(whole))
    whole = register_all(context, whole)
    put_tags(context, whole)
    return whole, found.left_out
