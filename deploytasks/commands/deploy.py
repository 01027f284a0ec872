"""Deploy what the tier tag names to every selected target."""

from deploytasks.commands import rollouts
from deploytasks.commands.context import Context, begin, quiet
from deploytasks.commands.definitions import register_all
from deploytasks.commands.lock import lock
from deploytasks.commands.outcome import report, roll_out
from deploytasks.commands.situation import looked
from deploytasks.model import Command, OnEvent, Options, Plan, Planned, Project, Report, Scope


def deploy(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Deploy what the tier tag names, or `options.to`, to every selected target; return a report with each outcome.

    Raises:
        Refusal: a check failed; nothing was changed. The complaints list every problem.
        Interrupted: names the rollouts that continue at AWS.

    """
    context = begin(Command.DEPLOY, project, scope, options, tell)
    with lock(context) as notes:
        whole, left_out = planned(context, notes)
        tell(Planned(whole))
        whole = register_all(context, whole)
        return report(context, whole, roll_out(context, whole), left_out)


def planned(context: Context, notes: tuple[str, ...]) -> tuple[Plan, tuple[str, ...]]:
    """Return a deploy's plan, which passed every check, and notes on the targets left out."""
    found = looked(context)
    waves = rollouts.rollouts(found.chosen, found.lives, found.desired)
    return Plan(context.tier, waves=waves, notes=(*notes, *found.notes)), found.left_out
