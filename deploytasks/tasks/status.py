"""`inv status`."""

from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.tasks import Task, task

from deploytasks.tasks import flags, shell


def status(root: Path) -> Task[Any]:
    """The task that shows the board."""

    @task(auto_shortflags=False, help=flags.helped("tenant", "tier", "service", "exclude", "json"))
    def status(
        c: Context,
        tenant: str | None = None,
        tier: str | None = None,
        service: str | None = None,
        exclude: str | None = None,
        json: bool = False,
    ) -> None:
        """Show what runs where: commit, release, running/desired of every tenant and tier."""
        from deploytasks import journey
        from deploytasks.project import choose
        from deploytasks.project.load import load
        from deploytasks.report import board

        project = load(root)
        with shell.interruptible():
            seen = journey.status(project, choose.anywhere(project, tier, flags.scope("", tenant, service, exclude)))
        shell.show(board.sheet(seen), board.as_json(seen), as_json=json)

    return status
