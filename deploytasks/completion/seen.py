"""Where commands leave what they saw, so that completion can offer it: releases, and the tasks that tasks.py adds.

A file for each in a folder of the project's own, in the user's cache folder. Only completion reads them: they may be
old or wrong, and decide nothing.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from deploytasks.flags import Flag
from deploytasks.tags import RELEASE

if TYPE_CHECKING:
    from invoke.parser.context import ParserContext

RELEASES, TASKS = "releases", "tasks"
"""The files: a release tag a line; a task a line, and after it its flags, with `=` where they take a value."""
_TASK = re.compile(r"[\w.-]+( --?[\w-]+=?)*", re.ASCII)


def file(root: Path, name: str) -> Path:
    """Return the file of the project in `root`. Source: the XDG Base Directory Specification.

    Raises:
        RuntimeError: the user has no home.

    """
    given = os.environ.get("XDG_CACHE_HOME", "")
    cache = Path(given) if given.startswith("/") else Path.home() / ".cache"
    project = os.path.realpath(root).replace("%", "%25").replace("/", "%2F")
    return cache / "deploytasks" / project / name


def lines(root: Path, name: str) -> tuple[str, ...]:
    """Return the well-formed lines of the file; () if it can't be read."""
    form = RELEASE if name == RELEASES else _TASK
    try:
        found = file(root, name)
        text = found.read_text("ascii") if found.is_file() else ""
    except (OSError, ValueError, RuntimeError):
        return ()
    return tuple(each for each in text.splitlines() if form.fullmatch(each))


def is_release(tag: str) -> bool:
    """Return whether the tag has the form of a release tag, of any tier."""
    return RELEASE.fullmatch(tag) is not None


def releases(root: Path, tier: str) -> tuple[str, ...]:
    """Return the last seen releases of the tier, newest first; of every tier if it is ""."""
    found = (each for each in lines(root, RELEASES) if not tier or each.rpartition("-")[0] == tier)
    return tuple(sorted(found, key=lambda tag: tag.rpartition("-")[2], reverse=True))


def tasks(root: Path) -> Iterator[tuple[str, dict[str, Flag]]]:
    """Yield the tasks that tasks.py added when `inv` last ran, with their flags as they are typed."""
    for each in lines(root, TASKS):
        name, *flags = each.split()
        yield name, flags_of(flags)


def typed(context: "ParserContext") -> list[str]:
    """Return the flags of Invoke or of a task as they are typed, for `flags_of` to read."""
    takers = {name for name, argument in context.flags.items() if argument.takes_value}
    takers |= {short for short, name in context.flags.aliases.items() if name in takers}
    return [f"{name}=" if name in takers else name for name in context.flag_names()]


def flags_of(words: Iterable[str]) -> dict[str, Flag]:
    """Return flags as they are typed: `--tenant=` takes a value, `--force` takes none."""
    split = ((word.rstrip("="), word.endswith("=")) for word in words)
    return {name: Flag(name.lstrip("-"), "", "", default=None if takes else False) for name, takes in split}
