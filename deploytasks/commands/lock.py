"""A tier is ours while a command works on it; and the hold that keeps it as it is after a rollback."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from deploytasks import git, tags
from deploytasks.aws import fencing, lock_records, locks
from deploytasks.aws.fencing import Heartbeat
from deploytasks.commands.context import (
    Context,
    before_any_change,
    guard_registry,
    quiet,
    reach,
    registry_ssm,
    say,
    whoami_here,
)
from deploytasks.commands.resume import broken_off, stopped
from deploytasks.concurrency import each
from deploytasks.durations import spelled
from deploytasks.errors import AwsError, Invalid, NotReady, Unforeseen, contained
from deploytasks.model import Command, LockState, OnEvent, Project, Told


@contextmanager
def lock(context: Context) -> Iterator[tuple[str, ...]]:
    """The tier is ours inside, and free on every way out. A dry run takes no lock, because that would be a change.

    Yields the plan's notes: in a dry run, who holds the lock.

    Raises:
        Locked: it is somebody else's, and stays so for as long as the command waits.
        Interrupted: a signal, with the command that goes on.

    """
    if context.options.dry_run:
        yield obstacles(context, _our_record(context))
        return
    mine, client, is_ours = _our_record(context), registry_ssm(context.project, context.clients), False
    heartbeat = Heartbeat(client, context.project.name, mine, lambda problem: say(context, "lock", problem))
    try:
        with before_any_change():
            until = lock_wait(context.options.lock_wait_s, context.tell)
            held = locks.acquire(client, context.project.name, mine, until)
        fence(context, held)
        if is_ours := held.token == mine.token:
            heartbeat.start()
        with contained(_command(context)):
            yield ()
    except KeyboardInterrupt:
        raise stopped(context, "interrupted") from None
    except Unforeseen as error:
        raise broken_off(context, error) from error.__cause__
    finally:
        try:
            unlock(context, client, mine, heartbeat, is_ours=is_ours)
        except KeyboardInterrupt:  # the first signal came only now, and broke the release off
            unlock(context, client, mine, heartbeat)
            raise stopped(context, "interrupted") from None


def fence(context: Context, held: LockState) -> None:
    """From now on the errand begins nothing where this lock is not held any more."""
    client = registry_ssm(context.project, context.clients)
    context.fence.arm(held, partial(locks.status, client, context.project.name, context.tier.name))


def obstacles(context: Context, mine: LockState) -> tuple[str, ...]:
    """Return what a dry run's plan says of a lock that would keep the real command, with this record, away."""
    with before_any_change():
        found = locks.obstacle(registry_ssm(context.project, context.clients), context.project.name, mine)
    if found is None:
        return ()
    wait_s = context.options.lock_wait_s
    then = f"wait for it, up to {spelled(wait_s)}" if wait_s else f"be refused; {found.to_do}"
    return (f"{found.where}: {found.what}\nwithout --dry-run this would {then}",)


def lock_wait(longest_s: float, tell: OnEvent) -> locks.LockWait:
    """Waits so long for a lock; the listener hears whom for, and when it is ours."""
    return locks.LockWait(longest_s, tell=lambda message: tell(Told("lock", message)))


def lock_of(context: Context) -> LockState | None:
    """Return who holds the tier's lock."""
    return locks.status(registry_ssm(context.project, context.clients), context.project.name, context.tier.name)


def hold_of(context: Context) -> LockState | None:
    """The hold that a rollback left on the tier."""
    return locks.hold(registry_ssm(context.project, context.clients), context.project.name, context.tier.name)


def hold_for(context: Context, commit: str, reason: str) -> LockState:
    """Return a hold of the whole tier, as this command would put it: under the token of its lock."""
    mine = lock_records.lock_record(context.tier.name, context.author, _command(context), commit=commit, reason=reason)
    return replace(mine, token=context.token)


def put_hold(context: Context, hold: LockState) -> None:
    """Hold the tier, or only some tenants of it; a dry run holds nothing."""
    if not context.options.dry_run:
        locks.put_hold(registry_ssm(context.project, context.clients), context.project.name, hold)


def replace_hold(context: Context, hold: LockState) -> None:
    """Put the hold in place of itself; one that somebody lifted or replaced meanwhile stays as it is.

    A hold that can't be replaced is told of, and fails nothing.
    """
    try:
        present = hold_of(context)
        if present is not None and present.token == hold.token:
            put_hold(context, hold)
    except AwsError as error:
        say(context, "hold", f"the hold does not tell that this was finished: {error.complaints[0].what}")


def unlock(
    context: Context, client: Any, mine: LockState, heartbeat: Heartbeat | None = None, *, is_ours: bool = False
) -> None:
    """The lock is free if it was ours; what keeps it from that is told, and hides nothing else.

    That it `is_ours`, because we took it, is not doubted at the first look that does not find it.
    """
    try:
        if heartbeat:
            heartbeat.stop()
        release = locks.release_held if is_ours and not context.fence.lost else locks.release
        if not release(client, context.project.name, mine) and is_ours:
            lost = context.fence.lost or f"the lock of {mine.tier} is no longer this command's"
            say(context, "lock", f"{lost}; inv lock.status shows whose it is")
    except AwsError as error:
        what = f"{error.complaints[0].what}; {locks.freeing(mine.tier, mine.run)} frees it"
        say(context, "lock", f"the lock of {mine.tier} could not be released: {what}")


