"""What is done beside releases: a tier's lock by hand, and the ECR repositories that everything else needs."""

from collections.abc import Sequence

from deploytasks.aws import ecr, locks
from deploytasks.errors import NotReady
from deploytasks.journey.errand import before_any_change, reach, registry_client, registry_ssm, whoami_here
from deploytasks.model import LockState, Project


def lock_status(project: Project, tiers: Sequence[str]) -> tuple[tuple[str, LockState | None], ...]:
    """Each tier with who holds its lock, None where nobody does."""
    client = registry_ssm(project, reach())
    return tuple((tier, locks.status(client, project.name, tier)) for tier in tiers)


def lock_acquire(project: Project, tier: str, reason: str) -> LockState:
    """The tier is locked until somebody releases it; no process holds it.

    Raises:
        Locked: it is held already.

    """
    claim = locks.as_hold(locks.claim(tier, whoami_here(), "lock.acquire", reason=reason))
    with before_any_change():
        return locks.acquire(registry_ssm(project, reach()), project.name, claim)


def lock_release(project: Project, tier: str) -> LockState:
    """The tier's lock is free, whoever held it; returns who did.

    Raises:
        NotReady: nobody holds it.

    """
    client = registry_ssm(project, reach())
    with before_any_change():
        holder = locks.status(client, project.name, tier)
        if holder is None:
            raise NotReady.of(tier, "nobody holds the lock", "inv lock.status shows all of them")
        locks.release(client, project.name, holder)
    return holder


def bootstrap(project: Project, *, dry_run: bool) -> tuple[str, ...]:
    """Each service has its ECR repository: release tags immutable, tier tags not, pulled by all tenants' accounts.

    Returns what was changed (or would be), in words; a repository that is there keeps its settings.
    """
    client = registry_client(project, reach())
    accounts = {target.access.account for target in project.targets} - {project.registry.access.account}
    tiers = [tier.name for tier in project.tiers]
    return tuple(
        change
        for service in project.services
        for change in ecr.bootstrap(client, service.repository, tiers, accounts, dry_run=dry_run)
    )
