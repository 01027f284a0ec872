"""The environments: which there are, and what is set in one, with the place that each value comes from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from deploytasks.model import MASK, Environment, Origin, Target
from deploytasks.report.secrets import looks_secret
from deploytasks.report.sheet import Column, Sheet, Span, line, table

Row = tuple[str, Any, Origin | None]
"""A dotted setting, its value, and its origin, None for a default of ours."""


def sheet(settings: Iterable[Row]) -> Sheet:
    """The settings for people; of a secret-looking value only that it is there."""
    columns = (Column("setting"), Column("value"), Column("from"))
    laid_out = [(key, _text(_shown(key, value)), Span(_place(origin), "dim")) for key, value, origin in settings]
    return (table(columns, laid_out),) if laid_out else (line("no settings"),)


def as_json(settings: Iterable[Row]) -> dict[str, Any]:
    """The settings for programs, by their dotted names."""
    return {key: {"value": _shown(key, value), "from": _place(origin)} for key, value, origin in settings}


def services_sheet(settings: Mapping[str, Iterable[Row]]) -> Sheet:
    """The settings of an environment for people, one table a service."""
    return tuple(block for name, rows in settings.items() for block in (line(Span(name, "strong")), *sheet(rows)))


def services_json(settings: Mapping[str, Iterable[Row]]) -> dict[str, Any]:
    """The settings of an environment for programs, by service."""
    return {name: as_json(rows) for name, rows in settings.items()}


def checked_sheet(targets: Sequence[Target]) -> Sheet:
    """What `inv envs.check` says where nothing is wrong."""
    counts = checked_json(targets)
    return (line(Span(f"{counts['environments']} environments, {counts['targets']} targets: all good", "good")),)


def checked_json(targets: Sequence[Target]) -> dict[str, int]:
    """The same for programs."""
    return {"environments": len({target.environment for target in targets}), "targets": len(targets), "complaints": 0}


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


def _place(origin: Origin | None) -> str:
    return str(origin) if origin else "default"


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
