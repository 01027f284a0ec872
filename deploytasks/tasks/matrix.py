"""`inv release.matrix TIER`: print a release as CI jobs, so that many runners share it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invoke.context import Context
from invoke.tasks import Task

from deploytasks.flags import choices
from deploytasks.tasks import flags, shell

if TYPE_CHECKING:
    from deploytasks.model import Matrix, Options


def matrix(root: Path) -> Task[Any]:
    """Return the task `release.matrix`."""

    @flags.task("release.matrix")
    def matrix(c: Context, tier: str, **given: Any) -> None:
        """Gate, tag and lock a tier once, and print the CI jobs that roll it out: deploy.<tier> --shard 3/8."""
        from deploytasks.report.matrix import MOST_JOBS

        number = flags.number("shards", given["shards"] or "", MOST_JOBS)
        form, include = flags.one_of("format", given["format"], choices("release.matrix", "format")), given["include"]
        flags.goes_with("include", include, form == "gitlab", "--format gitlab")
        options = flags.options(c, {**given, "shards": number})
        _print(_made(root, tier, options), form, include)

    return matrix


def _made(root: Path, tier: str, options: "Options") -> "Matrix":
    """Gate, tag and lock the tier for its shards. Progress goes to stderr, since stdout is for a program."""
    from deploytasks import commands
    from deploytasks.model import Command
    from deploytasks.tasks.carry_out import reporting

    scope = flags.scope(tier, {})
    with reporting(root, Command.MATRIX, scope, options, sys.stderr, as_json=False) as (project, show):
        made = commands.matrix(project, scope, options, show)
        show.finish(made.report)
    return made


def _print(made: "Matrix", form: str, include: str | None) -> None:
    """Print the jobs on stdout; GitHub's on one line, as the output of a step must be."""
    from deploytasks.report import matrix

    if form == "github":
        shell.show_exactly(matrix.github(made), indent=None)
    else:
        shell.show_exactly(matrix.gitlab(made, include))
