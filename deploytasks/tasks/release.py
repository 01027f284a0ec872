"""`inv release.<tier>`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell

_HELP = flags.helped(
    *("tenant", "service", "exclude", "commit", "allow-dirty", "allow-older", "override"),
    *("force", "wait", "dry-run", "json"),
)


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """The namespace `release`."""
    return Collection("release", *(_release(root, tier) for tier in tiers))


def _release(root: Path, tier: str) -> Task[Any]:
    @task(name=tier, auto_shortflags=False, help=_HELP)
    def release(
        c: Context,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        commit: str | None = None,
        allow_dirty: bool = False,
        allow_older: bool = False,
        override: str | None = None,
        force: bool = False,
        wait: bool = True,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Build (in the first tier), tag and deploy, as one."""
        from deploytasks import journey

        asked = {"commit": commit, "allow_dirty": allow_dirty, "allow_older": allow_older, "override": override}
        options = flags.options(c, **asked, force=force, wait=wait, dry_run=dry_run)
        shell.carry_out(root, journey.release, flags.scope(tier, tenant, service, exclude), options, as_json=json)

    return release
