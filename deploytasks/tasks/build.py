"""`inv build` and `inv build.<image>`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.tasks import Task

from deploytasks.config.names import ALL_IMAGES
from deploytasks.tasks import flags


def collection(root: Path, images: Iterable[str]) -> Collection:
    """Return the namespace `build`, whose default builds every image."""
    tasks = Collection("build", *(_one(root, image) for image in images))
    tasks.add_task(_all(root), default=True)
    return tasks


def _all(root: Path) -> Task[Any]:
    @flags.task("build", ALL_IMAGES)
    def build(c: Context, **given: Any) -> None:
        """Build each image and push it to ECR under its commit; nothing to do where it is there."""
        _build(root, c, given)

    return build


def _one(root: Path, image: str) -> Task[Any]:
    @flags.task("build.IMAGE", image)
    def build(c: Context, **given: Any) -> None:
        """Build this image and push it to ECR under its commit; nothing to do where it is there."""
        _build(root, c, {**given, "image": image})

    return build


def _build(root: Path, c: Context, given: Mapping[str, Any]) -> None:
    from deploytasks import commands
    from deploytasks.config.names import tier_names
    from deploytasks.model import Command
    from deploytasks.tasks.carry_out import carry_out

    first = next(iter(tier_names(root)), "")
    carry_out(root, Command.BUILD, commands.build, *flags.asked(c, first, given), as_json=given["json"])
