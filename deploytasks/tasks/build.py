"""`inv build`."""

from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import Task

from deploytasks.tasks import flags


def build(root: Path) -> Task[Any]:
    """Return the task `build`."""

    @flags.task("build")
    def build(c: Context, **given: Any) -> None:
        """Build each image and push it to ECR under its commit; nothing to do where it is there."""
        from deploytasks import commands
        from deploytasks.config.names import tier_names
        from deploytasks.model import Command
        from deploytasks.tasks.carry_out import carry_out

        first = next(iter(tier_names(root)), "")
        carry_out(root, Command.BUILD, commands.build, *flags.asked(c, first, given), as_json=given["json"])

    return build
