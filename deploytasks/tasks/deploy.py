"""`inv deploy.<tier>`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell

_HELP = flags.helped("tenant", "service", "exclude", "to", "override", "force", "wait", "dry-run", "json")


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """The namespace `deploy`."""
    return Collection("deploy", *(_deploy(root, tier) for tier in tiers))


def _deploy(root: Path, tier: str) -> Task[Any]:
    @task(name=tier, auto_shortflags=False, help=_HELP)
    def deploy(
        c: Context,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        to: str | None = None,
        override: str | None = None,
        force: bool = False,
        wait: bool = True,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Roll every target of the tier to what its tier tag names."""
        from deploytasks import journey

        options = flags.options(c, to=to, override=override, force=force, wait=wait, dry_run=dry_run)
        shell.carry_out(root, journey.deploy, flags.scope(tier, tenant, service, exclude), options, as_json=json)

    return deploy
