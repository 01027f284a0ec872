"""Lay out the environments, and the settings of one with the file and line that each value comes from."""

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from deploytasks.model import MASK, Environment, Origin, Target
from deploytasks.report.secrets import looks_secret
from deploytasks.report.sheet import Column, Sheet, Span, line, table

Row = tuple[str, Any, Origin | None]
"""A dotted setting, its value, and its origin; None for a built-in default."""


def sheet(settings: Iterable[Row]) -> Sheet:
    """Return the settings for people, with secret-looking values masked."""
    columns = (Column("setting"), Column("value"), Column("from"))
    laid_out = [(key, _text(_shown(key, value)), Span(_place(origin), "dim")) for key, value, origin in settings]
    return (table(columns, laid_out),) if laid_out else (line("no settings"),)


def as_json(settings: Iterable[Row]) -> dict[str, Any]:
    """Return the settings for programs, by dotted name, with secret-looking values masked."""
    return {key: {"value": _shown(key, value), "from": _place(origin)} for key, value, origin in settings}


def services_sheet(settings: Mapping[str, Iterable[Row]]) -> Sheet:
    """Return the settings of an environment for people, one table per service or job."""
    return tuple(block for name, rows in settings.items() for block in (line(Span(name, "strong")), *sheet(rows)))


def services_json(settings: Mapping[str, Iterable[Row]]) -> dict[str, Any]:
    """Return the settings of an environment for programs, by service or job."""
    return {name: as_json(rows) for name, rows in settings.items()}


def checked_sheet(targets: Sequence[Target], unchecked: Sequence[str] = ()) -> Sheet:
    """Return what `inv envs.check` prints if nothing is wrong; `unchecked` is what this machine can't check."""
    counts = checked_json(targets)
    good = f"{counts['environments']} environments, {counts['targets']} targets: all good"
    return (*map(line, unchecked), line(Span(good, "good")))


def checked_json(targets: Sequence[Target], unchecked: Sequence[str] = ()) -> dict[str, Any]:
    """Return the counts of `checked_sheet` for programs."""
    environments = len({target.environment for target in targets})
    return {"environments": environments, "targets": len(targets), "complaints": 0, "notes": list(unchecked)}


def environments_sheet(targets: Sequence[Target]) -> Sheet:
    """Return the environments of these targets; those with another account, region, cluster or wave get own rows."""
    names = ("environment", "account", "region", "cluster", "wave", "services", "jobs")
    shown = names if any(target.job for target in targets) else names[:-1]
    columns = [Column(name, "whole" if name in ("environment", "account") else "fold") for name in shown]
    laid_out = [
        (str(environment), *map(str, place), *map(", ".join, members))[: len(shown)]
        for environment, place, members in _places(targets)
    ]
    return (table(columns, laid_out),) if laid_out else (line("no environments"),)


def environments_json(targets: Sequence[Target]) -> list[dict[str, Any]]:
    """Return the environments of these targets for programs, divided as by `environments_sheet`."""
    return [
        {
            "environment": str(environment),
            "tenant": environment.tenant,
            "tier": environment.tier,
            **dict(zip(("account", "region", "cluster", "wave"), place, strict=True)),
            "services": services,
            "jobs": jobs,
        }
        for environment, place, (services, jobs) in _places(targets)
    ]


_Place = tuple[str, str, str, int]


def _places(targets: Sequence[Target]) -> list[tuple[Environment, _Place, tuple[list[str], list[str]]]]:
    """Return each environment's places, with the services and the jobs there."""
    found: dict[tuple[Environment, _Place], tuple[list[str], list[str]]] = {}
    for environment, members in groupby(targets, key=lambda target: target.environment):
        for target in members:
            place = (target.access.account, target.access.region, target.cluster, target.wave)
            found.setdefault((environment, place), ([], []))[target.job is not None].append(target.name)
    return [(environment, place, members) for (environment, place), members in found.items()]


def _place(origin: Origin | None) -> str:
    return str(origin) if origin else "default"


def _shown(key: str, value: Any) -> Any:
    """Return the value, masked if its name or that of anything in it looks secret.

    Only `env` and `vars` are masked: `secrets` holds references.
    """
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
