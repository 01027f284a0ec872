"""Read the names of tiers, images, services, jobs and tenants, for listing tasks and for completion in shells.

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

ALL_IMAGES = "all"
"""The name of the task in the namespace `build` that builds every image; no image has it."""

NAME = r"[a-z][a-z0-9-]{0,62}"
"""The pattern of project, tenant, tier, image and service names: legal in tags, SSM paths and ECS families alike."""


def tier_names(root: Path) -> tuple[str, ...]:
    """Return the names of the readable tiers of envs/project.toml in promotion order; () if it can't be read."""
    return project_names(root)["tiers"]


def project_names(root: Path) -> dict[str, tuple[str, ...]]:
    """Return the names that envs/project.toml gives to `tiers`, in promotion order, `images`, `services` and `jobs`.

    Those that can't be read are missing.
    """
    tiers, images, services, jobs = _tables(root / "envs" / "project.toml", "tiers", "images", "services", "jobs")
    after = {name: _after(table) for name, table in tiers.items() if may_be_tier(name)}
    return {
        "tiers": promotion_order(after),
        "images": tuple(filter(may_be_image, images)),
        "services": tuple(filter(is_name, services)),
        "jobs": tuple(filter(is_name, jobs)),
    }


def tenant_names(root: Path) -> tuple[str, ...]:
    """Return the names of the tenants that have a file in envs/: `main` first, the others by name."""
    stems = {path.stem for path in (root / "envs").glob("*.toml")} - {"project"}
    return tuple(sorted(filter(is_name, stems), key=lambda name: (name != "main", name)))


def tiers_of(root: Path, tenant: str) -> tuple[str, ...]:
    """Return the names of the tiers that a tenant's file declares; () if it can't be read."""
    (tiers,) = _tables(root / "envs" / f"{tenant}.toml", "tiers")
    return tuple(filter(may_be_tier, tiers))


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


def _tables(file: Path, *kinds: str) -> Iterator[Mapping[str, object]]:
    """Yield the tables of each kind, empty ones if the file can't be read.

    If the file is not TOML, yield at least the names, so that their tasks can report the error.
    """
    text = _text(file)
    try:
        data = tomllib.loads(text)
    except (ValueError, RecursionError):
        for kind in kinds:
            yield dict.fromkeys(re.findall(rf"^\[{kind}\.({NAME})\]", text, re.MULTILINE))
        return
    for kind in kinds:
        found = data.get(kind)
        yield found if isinstance(found, dict) else {}


def _text(file: Path) -> str:
    """Return the file's text; "" if it can't be read. Never wait for a pipe's writer."""
    try:
        return file.read_text("utf-8").removeprefix("\ufeff") if file.is_file() else ""
    except (OSError, ValueError):
        return ""


def _after(table: object) -> str | None:
    after = table.get("after") if isinstance(table, dict) else None
    return after if isinstance(after, str) else None
