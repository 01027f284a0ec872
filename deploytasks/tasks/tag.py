"""`inv tag.<tier>` and `inv tag.list`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.model import Command
from deploytasks.tasks import flags, shell

_HELP = flags.helped("service", "commit", "allow-dirty", "allow-older", "override", "lock-wait", "dry-run", "json")


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """Return the namespace `tag`."""
    return Collection("tag", _list(root), *(_tag(root, tier) for tier in tiers))


def _tag(root: Path, tier: str) -> Task[Any]:
    @task(name=tier, auto_shortflags=False, help=_HELP)
    def tag(
        c: Context,
        service: str | None = None,
        commit: str | None = None,
        allow_dirty: bool = False,
        allow_older: bool = False,
        override: str | None = None,
        lock_wait: str | None = None,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Point the tier at a commit: mint a release tag, then move the tier tag."""
        from deploytasks import commands

        asked = {"commit": commit, "allow_dirty": allow_dirty, "allow_older": allow_older, "override": override}
        options = flags.options(c, **asked, lock_wait=lock_wait, dry_run=dry_run)
        shell.carry_out(root, Command.TAG, commands.tag, flags.scope(tier, service=service), options, as_json=json)

    return tag


def _list(root: Path) -> Task[Any]:
    @task(name="list", auto_shortflags=False, help=flags.helped("service", "json"))
    def list_images(c: Context, service: str | None = None, json: bool = False) -> None:
        """List the images in ECR, newest first, with all their tags and where each runs."""
        from deploytasks import commands
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.report import images

        project = load(root)
        listings = commands.list_images(project, select.services(project, service))
        tiers = [tier.name for tier in project.tiers]
        shell.show(images.sheet(listings, tiers), images.as_json(listings, tiers), as_json=json)

    return list_images
