"""What is done beside releases: a tier's lock by hand, and the ECR repositories that everything else needs."""

from collections.abc import Sequence
from typing import Any

from deploytasks.aws import ecr, holds, locks
from deploytasks.errors import NotReady
from deploytasks.fleet import each
from deploytasks.journey.errand import before_any_change, guard_registry, reach, whoami_here
from deploytasks.model import LockState, Project


def lock_status(project: Project, tiers: Sequence[str]) -> tuple[tuple[str, LockState | None, LockState | None], ...]:
    """Each tier with who holds its lock, and the hold that a rollback left on it; None where there is none."""
    client = _registry(project, "ssm")
    held = each(lambda tier: locks.status(client, project.name, tier), tiers)
    return tuple(zip(tiers, held, each(lambda tier: holds.status(client, project.name, tier), tiers), strict=True))


def lock_acquire(project: Project, tier: str, reason: str) -> LockState:
    """The tier is locked until somebody releases it; no process holds it.

    Raises:
        Locked: it is held already.

    """
    claim = locks.as_hold(locks.claim(tier, whoami_here(), "lock.acquire", reason=reason))
    with before_any_change():
        return locks.acquire(_registry(project, "ssm"), project.name, claim)


def lock_release(project: Project, tier: str) -> tuple[LockState, ...]:
    """The tier's lock is free, whoever held it, and its hold is lifted; returns those that there were.

    Raises:
        NotReady: there was neither, or somebody else took the lock at this moment.

    """
    with before_any_change():
        client = _registry(project, "ssm")
        holder, hold = locks.status(client, project.name, tier), holds.status(client, project.name, tier)
        if holder is None and hold is None:
            raise NotReady.of(tier, "nobody holds the lock", "inv lock.status shows all of them")
        if holder and not locks.release(client, project.name, holder):
            raise NotReady.of(tier, "somebody else holds the lock since a moment ago", "inv lock.status shows who")
        if hold:
            holds.lift(client, project.name, tier)
    return tuple(state for state in (holder, hold) if state)


def bootstrap(project: Project, *, dry_run: bool) -> tuple[str, ...]:
    """Each service has its ECR repository: release tags immutable, tier tags not, pulled by all tenants' accounts.

    Returns what was changed (or would be), in words; a repository that is there keeps its settings.
    """
    client = _registry(project, "ecr")
    accounts = {target.access.account for target in project.targets} - {project.registry.access.account}
    tiers = [tier.name for tier in project.tiers]
    return tuple(
        change
        for service in project.services
        for change in ecr.bootstrap(client, service.repository, tiers, accounts, dry_run=dry_run)
    )


def _registry(project: Project, service: str) -> Any:
    """The registry's client of an AWS service, in the account that the file names and no other."""
    clients = reach()
    guard_registry(project, clients)
    return clients.of(service, project.registry.access)
