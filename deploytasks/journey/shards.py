"""One release by many runners: `matrix` does once what comes before the rollouts, each shard rolls out its part.

The tier's lock is held by the CI run itself, from the matrix on until somebody releases it. A shard does not take it:
it proves that it belongs to that run.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from deploytasks import fleet, shards
from deploytasks.aws import claims, locks
from deploytasks.errors import Invalid, Locked, NotReady
from deploytasks.journey import ownership, preflight, rolling, wishes
from deploytasks.journey.barrier import Barrier
from deploytasks.journey.carrying import about_targets, look, report, roll_out
from deploytasks.journey.commands import prepared, quiet
from deploytasks.journey.errand import (
    Errand,
    before_any_change,
    begin,
    command_line,
    registry_ssm,
    shown_command,
    stopped,
)
from deploytasks.journey.locking import fence, obstacles, patience, unlock
from deploytasks.journey.register import adopt_all
from deploytasks.model import (
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
)
from deploytasks.project.select import select
from deploytasks.template.render import Renderer


def matrix(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Matrix:
    """The tier is tagged as by a release, and locked for this CI run; its targets are split into `options.shards`.

    Raises:
        Refusal: nothing was changed; its complaints say all that is wrong.
        Failure: a build, a push or a tag failed, and the tier is not locked; the same command goes on from there.

    """
    parts = _parts(select(project, Scope(scope.tier)), options.shards or 1)
    errand = begin("matrix", project, Scope(scope.tier), replace(options, shards=len(parts)), tell)
    errand = _of_the_run(errand, "--run")
    with _locked_for_the_run(errand) as found:
        whole, _ = prepared(errand, found)
        told = report(errand, whole, notes=_notes(errand, len(parts)))
        return Matrix(told, errand.author.run, _unlock(errand), parts)


def deploy(project: Project, scope: Scope, options: Options, tell: OnEvent = quiet) -> Report:
    """The targets of `options.shard` run what the tier tag names, each wave after all earlier ones of all shards.

    Raises:
        Refusal: nothing was changed; above all, the tier is not locked for this run.
        Interrupted: names what goes on at AWS.

    """
    own = _targets(project, scope, options)
    errand = begin("deploy", project, _scope_of(scope, own), options, tell)
    everybody, renderer = replace(errand, targets=select(project, Scope(scope.tier))), Renderer(project)
    with before_any_change():
        errand, since = _under_the_lock(errand)
        owners, wanted, lives = fleet.together(
            lambda: ownership.look(everybody), lambda: wishes.to_deploy(everybody), lambda: look(errand)
        )
        noted = preflight.check_all(owners.found, *about_targets(everybody, renderer, lives, wanted))
        barrier = Barrier(everybody, lambda lives: rolling.rollouts(everybody, renderer, lives, wanted), since)
        barrier.remember(max(target.wave for target in own))
    whole = Plan(errand.tier, waves=rolling.rollouts(errand, renderer, lives, wanted), notes=noted)
    tell(Planned(whole))
    whole = adopt_all(errand, whole)
    return report(errand, whole, roll_out(errand, whole, barrier))


def _parts(targets: tuple[Target, ...], of: int) -> dict[Shard, tuple[Target, ...]]:
    """Each shard's targets; no more shards than there are environments."""
    of = min(of, len({target.environment for target in targets}))
    return {Shard(number, of): part for number, part in enumerate(shards.split(targets, of), 1)}


def _targets(project: Project, scope: Scope, options: Options) -> tuple[Target, ...]:
    """The targets of the shard.

    Raises:
        Invalid: another flag chooses as well, or there are not so many shards.

    """
    shard = options.shard or Shard(1, 1)
    named = {"tenant": scope.tenants, "service": scope.services, "exclude": scope.exclude}
    others: dict[str, object] = {**named, "to": options.to, "force": options.force}
    others |= {"only-behind": options.only_behind, "only-failed": options.only_failed, "lock-wait": options.lock_wait_s}
    if given := [f"--{flag}" for flag, value in others.items() if value]:
        what = f"goes with no {', '.join(given)}: every shard must mean its part of the same whole"
        raise Invalid.of("--shard", what, f"leave out one or the other: inv deploy.{scope.tier} --shard {shard}")
    parts = _parts(select(project, Scope(scope.tier)), shard.of)
    if shard not in parts:
        what = f"there is no shard {shard}: {scope.tier} has {len(parts)} environments"
        to_do = f"take the shards that release.matrix prints: inv release.matrix {scope.tier} --shards {len(parts)}"
        raise Invalid.of("--shard", what, to_do)
    return parts[shard]


