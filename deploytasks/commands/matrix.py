"""One release by several runners: `matrix` does once what precedes the rollouts, each shard rolls out its part.

The CI run itself holds the tier's lock, from the matrix until lock.release. A shard does not take it: it proves that
it belongs to that run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from msgspec.structs import replace

from deploytasks import concurrency
from deploytasks.aws import lock_holders, locks
from deploytasks.commands import desired_images, ownership, preflight, rollouts
from deploytasks.commands.barrier import Barrier
from deploytasks.commands.context import Context, before_any_change, begin, quiet, registry_ssm
from deploytasks.commands.definitions import adopt_all
from deploytasks.commands.lock import fence, lock_wait, obstacles, unlock
from deploytasks.commands.outcome import report, roll_out
from deploytasks.commands.release import prepared
from deploytasks.commands.resume import command_line, given, stopped
from deploytasks.commands.situation import look_at_targets, target_checks
from deploytasks.config.select import select
from deploytasks.errors import Invalid, Locked, NotReady
from deploytasks.flags import of_task
from deploytasks.model import (
    Command,
    LockState,
    Matrix,
    OnEvent,
    Options,
    Plan,
    Planned,
    Project,
    Report,
    Scope,
    Shard,
    Target,
    tenants_of,
)
from deploytasks.rules import shards


def matrix(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Matrix:
    """Tag the tier as a release does, lock it for this CI run, and split its targets into `options.shards`.

    Raises:
        Refusal: nothing was changed; its complaints list everything that is wrong.
        Failure: a build, a push or a tag failed, and the tier is not locked; the same command resumes.

    """
    parts = _parts(select(project, Scope(scope.tier)), options.shards or 1)
    context = begin(Command.MATRIX, project, Scope(scope.tier), replace(options, shards=len(parts)), tell)
    context = _of_the_run(context, "--run")
    with _locked_for_the_run(context) as found:
        whole, _ = prepared(context, found)
        told = report(context, whole, notes=_notes(context, len(parts)))
        return Matrix(told, context.author.run, _unlock(context), parts)


def deploy(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """Roll the targets of `options.shard` out to what the tier tag names; a wave waits for all shards' earlier waves.

    Raises:
        Refusal: nothing was changed; for example, the tier is not locked for this run.
        Interrupted: names what continues at AWS.

    """
    own = _targets(project, scope, options)
    tenants = tenants_of(own)  # which a resume command names
    context = begin(Command.DEPLOY, project, replace(scope, tenants=tenants), options, tell)
    whole_tier = replace(context, targets=select(project, Scope(scope.tier)))
    with before_any_change():
        context, since = _under_the_lock(context)
        owners, wanted, lives = concurrency.together(
            lambda: ownership.look(whole_tier),
            lambda: desired_images.to_deploy(whole_tier),
            lambda: look_at_targets(context),
        )
        noted = preflight.check_all(owners.found, *target_checks(whole_tier, lives, wanted))
        barrier = Barrier(whole_tier, lambda lives: rollouts.rollouts(whole_tier, lives, wanted), since)
        barrier.remember(max(target.wave for target in own))
    whole = Plan(context.tier, waves=rollouts.rollouts(context, lives, wanted), notes=noted)
    tell(Planned(whole))
    whole = adopt_all(context, whole)
    return report(context, whole, roll_out(context, whole, barrier))


def _parts(targets: tuple[Target, ...], of: int) -> dict[Shard, tuple[Target, ...]]:
    """Return each shard's targets; there are at most as many shards as environments."""
    of = min(of, len({target.environment for target in targets}))
    return {Shard(number, of): part for number, part in enumerate(shards.split(targets, of), 1)}


def _targets(project: Project, scope: Scope, options: Options) -> tuple[Target, ...]:
    """Return the targets of the shard.

    Raises:
        Invalid: a flag for the whole tier is given too, or there is no such shard.

    """
    shard, named = options.shard or Shard(1, 1), scope.named()
    others = (flag for flag in of_task("deploy.TIER") if flag.whole)
    values = ((flag, named[flag.name] if flag.name in named else given(options, flag)) for flag in others)
    wrong = [f"--{flag.typed}" for flag, value in values if value]
    if wrong:
        what = f"goes with no {', '.join(wrong)}: every shard must mean its part of the same whole"
        raise Invalid.of("--shard", what, f"leave out one or the other: inv deploy.{scope.tier} --shard {shard}")
    parts = _parts(select(project, Scope(scope.tier)), shard.of)
    if shard not in parts:
        what = f"there is no shard {shard}: {scope.tier} has {len(parts)} environments"
        to_do = f"take the shards that release.matrix prints: inv release.matrix {scope.tier} --shards {len(parts)}"
        raise Invalid.of("--shard", what, to_do)
    return parts[shard]


