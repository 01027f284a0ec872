"""`inv release.<tier>`, `inv release.history TIER` and `inv release.rollback TIER`; `matrix` has a file of its own."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploytasks.tasks import flags, seen, shell
from deploytasks.tasks.matrix import matrix


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """Return the namespace `release`."""
    return Collection(
        "release", _history(root), _rollback(root), matrix(root), *(_release(root, tier) for tier in tiers)
    )


def _release(root: Path, tier: str) -> Task[Any]:
    @flags.task("release.TIER", tier)
    def release(c: Context, **given: Any) -> None:
        """Build (in the first tier), tag and deploy, as one."""
        from deploytasks import commands
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        asked = flags.asked(c, tier, given)
        carry_out(root, Command.RELEASE, commands.release, *asked, as_json=given["json"])

    return release


def _rollback(root: Path) -> Task[Any]:
    @flags.task("release.rollback")
    def rollback(c: Context, tier: str, **given: Any) -> None:
        """Go back to the release before, or to another one, and hold the tier there."""
        from deploytasks import commands
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        flags.excludes("at", given["at"], "to", given["to"])
        asked = flags.asked(c, tier, given)
        carry_out(root, Command.ROLLBACK, commands.rollback, *asked, as_json=given["json"])

    return rollback


def _history(root: Path) -> Task[Any]:
    @flags.task("release.history")
    def history(c: Context, tier: str, **given: Any) -> None:
        """List a tier's releases and config-only deploys, newest first: what, when, by whom, and where it runs."""
        from deploytasks import commands
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.report import history

        most, project = flags.number("last", given["last"]), load(root)
        wanted = select.tier(project, tier), select.services(project, given["service"])
        found = commands.history(project, *wanted, most)
        seen.releases(root, [each.tag for each in found.releases], dry_run=flags.is_dry(c, False))
        shell.show(history.sheet(found, os.environ), history.as_json(found, os.environ), as_json=given["json"])

    return history
