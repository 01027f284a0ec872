"""Why releases were let past a tier's gate: an SSM parameter a release, in the registry's account.

Revisions and services record the reason as well; but not every release that is minted rolls something out.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from deploytasks.aws import claims, holds, locks
from deploytasks.aws.failures import translated
from deploytasks.model import LockState, Override

_KIND = "overrides"


def put(client: Any, project: str, override: Override) -> None:
    """The reason is recorded; one that the release has already stays.

    Source: ssm PutParameter.

    """
    name = f"{locks.path(project, override.tier, _KIND)}/{override.release}"
    value = claims.written(replace(override, reason=claims.cut(override.reason)))
    with translated(f"override of {override.release}"):
        try:
            client.put_parameter(Name=name, Value=value, Type="String", Overwrite=False)
        except client.exceptions.ParameterAlreadyExists:
            return


def listed(client: Any, project: str, tier: str) -> tuple[tuple[Override, ...], LockState | None]:
    """Every override of the tier that was recorded, but for one that nobody can read; and the tier's hold beside them.

    Source: ssm GetParametersByPath.

    """
    hold, ours = locks.path(project, tier, holds.KIND), f"{locks.path(project, tier, _KIND)}/"
    pages = client.get_paginator("get_parameters_by_path").paginate(Path=locks.folder(project, tier), Recursive=True)
    with translated(f"overrides of {tier}"):
        found = {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}
    overrides = tuple(one for name, value in found.items() if name.startswith(ours) for one in _read(value))
    return overrides, claims.read(tier, found[hold]) if hold in found else None


def _read(value: str) -> Iterator[Override]:
    try:
        override = Override(**json.loads(value))
    except (ValueError, TypeError):
        return
    if all(isinstance(getattr(override, name), str) for name in Override.__slots__):
        yield override