def _our_record(context: Context) -> LockState:
    """What is written into the lock; what it is about as far as that is known before anything was looked at."""
    to = context.options.to or ""
    release = to if tags.is_release(to, context.tier.name) else ""
    commit = "" if release else _commit(context, context.options.commit or to)
    mine = lock_records.lock_record(context.tier.name, context.author, _command(context), commit=commit)
    return replace(mine, release=release, token=context.token)


def _commit(context: Context, asked: str) -> str:
    """The commit that was asked for, what is checked out where that is what is taken; "" where neither is known yet."""
    takes_head = (
        context.command in (Command.TAG, Command.RELEASE)
        and context.tier.after is None
        and not context.options.allow_dirty
    )
    rev = asked or ("HEAD" if takes_head else "")
    if not rev or tags.is_commit(rev):
        return rev
    try:
        return git.resolve(context.project.root, rev)
    except Invalid:  # which is told where the commit itself is looked for
        return ""


def _command(context: Context) -> str:
    return context.command.task(context.tier.name)


Agreed = Callable[[str, LockState], bool]
"""Whether this one, a `lock` or a `hold`, shall be ended."""
Ended = tuple[tuple[tuple[str, LockState], ...], tuple[tuple[str, LockState], ...]]
"""What was ended, and what is still there: each a `lock` or a `hold`, and who put it there."""


def lock_status(project: Project, tiers: Sequence[str]) -> tuple[tuple[str, LockState | None, LockState | None], ...]:
    """Each tier with who holds its lock, and the hold that a rollback left on it; None where there is none."""
    client = registry(project, "ssm")
    held = each(lambda tier: locks.status(client, project.name, tier), tiers)
    return tuple(zip(tiers, held, each(lambda tier: locks.hold(client, project.name, tier), tiers), strict=True))


def lock_acquire(project: Project, tier: str, reason: str, *, wait_s: float = 0.0, tell: OnEvent = quiet) -> LockState:
    """The tier is locked until somebody releases it; no process holds it, and jobs of this CI run work under it.

    Raises:
        Locked: it is held already, and stays so for as long as we wait.

    """
    record = lock_records.by_hand(lock_records.lock_record(tier, whoami_here(), "lock.acquire", reason=reason))
    with before_any_change():
        client = registry(project, "ssm")
        try:
            return locks.acquire(client, project.name, record, lock_wait(wait_s, tell))
        except KeyboardInterrupt:
            locks.release(client, project.name, record)
            raise


def lock_release(project: Project, tier: str, agreed: Agreed | None = None) -> Ended:
    """The tier's lock is free, whoever held it, and its hold is lifted, as far as `agreed` says yes.

    Where nobody is asked, one of the two at a time: the lock if there is one, for whoever frees that need not know that
    the tier is on hold.

    Raises:
        NotReady: there was neither, nobody agreed, or somebody else took the lock in the meantime.

    """
    with before_any_change():
        client = registry(project, "ssm")
        found = {"lock": locks.status(client, project.name, tier), locks.HOLD: locks.hold(client, project.name, tier)}
        there = [(kind, state) for kind, state in found.items() if state]
        if not there:
            raise NotReady.of(tier, "nobody holds the lock", "inv lock.status shows all of them")
        meant = [each for each in there if agreed(*each)] if agreed else there[:1]
        if not meant:
            raise NotReady.of(tier, "left as it is")
        for kind, state in meant:
            _forget_heartbeat(client, project, kind, state)
            if not locks.release(client, project.name, state, kind):
                raise NotReady.of(tier, f"the {kind} is another one since a moment ago", "inv lock.status shows which")
    return tuple(meant), tuple(each for each in there if each not in meant)


def lock_release_of(project: Project, tier: str, run: str) -> bool:
    """The tier's lock is free, if that CI run held it; whether it did. A hold stays, whoever put it there."""
    with before_any_change():
        client = registry(project, "ssm")
        state = locks.status(client, project.name, tier)
        if state is None or state.run != run:
            return False
        _forget_heartbeat(client, project, "lock", state)
        return locks.release(client, project.name, state)


def _forget_heartbeat(client: Any, project: Project, kind: str, state: LockState) -> None:
    """Delete the heartbeat of a lock that a process held: it may not live to do so itself."""
    if kind == "lock" and state.pid:
        fencing.forget(client, project.name, state)


def registry(project: Project, service: str) -> Any:
    """The registry's client of an AWS service, in the account that the file names and no other."""
    clients = reach()
    guard_registry(project, clients)
    return clients.of(service, project.registry.access)
