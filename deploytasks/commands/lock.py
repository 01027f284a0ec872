"""The tier's lock, held while a command works on the tier, and its hold, which blocks deploys after a rollback."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from msgspec.structs import replace

from deploytasks import git, tags
from deploytasks.aws import lock_holders, locks, parameters
from deploytasks.aws.lock_holders import Heartbeat
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
from deploytasks.concurrency import StillRunning, each
from deploytasks.durations import spelled
from deploytasks.errors import AwsError, Interrupted, Invalid, NotReady, Unforeseen, contained
from deploytasks.model import Command, LockState, OnEvent, Project, TierLock, Told


@contextmanager
def lock(context: Context) -> Iterator[tuple[str, ...]]:
    """Hold the tier's lock inside the block, and release it on every exit. A dry run takes no lock.

    Yields notes for the plan: in a dry run, who holds the lock.

    Raises:
        Locked: another command holds it, and did not release it within the wait.
        Interrupted: interrupted by a signal; carries the command that resumes.

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
    except StillRunning:
        raise stopped(context, f"interrupted; {_unknown(mine)}") from None
    except KeyboardInterrupt:
        raise stopped(context, "interrupted") from None
    except Unforeseen as error:
        raise broken_off(context, error) from error.__cause__
    finally:
        try:
            unlock(context, client, mine, heartbeat, is_ours=is_ours)
        except KeyboardInterrupt:  # the first signal arrived here and interrupted the release
            unlock(context, client, mine, heartbeat)
            raise stopped(context, "interrupted") from None


def fence(context: Context, held: LockState) -> None:
    """Arm the context's fence with this lock: once it is lost, the command begins nothing more."""
    client = registry_ssm(context.project, context.clients)
    context.fence.arm(held, partial(locks.status, client, context.project.name, context.tier.name))


def obstacles(context: Context, mine: LockState) -> tuple[str, ...]:
    """Return a dry run's note on a lock that would block the real command; empty if none would.

    `mine` is the lock record that the real command would write.
    """
    with before_any_change():
        found = locks.obstacle(registry_ssm(context.project, context.clients), context.project.name, mine)
    if found is None:
        return ()
    wait_s = context.options.lock_wait_s
    then = f"wait for it, up to {spelled(wait_s)}" if wait_s else f"be refused; {found.to_do}"
    return (f"{found.where}: {found.what}\nwithout --dry-run this would {then}",)


def lock_wait(longest_s: float, tell: OnEvent) -> locks.LockWait:
    """Return a wait of at most so many seconds, which sends the listener who holds the lock, and when it is ours."""
    return locks.LockWait(longest_s, tell=lambda message: tell(Told("lock", message)))


def lock_of(context: Context) -> LockState | None:
    """Return the tier's lock; None if it is free."""
    return locks.status(registry_ssm(context.project, context.clients), context.project.name, context.tier.name)


def hold_of(context: Context) -> LockState | None:
    """Return the hold that a rollback left on the tier, or None."""
    return locks.hold(registry_ssm(context.project, context.clients), context.project.name, context.tier.name)


def hold_for(context: Context, commit: str, reason: str) -> LockState:
    """Return a hold of the whole tier with the token of this command's lock; nothing is written."""
    mine = lock_holders.lock_record(context.tier.name, context.author, _command(context), commit=commit, reason=reason)
    return replace(mine, token=context.token)


def put_hold(context: Context, hold: LockState) -> None:
    """Write the hold of the tier, or of some of its tenants; a dry run writes nothing."""
    if not context.options.dry_run:
        locks.put_hold(registry_ssm(context.project, context.clients), context.project.name, hold)


def put_hold_over(context: Context, planned: LockState | None, hold: LockState) -> None:
    """Write the hold in place of the one that was planned from; None if there was none. A dry run writes nothing.

    Raises:
        LockLost: the lock is no longer ours.
        NotReady: the hold was lifted, set or replaced since then.

    """
    if context.options.dry_run:
        return
    context.fence.check()
    present = hold_of(context)
    if (present and present.token) != (planned and planned.token):
        what = f"{_changed(present)} since this was planned; nothing was changed"
        raise NotReady.of(hold.tier, what, "inv lock.status shows the hold; then run the same command again")
    put_hold(context, hold)


def _changed(present: LockState | None) -> str:
    return f"{present.by} put it on hold ({present.command})" if present else "its hold was lifted"


