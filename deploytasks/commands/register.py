"""Register the definitions that a deploy would roll out, and nothing more."""

from msgspec.structs import replace

from deploytasks.commands.context import begin, quiet
from deploytasks.commands.definitions import UNTOUCHED, register_all
from deploytasks.commands.deploy import planned
from deploytasks.commands.lock import lock
from deploytasks.commands.outcome import report
from deploytasks.model import Command, OnEvent, Options, Planned, Project, Report, Scope


def register(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Register the definitions that a deploy would roll out, and nothing more: the report names their revisions.

    Raises:
        Refusal: nothing was changed; a deploy would be refused too, or ECS refuses to register.
        Failure: AWS was out of reach; the same command resumes.

    """
    context = begin(Command.REGISTER, project, scope, options, tell)
    with lock(context) as notes:
        whole, left_out = planned(context, notes)
        changed = [tuple(replace(each, after=()) for each in wave if each.request) for wave in whole.waves]
        told = (*whole.notes, f"only registered: {UNTOUCHED}")
        whole = replace(whole, waves=tuple(filter(None, changed)), notes=told if any(changed) else whole.notes)
        tell(Planned(whole))
        whole = register_all(context, whole)
        arns = tuple(f"{rollout.target}: {rollout.revision}" for rollout in whole.rollouts if rollout.revision)
        return report(context, whole, notes=(*left_out, *arns))