def _of_the_run(context: Context, flag: str) -> Context:
    """Return the context with the CI run as its author's run; a dry run needs none.

    Raises:
        Invalid: the CI run is unknown.

    """
    run = context.options.run or context.author.run
    if not run and context.options.dry_run:
        return context
    if not run:
        what = "no CI run is known here, and only its own run's shards may work under the lock"
        raise Invalid.of(flag, what, 'name it, the same for the matrix and every shard: --run "$BUILD_TAG"')
    return replace(context, author=replace(context.author, run=run))


@contextmanager
def _locked_for_the_run(context: Context) -> Iterator[tuple[str, ...]]:
    """Hold the tier's lock for the run, not for this process; it stays locked on success. A dry run locks nothing."""
    command = f"{context.command.task(context.tier.name)} --shards {context.options.shards}"
    record = lock_holders.lock_record(context.tier.name, context.author, command, reason=context.options.override or "")
    mine = lock_holders.by_hand(record)  # never taken for a dead process's
    if context.options.dry_run:
        yield obstacles(context, mine)
        return
    client = registry_ssm(context.project, context.clients)
    try:
        with before_any_change():
            until = lock_wait(context.options.lock_wait_s, context.tell)
            fence(context, locks.acquire(client, context.project.name, mine, until))
        yield ()
    except BaseException as error:
        unlock(context, client, mine)
        if isinstance(error, KeyboardInterrupt):
            raise stopped(context, "interrupted") from None
        raise


def _under_the_lock(context: Context) -> tuple[Context, datetime]:
    """Return the context under the lock that the run's matrix took, and when that was; a dry run needs no lock.

    The lock records why the gate was passed, so that every shard records it too. The context belongs to no run any
    more, since the command that resumes the shard's tenants works outside the run.
    """
    if context.options.dry_run:
        return context, datetime.now(UTC)
    context = _of_the_run(context, "--shard")
    client, held = registry_ssm(context.project, context.clients), _held(context)
    fence(context, held)
    since = locks.taken_at(client, context.project.name, context.tier.name) or datetime.now(UTC)
    options = replace(context.options, override=context.options.override or held.reason or None, run=None)
    return replace(context, options=options), since


def _held(context: Context) -> LockState:
    """Return the lock, if this run's matrix took it for this number of shards.

    Raises:
        Refusal: it did not; says what to do.

    """
    tier, run, shard = context.tier.name, context.author.run, context.options.shard or Shard(1, 1)
    matrix = f"release.matrix {tier} --shards {shard.of}"
    held = locks.status(registry_ssm(context.project, context.clients), context.project.name, tier)
    if held is None:
        what = f"it is not locked for {run}: no matrix was made in this run, or its lock is released already"
        raise NotReady.of(tier, what, f"run the whole pipeline again, which begins with: inv {matrix}")
    if held.run != run:
        whose = f"for {held.run}" if held.run else "for no CI run"
        what = f"{held.by} holds the lock since {held.since} ({held.command}) {whose}; this is {run}"
        to_do = f"wait for it, then run the whole pipeline again; if it is gone: {locks.freeing(tier, run)}"
        raise Locked.of(tier, what, to_do)
    if held.command != matrix:
        what = f"this run locked it by {held.command}, which has no shard {shard}"
        raise NotReady.of(tier, what, "give every shard the number that release.matrix was given")
    return held


def _notes(context: Context, count: int) -> tuple[str, ...]:
    tier, run = context.tier.name, context.author.run
    if context.options.dry_run:
        return (f"{count} shards; {tier} is not locked",)
    return (f"{count} shards; {tier} is locked for {run} until: {_unlock(context)}",)


def _unlock(context: Context) -> str:
    """Return the last job's command, which releases the tier's lock of this run only, and no hold."""
    return command_line(f"lock.release {context.tier.name}", Scope(context.tier.name), {"run": context.author.run})
