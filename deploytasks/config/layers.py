"""Merge layers of settings, later ones winning, and record where each value came from. Pure.

Tables merge key by key, scalars and lists replace; `false` in `env` or `secrets` removes an inherited key; inside a
layer its `services.S` or `jobs.J` comes last.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from deploytasks.config.files import table
from deploytasks.config.lines import dotted, locate
from deploytasks.model import Origin, Target


class Layer(Struct, frozen=True):
    """The settings at one place of one file; `at` is the dotted key of their table, "" for the top of the file."""

    file: str
    at: str
    settings: dict[str, Any]

    def within(self, *path: str) -> "Layer":
        """Return the settings of a table inside this one."""
        return Layer(self.file, f"{self.prefix}{dotted(*path)}", table(self.settings, *path))

    @property
    def prefix(self) -> str:
        """The prefix that makes a dotted setting a key of the file."""
        return f"{self.at}." if self.at else ""


class Merged(Struct, frozen=True):
    """Merged settings; `origins` maps each dotted setting to where it came from."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)


KINDS = ("services", "jobs")
"""The tables of what runs in an environment, in the order of its rollout."""
_NOT_SETTINGS = frozenset({*KINDS, "tiers"})
_REMOVABLE = frozenset({"env.", "secrets."})


def merge(layers: Iterable[Layer], name: str, kind: str = "services") -> Merged:
    """Return the settings of one of `KINDS`, merged from layers given from the most general to the most specific."""
    merged = Merged()
    for layer in layers:
        general = {key: value for key, value in layer.settings.items() if key not in _NOT_SETTINGS}
        _lay(Layer(layer.file, layer.at, general), merged, merged.values, "")
        _lay(layer.within(kind, name), merged, merged.values, "")
    return merged


def _lay(layer: Layer, merged: Merged, below: dict[str, Any], path: str) -> None:
    """Merge a layer's table into the one below; `path` is the dotted setting of both with a trailing dot, or ""."""
    for key, value in layer.settings.items():
        name = path + dotted(key)
        if isinstance(value, dict):
            if not isinstance(below.get(key), dict):
                _forget(merged, name)
                below[key] = {}
            _lay(Layer(layer.file, layer.at, value), merged, below[key], f"{name}.")
        elif value is False and path in _REMOVABLE:
            below.pop(key, None)
            _forget(merged, name)
        else:
            if isinstance(below.get(key), dict):
                _forget(merged, name)
            below[key] = value
            merged.origins[name] = Origin(layer.file, layer.prefix + name)


def _forget(merged: Merged, name: str) -> None:
    """Remove the origins of a setting and of everything inside it."""
    merged.origins.pop(name, None)
    for inner in [each for each in merged.origins if each.startswith(f"{name}.")]:
        del merged.origins[inner]


Setting = tuple[str, str, Origin | None]


def settings(root: Path, target: Target) -> tuple[Setting, ...]:
    """Return each dotted setting, its value as text, and its origin with its line.

    The origin is None if the value is our default.
    """
    origins = {key: locate(root, origin) for key, origin in target.origins.items()}
    return tuple((key, _text(value), origins.get(key)) for key, value in _leaves(_tables(target), ""))


def _tables(target: Target) -> dict[str, Any]:
    access, job = target.access, target.job
    return {
        "account": access.account,
        "region": access.region,
        "profile": access.profile,
        "role": access.role,
        "external_id": access.external_id,
        "cluster": target.cluster,
        "ecs_service": target.ecs_service or None,
        "family": target.family,
        "schedule": (job.schedule if job else "") or None,
        "schedule_role": (job.schedule_role if job else "") or None,
        "rule": (job.rule if job else "") or None,
        "wave": target.wave,
        "cpu": target.cpu,
        "memory": target.memory,
        "env": target.env,
        "secrets": target.secrets,
        "vars": target.vars,
    }


def _leaves(table: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """Yield the values that are not tables, and nested empty tables; leave out what is not set."""
    for key, value in table.items():
        name = path + dotted(key)
        if isinstance(value, Mapping) and (value or not path):
            yield from _leaves(value, f"{name}.")
        elif value is not None:
            yield name, value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
