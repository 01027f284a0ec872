"""What is done beside releases: a tier's lock by hand."""

from collections.abc import Callable, Sequence
from typing import Any

from deploytasks.aws import claims, heartbeats, holds, locks
from deploytasks.errors import NotReady
from deploytasks.fleet import each
from deploytasks.journey.author import whoami_here
from deploytasks.journey.commands import quiet
from deploytasks.journey.errand import before_any_change, guard_registry, reach
from deploytasks.journey.locking import patience
from deploytasks.model import LockState, OnEvent, Project

Agreed = Callable[[str, LockState], bool]
"""Whether this one, a `lock` or a `hold`, shall be ended."""
Ended = tuple[tuple[tuple[str, LockState], ...], tuple[tuple[str, LockState], ...]]
"""What was ended, and what is still there: each a `lock` or a `hold`, and who put it there."""


def lock_status(project: Project, tiers: Sequence[str]) -> tuple[tuple[str, LockState | None, LockState | None], ...]:
    """Each tier with who holds its lock, and the hold that a rollback left on it; None where there is none."""
    client = registry(project, "ssm")
    held = each(lambda tier: locks.status(client, project.name, tier), tiers)
    return tuple(zip(tiers, held, each(lambda tier: holds.status(client, project.name, tier), tiers), strict=True))


def lock_acquire(project: Project, tier: str, reason: str, *, wait_s: float = 0.0, tell: OnEvent = quiet) -> LockState:
    """The tier is locked until somebody releases it; no process holds it, and jobs of this CI run work under it.

    Raises:
        Locked: it is held already, and stays so for as long as we wait.

    """
    claim = claims.by_hand(claims.claim(tier, whoami_here(), "lock.acquire", reason=reason))
    with before_any_change():
        client = registry(project, "ssm")
        try:
            return locks.acquire(client, project.name, claim, patience(wait_s, tell))
        except KeyboardInterrupt:
            locks.release(client, project.name, claim)
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
        found = {"lock": locks.status(client, project.name, tier), holds.KIND: holds.status(client, project.name, tier)}
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
        heartbeats.forget(client, project.name, state)


def registry(project: Project, service: str) -> Any:
    """The registry's client of an AWS service, in the account that the file names and no other."""
    clients = reach()
    guard_registry(project, clients)
    return clients.of(service, project.registry.access)
