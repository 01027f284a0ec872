"""Read the tiers' names, in promotion order, for listing tasks.

Uses the standard library alone and never complains; `load` reports what is wrong.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

RESERVED_TIER_NAMES = frozenset(
    {"list", "rollback", "history", "diff", "run", "logs", "wait", "continue", "stop", "matrix"}
)
"""The names of other tasks in the namespaces `tag`, `deploy` and `release`."""

NAME = r"[a-z][a-z0-9-]{0,62}"
"""The pattern of project, tenant, tier and service names: legal in image tags, SSM paths and ECS families alike."""


def tier_names(root: Path) -> tuple[str, ...]:
    """Return the names of the readable tiers of envs/project.toml in promotion order; () if it can't be read."""
    try:
        text = (root / "envs" / "project.toml").read_text("utf-8").removeprefix("\ufeff")
    except (OSError, ValueError):
        return ()
    return promotion_order({name: _after(table) for name, table in _tiers(text).items() if may_be_tier(name)})


def is_name(text: str) -> bool:
    """Return whether the name is valid for a project, tenant, tier or service."""
    return re.fullmatch(NAME, text) is not None


def may_be_tier(name: str) -> bool:
    """Return whether the name is valid for a tier: a legal name that no other task has."""
    return is_name(name) and name not in RESERVED_TIER_NAMES


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


def _tiers(text: str) -> Mapping[str, object]:
    """Return the tables of the tiers.

    If the file is not TOML, return at least the names, so that the tiers' tasks can report the error.
    """
    try:
        tiers = tomllib.loads(text).get("tiers")
    except (ValueError, RecursionError):
        return dict.fromkeys(re.findall(rf"^\[tiers\.({NAME})\]", text, re.MULTILINE))
    return tiers if isinstance(tiers, dict) else {}


def _after(table: object) -> str | None:
    after = table.get("after") if isinstance(table, dict) else None
    return after if isinstance(after, str) else None
