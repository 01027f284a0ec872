"""`inv tag.<tier>` and `inv tag.list`."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploytasks.tasks import flags, seen, shell


def collection(root: Path, tiers: Iterable[str]) -> Collection:
    """Return the namespace `tag`."""
    return Collection("tag", _list(root), *(_tag(root, tier) for tier in tiers))


def _tag(root: Path, tier: str) -> Task[Any]:
    @flags.task("tag.TIER", tier)
    def tag(c: Context, **given: Any) -> None:
        """Point the tier at a commit: mint a release tag, then move the tier tag."""
        from deploytasks import commands
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        carry_out(root, Command.TAG, commands.tag, *flags.asked(c, tier, given), as_json=given["json"])

    return tag


def _list(root: Path) -> Task[Any]:
    @flags.task("tag.list")
    def list_images(c: Context, **given: Any) -> None:
        """List the images in ECR, newest first, with all their tags and where each runs."""
        from deploytasks import commands
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.report import images

        project = load(root)
        listings = commands.list_images(project, select.images(project, given["image"]))
        tiers = [tier.name for tier in project.tiers]
        tags = [tag for listing in listings for image in listing.images for tag in image.tags]
        seen.releases(root, tags, dry_run=flags.is_dry(c, False))
        shell.show(images.sheet(listings, tiers), images.as_json(listings, tiers), as_json=given["json"])

    return list_images
