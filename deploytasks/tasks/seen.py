"""Leave what a command saw for completion in shells: nothing else reads it, and a failure to write does not matter."""

from collections.abc import Iterable
from contextlib import suppress
from itertools import groupby
from pathlib import Path

from invoke.collection import Collection
from invoke.parser.context import ParserContext

from deploytasks.completion import seen

_MOST = 50
"""Keep so many releases of a tier, the newest."""


def releases(root: Path, tags: Iterable[str], *, dry_run: bool) -> None:
    """Add the release tags among the tags to those that were seen before; a dry run adds none."""
    found = sorted({*seen.lines(root, seen.RELEASES), *filter(seen.is_release, tags)})
    by_tier = groupby(found, key=lambda tag: tag.rpartition("-")[0])
    if not dry_run:
        _write(root, seen.RELEASES, [tag for _, each in by_tier for tag in [*each][-_MOST:]])


def own_tasks(root: Path, tasks: Collection, ours: frozenset[str]) -> None:
    """Keep the tasks that tasks.py added to ours, with their flags."""
    names = {each: name for name, aliases in tasks.task_names.items() if name not in ours for each in (name, *aliases)}
    flags = {name: seen.typed(ParserContext(name, args=tasks[name].get_arguments())) for name in names.values()}
    _write(root, seen.TASKS, [" ".join([each, *flags[name]]) for each, name in sorted(names.items())])


def _write(root: Path, name: str, lines: list[str]) -> None:
    """Write the lines, unless they stand there already."""
    if tuple(lines) == seen.lines(root, name):
        return
    from deploytasks.errors import DeployError
    from deploytasks.tasks import files

    with suppress(OSError, RuntimeError, ValueError, DeployError):
        files.write(seen.file(root, name), "".join(f"{line}\n" for line in lines))
