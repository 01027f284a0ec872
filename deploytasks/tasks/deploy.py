"""`inv deploy.<tier>` and `inv deploy.wait TIER`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell

_HELP = flags.helped("tenant", "service", "exclude", "to", "override", "force", "wait", "dry-run", "json")
_WAIT_HELP = {"tier": "the tier, as envs/project.toml names it"} | flags.helped("tenant", "service", "exclude", "json")


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """The namespace `deploy`."""
    return Collection("deploy", _wait(root), *(_deploy(root, tier) for tier in tiers))


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


def _wait(root: Path) -> Task[Any]:
    @task(name="wait", auto_shortflags=False, positional=["tier"], help=_WAIT_HELP)
    def wait(
        c: Context,
        tier: str,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        json: bool = False,
    ) -> None:
        """Follow whatever rollout is under way to its end; change nothing."""
        from deploytasks import journey

        scope = flags.scope(tier, tenant, service, exclude)
        shell.carry_out(root, journey.wait, scope, flags.options(c), as_json=json)

    return wait
