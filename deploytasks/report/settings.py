"""The environments: which there are, and what is set in one, with the place that each value comes from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from deploytasks.model import Environment, Target
from deploytasks.report.secrets import MASK, looks_secret
from deploytasks.report.sheet import Column, Sheet, Span, line, table

Row = tuple[str, Any, str]
"""A dotted setting, its value, and its origin as text, or `default`."""

_ACCESS = ("account", "region", "profile", "role", "external_id")
_PLACE = ("cluster", "ecs_service", "family", "wave", "cpu", "memory")
_MAPS = ("env", "secrets", "vars")


def rows(target: Target) -> tuple[Row, ...]:
    """Every setting of the target, in the order of the file format; values that are not set are left out."""
    values = [
        *((key, getattr(target.access, key)) for key in _ACCESS),
        *((key, getattr(target, key)) for key in _PLACE),
        *((f"{key}.{name}", value) for key in _MAPS for name, value in getattr(target, key).items()),
    ]
    return tuple((key, value, _origin(target, key)) for key, value in values if value is not None)


def sheet(settings: Iterable[Row]) -> Sheet:
    """The settings for people; of a secret-looking value only that it is there."""
    columns = (Column("setting"), Column("value"), Column("from"))
    laid_out = [(key, _text(_shown(key, value)), Span(origin, "dim")) for key, value, origin in settings]
    return (table(columns, laid_out),) if laid_out else (line("no settings"),)


def as_json(settings: Iterable[Row]) -> dict[str, Any]:
    """The settings for programs, by their dotted names."""
    return {key: {"value": _shown(key, value), "from": origin} for key, value, origin in settings}


def environments_sheet(targets: Sequence[Target]) -> Sheet:
    """The environments of these targets; services that live elsewhere than the rest have a line of their own."""
    names = ("environment", "account", "region", "cluster", "wave", "services")
    columns = [Column(name, "whole" if name in ("environment", "account") else "fold") for name in names]
    laid_out = [
        (str(environment), *map(str, place), ", ".join(services)) for environment, place, services in _places(targets)
    ]
    return (table(columns, laid_out),) if laid_out else (line("no environments"),)


def environments_json(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """The environments of these targets for programs, as `environments_sheet` divides them."""
    return [
        {
            "environment": str(environment),
            "tenant": environment.tenant,
            "tier": environment.tier,
            **dict(zip(("account", "region", "cluster", "wave"), place, strict=True)),
            "services": services,
        }
        for environment, place, services in _places(targets)
    ]


_Place = tuple[str, str, str, int]


def _places(targets: Sequence[Target]) -> list[tuple[Environment, _Place, list[str]]]:
    found: dict[tuple[Environment, _Place], list[str]] = {}
    for environment, members in groupby(targets, key=lambda target: target.environment):
        for target in members:
            place = (target.access.account, target.access.region, target.cluster, target.wave)
            found.setdefault((environment, place), []).append(target.service)
    return [(environment, place, services) for (environment, place), services in found.items()]


def _origin(target: Target, key: str) -> str:
    """Where the setting, or the table that it stands in, was written."""
    while key not in target.origins and "." in key:
        key = key.rpartition(".")[0]
    return str(target.origins[key]) if key in target.origins else "default"


def _shown(key: str, value: Any) -> Any:
    """The value, masked where its name, or that of anything in it, looks secret; a reference to a secret is none."""
    if not key.startswith(("env.", "vars.")):
        return value
    if looks_secret(key.rpartition(".")[2]):
        return MASK
    match value:
        case Mapping():
            return {name: _shown(f"{key}.{name}", each) for name, each in value.items()}
        case list() | tuple():
            return [_shown(f"{key}.", each) for each in value]
        case _:
            return value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
