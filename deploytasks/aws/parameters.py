"""Our SSM parameters in the registry's account: how to find, create, write and delete one, and the records in them.

A tier has a lock, a hold after a rollback, and for each release that was let past the gate an override that says why:
revisions and services record that reason as well, but not every release rolls something out.
"""

import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from itertools import accumulate
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from msgspec import Struct, ValidationError, convert, to_builtins
from msgspec.structs import replace

from deploytasks.aws.errors import dated, is_lost, translated
from deploytasks.errors import AwsError
from deploytasks.model import LockState, Override

HOLD = "hold"
_OVERRIDES = "overrides"
_LONGEST_REASON = 1000
"""How many of a parameter's 4,096 characters a reason may take."""


class Parameter(Struct, frozen=True):
    """A parameter's value, and when it was written and read: both by AWS's own clock, None if not reported."""

    value: str
    modified_at: datetime | None = None
    read_at: datetime | None = None

    @property
    def age_s(self) -> float | None:
        """Return the seconds since it was written, independent of this host's clock; None if unknown."""
        if self.modified_at is None or self.read_at is None:
            return None
        return (self.read_at - self.modified_at).total_seconds()


def path(project: str, tier: str, kind: str = "lock") -> str:
    """Return the name of the tier's parameter of that kind."""
    return f"{folder(project, tier)}/{kind}"


def folder(project: str, tier: str) -> str:
    """Return the prefix of the names of all the tier's parameters."""
    return f"/deploytasks/{project}/{tier}"


def find(client: Any, name: str, where: str) -> Parameter | None:
    """Return the parameter, None if there is none.

    Source: ssm GetParameter: LastModifiedDate, and the `Date` header of the answer.

    """
    with translated(where):
        try:
            answer = client.get_parameter(Name=name)
        except client.exceptions.ParameterNotFound:
            return None
    found = answer["Parameter"]
    return Parameter(found["Value"], found.get("LastModifiedDate"), dated(answer))


def create(client: Any, name: str, value: str, where: str) -> bool:
    """Create the parameter; return False if it exists with another value. Of any number of callers, one creates it.

    If the answer was lost, the parameter's value tells whether it was created.

    Source: ssm PutParameter with Overwrite=False.

    """
    with translated(where):
        try:
            client.put_parameter(Name=name, Value=value, Type="String", Overwrite=False)
        except (client.exceptions.ParameterAlreadyExists, client.exceptions.TooManyUpdates):
            return False
        except (BotoCoreError, ClientError) as error:
            if not is_lost(error):
                raise
            found = find(client, name, where)
            return found is not None and found.value == value
    return True


def write(client: Any, name: str, value: str, where: str) -> None:
    """Write the parameter, whether it exists or not.

    Source: ssm PutParameter with Overwrite=True.

    """
    with translated(where):
        client.put_parameter(Name=name, Value=value, Type="String", Overwrite=True)


def delete(client: Any, name: str, where: str) -> None:
    """Delete the parameter, if there is one.

    Source: ssm DeleteParameter.

    """
    with translated(where):
        try:
            client.delete_parameter(Name=name)
        except client.exceptions.ParameterNotFound:
            return


def cut(reason: str) -> str:
    """Return the reason, cut to `_LONGEST_REASON` characters as it is written; one that was cut ends with `…`."""
    sizes = [*accumulate(len(_escaped(json.dumps(char))) - 2 for char in reason)]
    if not sizes or sizes[-1] <= _LONGEST_REASON:
        return reason
    return reason[: bisect_right(sizes, _LONGEST_REASON - len(r"\u2026"))] + "…"


def written(state: LockState | Override) -> str:
    """Return the state as the value of a parameter, one flat JSON object.

    Source: PutParameter takes no value with double braces, so all braces in users' text are escaped.
    """
    members = to_builtins(state)
    if isinstance(state, LockState):
        members["tenants"] = ",".join(state.tenants)
    return f"{{{_escaped(json.dumps(members)[1:-1])}}}"


def _escaped(inside: str) -> str:
    return inside.replace("{", "\\u007b").replace("}", "\\u007d")


def read_lock(tier: str, value: str) -> LockState:
    """Return the contents of the lock; of an unreadable one, a record that says so."""
    try:
        said = json.loads(value)
        tenants = [*filter(None, said.get("tenants", "").split(","))]
        return convert({**said, "tenants": tenants}, LockState)
    except (ValueError, TypeError, AttributeError, RecursionError, ValidationError):
        return LockState(tier, by="an unreadable lock record", since="unknown", command="unknown")


def put_override(client: Any, project: str, override: Override) -> None:
    """Record the override; one that the release already has is kept."""
    name = f"{path(project, override.tier, _OVERRIDES)}/{override.release}"
    value = written(replace(override, reason=cut(override.reason)))
    where = f"override of {override.release}"
    if not create(client, name, value, where) and find(client, name, where) is None:
        raise AwsError.of(where, "it could not be recorded", "run the same command again")


class Records(Struct, frozen=True):
    """What the registry's account stores about a tier: its overrides, its hold and its lock."""

    overrides: tuple[Override, ...] = ()
    hold: LockState | None = None
    lock: LockState | None = None


def records(client: Any, project: str, tier: str) -> Records:
    """Return all records of the tier, except unreadable overrides.

    Source: ssm GetParametersByPath.

    """
    ours = f"{path(project, tier, _OVERRIDES)}/"
    pages = client.get_paginator("get_parameters_by_path").paginate(Path=folder(project, tier), Recursive=True)
    with translated(f"overrides of {tier}"):
        found = {each["Name"]: each["Value"] for page in pages for each in page["Parameters"]}

    def state(kind: str) -> LockState | None:
        value = found.get(path(project, tier, kind))
        return read_lock(tier, value) if value else None

    overrides = tuple(one for name, value in found.items() if name.startswith(ours) for one in _overrides(value))
    return Records(overrides, state(HOLD), state("lock"))


def _overrides(value: str) -> Iterator[Override]:
    with suppress(ValueError, RecursionError, ValidationError):
        yield convert(json.loads(value), Override)  # unlike msgspec's decoder, json reads bytes that are not UTF-8