def replace_hold(context: Context, hold: LockState) -> None:
    """Update the hold, unless it was lifted or replaced in the meantime.

    If AWS refuses, report it and do not fail.
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
    """Release the lock if it is ours, then end its heartbeat; report an AwsError, so that it hides no other error.

    `is_ours` says that this command took the lock: then a single read that does not find it proves no loss.
    """
    try:
        release = locks.release_held if is_ours and not context.fence.lost else locks.release
        if not release(client, context.project.name, mine) and is_ours:
            lost = context.fence.lost or f"the lock of {mine.tier} is no longer this command's"
            say(context, "lock", f"{lost}; inv lock.status shows whose it is")
    except AwsError as error:
        what = f"{error.complaints[0].what}; {locks.freeing(mine.tier, mine.run)} frees it"
        say(context, "lock", f"the lock of {mine.tier} could not be released: {what}")
    if heartbeat:
        heartbeat.stop()


def _our_record(context: Context) -> LockState:
    """Return the lock record, with the release or commit if it is known before anything was read."""
    to = context.options.to or ""
    release = to if tags.is_release(to, context.tier.name) else ""
    commit = "" if release else _commit(context, context.options.commit or to)
    mine = lock_holders.lock_record(context.tier.name, context.author, _command(context), commit=commit)
    return replace(mine, release=release, token=context.token)


def _commit(context: Context, asked: str) -> str:
    """Return the commit asked for, or HEAD if the command takes that; "" if it is not known yet."""
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
    except Invalid:  # reported where the commit itself is resolved
        return ""


def _unknown(mine: LockState) -> str:
    return f"whether the lock was taken is not known: {locks.freeing(mine.tier, mine.run)} frees it if it was"


def _command(context: Context) -> str:
    return context.command.task(context.tier.name)


Agreed = Callable[[str, LockState], bool]
"""Return whether to end this `lock` or `hold`."""
Ended = tuple[tuple[tuple[str, LockState], ...], tuple[tuple[str, LockState], ...]]
"""What was ended, and what remains: each `lock` or `hold` with its record."""


def lock_status(project: Project, tiers: Sequence[str]) -> tuple[TierLock, ...]:
    """Return each tier's lock and hold."""
    client = registry(project, "ssm")

    def look(tier: str) -> TierLock:
        held, hold = locks.status(client, project.name, tier), locks.hold(client, project.name, tier)
        alive_at = lock_holders.last_sign(client, project.name, held) if held and held.pid else None
        return TierLock(tier, held, hold, alive_at)

    return tuple(each(look, tiers))


def lock_acquire(project: Project, tier: str, reason: str, *, wait_s: float = 0.0, tell: OnEvent = quiet) -> LockState:
    """Lock the tier until `lock.release`; no process holds the lock, and jobs of this CI run work under it.

    Raises:
        Locked: it is held already, and was not released within the wait.

    """
    record = lock_holders.by_hand(lock_holders.lock_record(tier, whoami_here(), "lock.acquire", reason=reason))
    with before_any_change():
        client = registry(project, "ssm")
        try:
            return locks.acquire(client, project.name, record, lock_wait(wait_s, tell))
        except StillRunning:
            raise Interrupted.of(tier, f"interrupted; {_unknown(record)}") from None
        except KeyboardInterrupt:
            locks.release(client, project.name, record)
            raise


def lock_release(project: Project, tier: str, agreed: Agreed | None = None) -> Ended:
    """Release the tier's lock, whoever holds it, and lift its hold, each only if `agreed` returns true.

    Without `agreed` only one of the two is ended: the lock if there is one, else the hold. Someone who frees the lock
    may not know that the tier is on hold.

    Raises:
        NotReady: there was neither, `agreed` declined both, or one was replaced in the meantime.

    """
    with before_any_change():
        client = registry(project, "ssm")
        found = {
            "lock": locks.status(client, project.name, tier),
            parameters.HOLD: locks.hold(client, project.name, tier),
        }
        there = [(kind, state) for kind, state in found.items() if state]
        if not there:
            raise NotReady.of(tier, "nobody holds the lock", "inv lock.status shows all of them")
        meant = [each for each in there if agreed(*each)] if agreed else there[:1]
        if not meant:
            raise NotReady.of(tier, "left as it is")
        for kind, state in meant:
            _forget_heartbeat(client, project, kind, state)
            if not locks.release(client, project.name, state, kind):
                raise NotReady.of(tier, f"the {kind} changed a moment ago", "inv lock.status shows which")
    return tuple(meant), tuple(each for each in there if each not in meant)


def lock_release_of(project: Project, tier: str, run: str) -> bool:
    """Release the tier's lock if that CI run holds it; return whether it was released. A hold stays."""
    with before_any_change():
        client = registry(project, "ssm")
        state = locks.status(client, project.name, tier)
        if state is None or state.run != run:
            return False
        _forget_heartbeat(client, project, "lock", state)
        return locks.release(client, project.name, state)


def _forget_heartbeat(client: Any, project: Project, kind: str, state: LockState) -> None:
    """Delete the heartbeat of a lock held by a process, which may have died and can't do so itself."""
    if kind == "lock" and state.pid:
        lock_holders.forget(client, project.name, state)


def registry(project: Project, service: str) -> Any:
    """Return a client of an AWS service in the registry's account, after checking that it is the configured one."""
    clients = reach(project)
    guard_registry(project, clients)
    return clients.of(service, project.registry.access)
