"""A tier is ours while a command works on it; and the hold that keeps it as it is after a rollback."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from deploytasks import git, tags
from deploytasks.aws import claims, holds, locks
from deploytasks.aws.heartbeats import Heartbeat
from deploytasks.errors import AwsError, Invalid, Unforeseen, contained
from deploytasks.journey.errand import Errand, before_any_change, broken_off, registry_ssm, say, shown_command, stopped
from deploytasks.lengths import spelled
from deploytasks.model import LockState, OnEvent, Told


@contextmanager
def lock(errand: Errand) -> Iterator[tuple[str, ...]]:
    """The tier is ours inside, and free on every way out. A dry run takes no lock, because that would be a change.

    Yields the plan's notes: in a dry run, who holds the lock.

    Raises:
        Locked: it is somebody else's, and stays so for as long as the command waits.
        Interrupted: a signal, with the command that goes on.

    """
    if errand.options.dry_run:
        yield obstacles(errand, _claim(errand))
        return
    mine, client, is_ours = _claim(errand), registry_ssm(errand.project, errand.clients), False
    heartbeat = Heartbeat(client, errand.project.name, mine, lambda problem: say(errand, "lock", problem))
    try:
        with before_any_change():
            until = patience(errand.options.lock_wait_s, errand.tell)
            held = locks.acquire(client, errand.project.name, mine, until)
        fence(errand, held)
        if is_ours := held.token == mine.token:
            heartbeat.start()
        with contained(_command(errand)):
            yield ()
    except KeyboardInterrupt:
        raise stopped(errand, "interrupted") from None
    except Unforeseen as error:
        raise broken_off(errand, error) from error.__cause__
    finally:
        try:
            unlock(errand, client, mine, heartbeat, is_ours=is_ours)
        except KeyboardInterrupt:  # the first signal came only now, and broke the release off
            unlock(errand, client, mine, heartbeat)
            raise stopped(errand, "interrupted") from None


def fence(errand: Errand, held: LockState) -> None:
    """From now on the errand begins nothing where this lock is not held any more."""
    client = registry_ssm(errand.project, errand.clients)
    errand.fence.arm(held, partial(locks.status, client, errand.project.name, errand.tier.name))


def obstacles(errand: Errand, mine: LockState) -> tuple[str, ...]:
    """Return what a dry run's plan says of a lock that would keep the real command, with this claim, away."""
    with before_any_change():
        found = locks.obstacle(registry_ssm(errand.project, errand.clients), errand.project.name, mine)
    if found is None:
        return ()
    wait_s = errand.options.lock_wait_s
    then = f"wait for it, up to {spelled(wait_s)}" if wait_s else f"be refused; {found.to_do}"
    return (f"{found.where}: {found.what}\nwithout --dry-run this would {then}",)


def patience(longest_s: float, tell: OnEvent) -> locks.Patience:
    """Waits so long for a lock; the listener hears whom for, and when it is ours."""
    return locks.Patience(longest_s, tell=lambda message: tell(Told("lock", message)))


def lock_of(errand: Errand) -> LockState | None:
    """Return who holds the tier's lock."""
    return locks.status(registry_ssm(errand.project, errand.clients), errand.project.name, errand.tier.name)


def hold_of(errand: Errand) -> LockState | None:
    """The hold that a rollback left on the tier."""
    return holds.status(registry_ssm(errand.project, errand.clients), errand.project.name, errand.tier.name)


def hold_for(errand: Errand, commit: str, reason: str) -> LockState:
    """Return a hold of the whole tier, as this command would put it: under the token of its lock."""
    mine = claims.claim(errand.tier.name, errand.author, _command(errand), commit=commit, reason=reason)
    return replace(mine, token=errand.token)


def put_hold(errand: Errand, hold: LockState) -> None:
    """Hold the tier, or only some tenants of it; a dry run holds nothing."""
    if not errand.options.dry_run:
        holds.put(registry_ssm(errand.project, errand.clients), errand.project.name, hold)


def replace_hold(errand: Errand, hold: LockState) -> None:
    """Put the hold in place of itself; one that somebody lifted or replaced meanwhile stays as it is.

    A hold that can't be replaced is told of, and fails nothing.
    """
    try:
        present = hold_of(errand)
        if present is not None and present.token == hold.token:
            put_hold(errand, hold)
    except AwsError as error:
        say(errand, "hold", f"the hold does not tell that this was finished: {error.complaints[0].what}")


def unlock(
    errand: Errand, client: Any, mine: LockState, heartbeat: Heartbeat | None = None, *, is_ours: bool = False
) -> None:
    """The lock is free if it was ours; what keeps it from that is told, and hides nothing else.

    That it `is_ours`, because we took it, is not doubted at the first look that does not find it.
    """
    try:
        if heartbeat:
            heartbeat.stop()
        release = locks.release_held if is_ours and not errand.fence.lost else locks.release
        if not release(client, errand.project.name, mine) and is_ours:
            lost = errand.fence.lost or f"the lock of {mine.tier} is no longer this command's"
            say(errand, "lock", f"{lost}; inv lock.status shows whose it is")
    except AwsError as error:
        what = f"{error.complaints[0].what}; {locks.freeing(mine.tier, mine.run)} frees it"
        say(errand, "lock", f"the lock of {mine.tier} could not be released: {what}")


def _claim(errand: Errand) -> LockState:
    """What is written into the lock; what it is about as far as that is known before anything was looked at."""
    to = errand.options.to or ""
    release = to if tags.is_release(to, errand.tier.name) else ""
    commit = "" if release else _commit(errand, errand.options.commit or to)
    mine = claims.claim(errand.tier.name, errand.author, _command(errand), commit=commit)
    return replace(mine, release=release, token=errand.token)


def _commit(errand: Errand, asked: str) -> str:
    """The commit that was asked for, what is checked out where that is what is taken; "" where neither is known yet."""
    takes_head = errand.command in ("tag", "release") and errand.tier.after is None and not errand.options.allow_dirty
    rev = asked or ("HEAD" if takes_head else "")
    if not rev or tags.is_commit(rev):
        return rev
    try:
        return git.resolve(errand.project.root, rev)
    except Invalid:  # which is told where the commit itself is looked for
        return ""


def _command(errand: Errand) -> str:
    return shown_command(errand.command, errand.tier.name)
