"""`inv build`."""

from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.model import Command
from deploytasks.tasks import flags, shell

_HELP = flags.helped("service", "commit", "allow-dirty", "dry-run", "json")


def build(root: Path) -> Task[Any]:
    """Return the task `build`."""

    @task(auto_shortflags=False, help=_HELP)
    def build(
        c: Context,
        service: str | None = None,
        commit: str | None = None,
        allow_dirty: bool = False,
        dry_run: bool = False,
        json: bool = False,
    ) -> None:
        """Build each service's image and push it to ECR under its commit; nothing to do where it is there."""
        from deploytasks import commands
        from deploytasks.config.names import tier_names

        first = next(iter(tier_names(root)), "")
        options = flags.options(c, commit=commit, allow_dirty=allow_dirty, dry_run=dry_run)
        shell.carry_out(root, Command.BUILD, commands.build, flags.scope(first, service=service), options, as_json=json)

    return build
