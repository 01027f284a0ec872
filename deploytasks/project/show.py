"""A target's merged settings, each with the place in envs/ that it came from."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from deploytasks.model import Origin, Target
from deploytasks.project.toml_lines import dotted, locate

Setting = tuple[str, str, Origin | None]


def settings(root: Path, target: Target) -> tuple[Setting, ...]:
    """Each dotted setting, its value as text, and its origin with its line; None where the value is our default."""
    return tuple((key, _text(value), _origin(root, target, key)) for key, value in _leaves(_tables(target), ""))


def _tables(target: Target) -> dict[str, Any]:
    access = target.access
    return {
        "account": access.account,
        "region": access.region,
        "profile": access.profile,
        "role": access.role,
        "external_id": access.external_id,
        "cluster": target.cluster,
        "ecs_service": target.ecs_service,
        "family": target.family,
        "wave": target.wave,
        "cpu": target.cpu,
        "memory": target.memory,
        "env": target.env,
        "secrets": target.secrets,
        "vars": target.vars,
    }


def _leaves(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """The values that no table holds, and empty tables inside another; what is not set is left out."""
    for key, value in table.items():
        name = path + dotted(key)
        if isinstance(value, Mapping) and (value or not path):
            yield from _leaves(value, f"{name}.")
        elif value is not None:
            yield name, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin(root: Path, target: Target, key: str) -> Origin | None:
    origin = target.origins.get(key)
    return None if origin is None else locate(root, origin)
