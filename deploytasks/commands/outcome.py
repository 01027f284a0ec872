"""The end of a command: its rollouts, its report, and the command that resumes it."""

import shlex
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from msgspec.structs import replace

from deploytasks import durations, rollout
from deploytasks.commands.context import Context
from deploytasks.commands.resume import again, command_line, resumable, spelled
from deploytasks.commands.selection import kept_in_mind
from deploytasks.errors import listed
from deploytasks.model import Command, Options, Plan, Report, Result, Resume, Scope, tenants_of, unsuccessful


def roll_out(context: Context, whole: Plan, before_wave: rollout.Leave | None = None) -> tuple[Result, ...]:
    """Carry out the plan's rollouts and return their results; a failure or a signal says what continues."""
    if context.options.dry_run:
        return ()
    resources = rollout.Resources(
        context.clients,
        context.tell,
        restore=context.options.restore,
        fence=context.fence,
    )
    going_on = kept_in_mind(context, (rollout.target for rollout in whole.rollouts))
    with resumable(
        going_on, f"the tag {context.tier.name} stands, its targets may differ from it", command=_goes_on(context)
    ):
        return rollout.carry_out(whole, resources, wait=context.options.wait, before_wave=before_wave)


def _goes_on(context: Context) -> Command:
    """Return the command that finishes rollouts once the tags are put: only a rollback knows earlier definitions."""
    return context.command if context.command is Command.ROLLBACK else Command.DEPLOY


def report(context: Context, whole: Plan, results: tuple[Result, ...] = (), notes: tuple[str, ...] = ()) -> Report:
    """Return the command's report."""
    return Report(
        command=context.command.task(context.tier.name),
        plan=whole,
        results=results,
        notes=(*notes, *_left_behind(context, whole), *_not_followed(context, results)),
        resume=_resume(context, whole, results),
        dry_run=context.options.dry_run,
    )


def _left_behind(context: Context, whole: Plan) -> tuple[str, ...]:
    """Return a note on what does not follow a tag that moved for the whole tier: environments, and single services."""
    moved = {step.image for step in whole.tag_steps if step.move}
    whole_tier = context.project.of_tier(context.tier.name)
    behind = [target for target in whole_tier if not moved.isdisjoint(target.images) and target not in context.targets]
    if not behind or context.command is Command.TAG:
        return ()
    begun = {target.environment for target in context.targets}
    names = ", ".join(dict.fromkeys(str(each if each.environment in begun else each.environment) for each in behind))
    return (f"stay behind until `inv deploy.{context.tier.name}`: {names}",)


def _not_followed(context: Context, results: Sequence[Result]) -> tuple[str, ...]:
    """Return a note with the command that follows the rollouts that were only started."""
    if all(result.row.resume != "follow" for result in results):
        return ()
    skipped = f", and the soak of {durations.spelled(context.tier.soak_s)} is skipped" if context.tier.soak_s else ""
    return (f"not waited for{skipped}; to follow: {spelled(_bare(context), Command.WAIT)}",)


def _bare(context: Context) -> Context:
    """Return the context without its flags, which other commands do not take."""
    return replace(context, options=Options())


def _resume(context: Context, whole: Plan, results: Sequence[Result]) -> str:
    """Return how to resume from these results; "" if all ended well."""
    open_ends = unsuccessful(results)
    if not open_ends:
        return ""
    steps = [result for result in open_ends if result.step]
    return "\n".join([*_failed_steps(context, whole, steps), _next(context, open_ends)])


def _failed_steps(context: Context, whole: Plan, failed: Sequence[Result]) -> Iterator[str]:
    """Yield what failed before services were touched, and the command that shows its log."""
    if not failed:
        return
    commands = listed(list(dict.fromkeys(shlex.join(result.step) for result in failed)))
    yield f"before_deploy failed: {commands} in {listed([str(result.target) for result in failed])}"
    missing = {rollout.target for rollout in whole.rollouts if rollout.action == "create"}
    there = [result.target for result in failed if result.target not in missing]
    if there:  # deploy.logs finds the log by the running definition
        scope = Scope(
            context.tier.name, tenants_of(there), services=tuple(dict.fromkeys(target.name for target in there))
        )
        yield f"to see its log: {command_line(f'deploy.logs {context.tier.name}', scope, {})}"


def _next(context: Context, open_ends: Sequence[Result]) -> str:
    """Return the command that takes up what is open."""
    go_on = partial(again, kept_in_mind(context, ()), _goes_on(context))
    if paused := resumed_by("hook", open_ends):
        rest = [result for result in open_ends if result.row.resume != "hook"]
        return from_the_hook(context, paused) + (f"\nthen, for the others: {go_on(rest)}" if rest else "")
    if resumed_by("fix", open_ends):
        return f"fix the image and release it; to try this one again: {go_on(open_ends)}"
    if any(result.step for result in open_ends):
        return f"to run the failed step again, and then go on: {go_on(open_ends)}"
    return f"to go on: {go_on(open_ends)}"


def resumed_by(resume: Resume, results: Iterable[Result]) -> list[Result]:
    """Return the results after which that is to be done."""
    return [result for result in results if result.row.resume == resume]


def from_the_hook(context: Context, paused: Sequence[Result]) -> str:
    """Return the commands that continue, stop or follow rollouts that wait on a hook."""
    goes_on, ends, follows = (
        again(_bare(context), each, paused) for each in (Command.CONTINUE, Command.STOP, Command.WAIT)
    )
    return f"to go on: {goes_on}\nto go back: {ends}\nto follow either: {follows}"
