"""Read the names of tiers, in promotion order, and of images, for listing tasks.

Uses the standard library alone and never complains; `load` reports what is wrong.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

RESERVED_TIER_NAMES = frozenset(
    {"list", "rollback", "history", "diff", "run", "logs", "wait", "continue", "stop", "matrix"}
)
"""The names of other tasks in the namespaces `tag`, `deploy` and `release`."""

_KINDS = ("tiers", "images")
ALL_IMAGES = "all"
"""The name of the task in the namespace `build` that builds every image; no image has it."""

NAME = r"[a-z][a-z0-9-]{0,62}"
"""The pattern of project, tenant, tier, image and service names: legal in tags, SSM paths and ECS families alike."""


def tier_names(root: Path) -> tuple[str, ...]:
    """Return the names of the readable tiers of envs/project.toml in promotion order; () if it can't be read."""
    return tiers_and_images(root)[0]


def tiers_and_images(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of the readable tiers in promotion order, and of the images in file order, by one look."""
    try:
        text = (root / "envs" / "project.toml").read_text("utf-8").removeprefix("\ufeff")
    except (OSError, ValueError):
        return (), ()
    tiers, images = _tables(text)
    after = {name: _after(table) for name, table in tiers.items() if may_be_tier(name)}
    return promotion_order(after), tuple(name for name in images if may_be_image(name))


def is_name(text: str) -> bool:
    """Return whether the name is valid for a project, tenant, tier, image or service."""
    return re.fullmatch(NAME, text) is not None


def may_be_tier(name: str) -> bool:
    """Return whether the name is valid for a tier: a legal name that no other task has."""
    return is_name(name) and name not in RESERVED_TIER_NAMES


def may_be_image(name: str) -> bool:
    """Return whether the name is valid for an image: a legal name that no other task has."""
    return is_name(name) and name != ALL_IMAGES


def promotion_order(after: Mapping[str, str | None]) -> tuple[str, ...]:
    """Return the names so that each comes after the one it names, else in the order given.

    Those that can never come, since their `after` leads nowhere or in a circle, are last.
    """
    placed: list[str] = []
    waiting = list(after)
    while waiting:
        ready = (name for name in waiting if after[name] in placed or after[name] is None)
        name = next(ready, waiting[0])
        waiting.remove(name)
        placed.append(name)
    return tuple(placed)


def _tables(text: str) -> Iterator[Mapping[str, object]]:
    """Yield the tables of the tiers and those of the images.

    If the file is not TOML, yield at least the names, so that their tasks can report the error.
    """
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        for kind in _KINDS:
            yield dict.fromkeys(re.findall(rf"^\[{kind}\.({NAME})\]", text, re.MULTILINE))
        return
    for kind in _KINDS:
        found = data.get(kind)
        yield found if isinstance(found, dict) else {}


def _after(table: object) -> str | None:
    after = table.get("after") if isinstance(table, dict) else None
    return after if isinstance(after, str) else None
