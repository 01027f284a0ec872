"""Why releases were allowed past a tier's gate: one SSM parameter per release, in the registry's account.

Revisions and services record the reason as well, but not every release rolls something out.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from deploytasks.aws import lock_records, locks, parameters
from deploytasks.aws.errors import translated
from deploytasks.errors import AwsError
from deploytasks.model import LockState, Override

_KIND = "overrides"


def put(client: Any, project: str, override: Override) -> None:
    """Record the override; one that the release already has is kept."""
    name = f"{parameters.path(project, override.tier, _KIND)}/{override.release}"
    value = lock_records.written(replace(override, reason=lock_records.cut(override.reason)))
    where = f"override of {override.release}"
    if not parameters.create(client, name, value, where) and parameters.find(client, name, where) is None:
        raise AwsError.of(where, "it could not be recorded", "run the same command again")


@dataclass(frozen=True, slots=True)
class Records:
    """What the registry's account stores about a tier: its overrides, its hold and its lock."""

    overrides: tuple[Override, ...] = ()
    hold: LockState | None = None
    lock: LockState | None = None


def records(client: Any, project: str, tier: str) -> Records:
    """Return all records of the tier, except unreadable overrides.

    Source: ssm GetParametersByPath.

    """
    ours = f"{parameters.path(project, tier, _KIND)}/"
    pages = client.get_paginator("get_parameters_by_path").paginate(
        Path=parameters.folder(project, tier), Recursive=True
    )
    with translated(f"overrides of {tier}"):
        found = {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}

    def state(kind: str) -> LockState | None:
        value = found.get(parameters.path(project, tier, kind))
        return lock_records.read(tier, value) if value else None

    overrides = tuple(one for name, value in found.items() if name.startswith(ours) for one in _read(value))
    return Records(overrides, state(locks.HOLD), state("lock"))


def _read(value: str) -> Iterator[Override]:
    try:
        override = Override(**json.loads(value))
    except (ValueError, TypeError):
        return
    if all(isinstance(getattr(override, name), str) for name in Override.__slots__):
        yield override