def _scope_of(scope: Scope, targets: tuple[Target, ...]) -> Scope:
    """The scope as if the shard's tenants had been named, which is how to go on with them outside this run."""
    return replace(scope, tenants=tuple(dict.fromkeys(target.environment.tenant for target in targets)))


def _of_the_run(errand: Errand, flag: str) -> Errand:
    """The errand in the name of its CI run; a dry run need not have any.

    Raises:
        Invalid: nobody says which run it is.

    """
    run = errand.options.run or errand.author.run
    if not run and errand.options.dry_run:
        return errand
    if not run:
        what = "no CI run is known here, and only its own run's shards may work under the lock"
        raise Invalid.of(flag, what, 'name it, the same for the matrix and every shard: --run "$BUILD_TAG"')
    return replace(errand, author=replace(errand.author, run=run))


@contextmanager
def _locked_for_the_run(errand: Errand) -> Iterator[tuple[str, ...]]:
    """The tier is locked by no process but by the run, and stays so if all goes well. A dry run locks nothing."""
    claim = claims.claim(errand.tier.name, errand.author, _command(errand), reason=errand.options.override or "")
    mine = claims.by_hand(claim)  # nobody shall take it for that of a dead process
    if errand.options.dry_run:
        yield obstacles(errand, mine)
        return
    client = registry_ssm(errand.project, errand.clients)
    try:
        with before_any_change():
            until = patience(errand.options.lock_wait_s, errand.tell)
            fence(errand, locks.acquire(client, errand.project.name, mine, until))
        yield ()
    except BaseException as error:
        unlock(errand, client, mine)
        if isinstance(error, KeyboardInterrupt):
            raise stopped(errand, "interrupted") from None
        raise


def _under_the_lock(errand: Errand) -> tuple[Errand, datetime]:
    """The errand under the lock that its run's matrix took, and since when that is; a dry run needs no lock.

    Why the gate was passed stands in the lock, so that every shard records it. The command that goes on with the
    shard's tenants belongs to no run.
    """
    if errand.options.dry_run:
        return errand, datetime.now(UTC)
    errand = _of_the_run(errand, "--shard")
    client, held = registry_ssm(errand.project, errand.clients), _held(errand)
    fence(errand, held)
    since = locks.taken_at(client, errand.project.name, errand.tier.name) or datetime.now(UTC)
    options = replace(errand.options, override=errand.options.override or held.reason or None, run=None)
    return replace(errand, options=options), since


def _held(errand: Errand) -> LockState:
    """The lock, which the matrix of this very run took for as many shards as these.

    Raises:
        Refusal: it is not so, with what to do.

    """
    tier, run, shard = errand.tier.name, errand.author.run, errand.options.shard or Shard(1, 1)
    matrix = f"release.matrix {tier} --shards {shard.of}"
    held = locks.status(registry_ssm(errand.project, errand.clients), errand.project.name, tier)
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


def _command(errand: Errand) -> str:
    return f"{shown_command('matrix', errand.tier.name)} --shards {errand.options.shards}"


def _notes(errand: Errand, count: int) -> tuple[str, ...]:
    tier, run = errand.tier.name, errand.author.run
    if errand.options.dry_run:
        return (f"{count} shards; {tier} is not locked",)
    return (f"{count} shards; {tier} is locked for {run} until: {_unlock(errand)}",)


def _unlock(errand: Errand) -> str:
    """The last job's command: it frees the tier of this run's lock, and of nobody else's, nor of a hold."""
    return command_line(f"lock.release {errand.tier.name}", Scope(errand.tier.name), {"run": errand.author.run})
