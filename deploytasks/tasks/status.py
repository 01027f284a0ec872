"""`inv status`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import Task

from deploytasks.flags import DRY_RUN
from deploytasks.tasks import files, flags, seen, shell

if TYPE_CHECKING:
    from deploytasks.model import Board


def status(root: Path) -> Task[Any]:
    """Return the task `status`."""

    @flags.task("status")
    def status(c: Context, **given: Any) -> None:
        """Show what runs where: commit, release, tasks and rollout of every tenant and tier."""
        from deploytasks import commands
        from deploytasks.config import select
        from deploytasks.config.load import load
        from deploytasks.report import board

        file, project = flags.file("html", given["html"]), load(root)
        found = commands.status(project, select.anywhere(project, given["tier"], flags.scope("", given)))
        writes = not flags.is_dry(c, given["dry_run"])
        seen.releases(root, [cell.release for cell in found.cells], dry_run=not writes)
        shell.show(board.sheet(found), board.as_json(found), as_json=given["json"], summary="status" if writes else "")
        _write(found, file, writes=writes)
        _judge(found, check=given["check"])

    return status


def _write(seen: "Board", file: Path | None, *, writes: bool) -> None:
    if not writes:
        shell.warn(f"status: {DRY_RUN}{f'; the page would be in {file}' if file else ''}")
    elif file:
        from deploytasks.report.page import page

        files.write(file, page(seen))
        shell.warn(f"status: the page is in {file}")


def _judge(seen: "Board", *, check: bool) -> None:
    """Raise what gives the board its exit code.

    Raises:
        AwsError: no target could be seen; with `check`, some target could not be seen or judged.
        Different: with `check`, some target deserves a second look.

    """
    from deploytasks.errors import AwsError, Different
    from deploytasks.report.board import summary

    unseen = sum(cell.standing == "unseen" for cell in seen.cells)
    if unseen and (check or unseen == len(seen.cells)):
        raise AwsError.of("status", f"{unseen} of {len(seen.cells)} targets could not be seen", "the board says why")
    if check and seen.notes:
        raise AwsError.of("status", "not everything could be judged", "the notes below the board say why")
    if check and not all(cell.as_wanted for cell in seen.cells):
        raise Different.of("status", summary(seen))
