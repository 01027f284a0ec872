"""`inv release.<tier>`, `inv release.history TIER` and `inv release.rollback TIER`; `matrix` has a file of its own."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.model import Command
from deploytasks.tasks import flags, shell
from deploytasks.tasks.matrix import matrix

_HELP = flags.helped(
    *("tenant", "service", "exclude", "only-behind", "only-failed"),
    *("commit", "allow-dirty", "allow-older", "override", "force", "wait", "restore", "lock-wait", "dry-run", "json"),
)
_ROLLBACK_HELP = flags.TIER | flags.helped(
    "to", "at", "tenant", "service", "exclude", "wait", "restore", "lock-wait", "dry-run", "json"
)
_HISTORY_HELP = flags.TIER | flags.helped("service", "last", "json")


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """Return the namespace `release`."""
    return Collection(
        "release", _history(root), _rollback(root), matrix(root), *(_release(root, tier) for tier in tiers)
    )


def _release(root: Path, tier: str) -> Task[Any]:
    @task(name=tier, auto_shortflags=False, help=_HELP)
    def release(
        c: Context,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        only_behind: bool = False,
        only_failed: bool = False,
        commit: str | None = None,
        allow_dirty: bool = False,
        allow_older: bool = False,
        override: str | None = None,
        force: bool = False,
        wait: bool = True,
        restore: bool = True,
        lock_wait: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Build (in the first tier), tag and deploy, as one."""
        from deploytasks import commands

        asked = {"commit": commit, "allow_dirty": allow_dirty, "allow_older": allow_older, "override": override}
        only = {"only_behind": only_behind, "only_failed": only_failed}
        how = {"force": force, "wait": wait, "restore": restore, "lock_wait": lock_wait, "dry_run": dry_run}
        options = flags.options(c, **asked, **only, **how)
        shell.carry_out(
            root, Command.RELEASE, commands.release, flags.scope(tier, tenant, service, exclude), options, as_json=json
        )

    return release


def _rollback(root: Path) -> Task[Any]:
    @task(name="rollback", auto_shortflags=False, positional=["tier"], help=_ROLLBACK_HELP)
    def rollback(
        c: Context,
        tier: str,
        to: str | None = None,
        at: str | None = None,
        tenant: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        wait: bool = True,
        restore: bool = True,
        lock_wait: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Go back to the release before, or to another one, and hold the tier there."""
        from deploytasks import commands

        flags.excludes("at", at, "to", to)
        how = {"wait": wait, "restore": restore, "lock_wait": lock_wait, "dry_run": dry_run}
        options = flags.options(c, to=to, at=flags.moment("at", at), **how)
        shell.carry_out(
            root,
            Command.ROLLBACK,
            commands.rollback,
            flags.scope(tier, tenant, service, exclude),
            options,
            as_json=json,
        )

    return rollback


def _history(root: Path) -> Task[Any]:
    @task(name="history", auto_shortflags=False, positional=["tier"], help=_HISTORY_HELP)
    def history(c: Context, tier: str, service: str | None = None, last: str = "20", json: bool = False) -> None:
        """List a tier's releases and config-only deploys, newest first: what, when, by whom, and where it runs."""
        from deploytasks import commands
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.report import history

        most, project = flags.number("last", last), load(root)
        wanted = select.tier(project, tier), select.services(project, service)
        seen = commands.history(project, *wanted, most)
        shell.show(history.sheet(seen, os.environ), history.as_json(seen, os.environ), as_json=json)

    return history
