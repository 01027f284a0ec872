"""The tiers' names, in promotion order, for whoever only wants to list tasks.

Reads with the standard library alone and never complains; `load` says what is wrong.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

RESERVED_TIER_NAMES = frozenset(
    {"list", "rollback", "history", "diff", "run", "logs", "wait", "continue", "stop", "matrix"}
)
"""The tasks that stand beside the tiers' own in the namespaces `tag`, `deploy` and `release`."""

NAME = r"[a-z][a-z0-9-]{0,62}"
"""How projects, tenants, tiers and services are called: legal in image tags, SSM paths and ECS families alike."""


def tier_names(root: Path) -> tuple[str, ...]:
    """The names of the readable tiers of envs/project.toml in promotion order; () where there is nothing to read."""
    try:
        text = (root / "envs" / "project.toml").read_text("utf-8").removeprefix("\ufeff")
    except (OSError, ValueError):
        return ()
    return promotion_order({name: _after(table) for name, table in _tiers(text).items() if may_be_tier(name)})


def is_name(text: str) -> bool:
    """Whether a project, tenant, tier or service may be called so."""
    return re.fullmatch(NAME, text) is not None


def may_be_tier(name: str) -> bool:
    """Whether a tier may be called so: a legal name that is no other task's."""
    return is_name(name) and name not in RESERVED_TIER_NAMES


def promotion_order(after: Mapping[str, str | None]) -> tuple[str, ...]:
    """The names so that each comes after the one it names, else as they stand; those that never can come last."""
    placed: list[str] = []
    waiting = list(after)
    while waiting:
        ready = (name for name in waiting if after[name] in placed or after[name] is None)
        name = next(ready, waiting[0])
        waiting.remove(name)
        placed.append(name)
    return tuple(placed)


def _tiers(text: str) -> Mapping[str, object]:
    """The tables of the tiers; of a file that is no TOML at least the names, so that their tasks can tell why."""
    try:
        tiers = tomllib.loads(text).get("tiers")
    except (ValueError, RecursionError):
        return dict.fromkeys(re.findall(rf"^\[tiers\.({NAME})\]", text, re.MULTILINE))
    return tiers if isinstance(tiers, dict) else {}


def _after(table: object) -> str | None:
    after = table.get("after") if isinstance(table, dict) else None
    return after if isinstance(after, str) else None
