"""The placeholders of settings, such as {tenant}: which there are, which keys take them, and what they become."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec import Struct

from deploytasks.spelling import nearest

NAMES = ("account", "region", "tenant", "tier", "service")
"""What stands in braces; `{service}` is a job's name for a job."""
_WRITTEN = tuple(f"{{{name}}}" for name in NAMES)
ALL = " ".join(_WRITTEN)
ANY = rf"\{{(?:{'|'.join(NAMES)})\}}"
"""The pattern of one."""


class Limit(Struct, frozen=True):
    """The most characters that a value may have once it is filled in; of an ARN, its last part is the `name`."""

    most: int
    by: str
    is_of_name: bool = False


KEYS: Mapping[str, Limit] = {
    "cluster": Limit(255, "ECS"),  # Source: the ECS API reference
    "ecs_service": Limit(255, "ECS"),
    "role": Limit(64, "IAM", is_of_name=True),  # Source: the IAM API reference, RoleName
    "schedule_role": Limit(64, "IAM", is_of_name=True),
    "rule": Limit(64, "EventBridge"),  # Source: botocore, RuleName of EventBridge
    "secrets": Limit(2048, "AWS"),  # Source: botocore, SecretIdType of Secrets Manager and PSParameterName of SSM
}
"""The settings whose text takes placeholders; of a table, every value does."""

_ONE = re.compile(ANY)
_BRACED = re.compile(r"\{[ -z|~]{1,40}\}")


def filled(values: Mapping[str, Any], meanings: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings with every placeholder replaced; what it becomes is not looked at again."""
    return {key: _filled(value, meanings) if key in KEYS else value for key, value in values.items()}


def _filled(value: Any, meanings: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _filled(each, meanings) for name, each in value.items()}
    return _ONE.sub(lambda found: meanings[found[0][1:-1]], value) if "{" in value else value


def too_long(limit: Limit, value: str) -> str:
    """Return why a value is too long; "" if it is not."""
    counted = value.rpartition("/")[2] if limit.is_of_name else value
    if len(counted) <= limit.most:
        return ""
    whose = "a name of " if limit.is_of_name else ""
    return f"has {whose}{len(counted)} characters, {limit.by} allows {limit.most}: {counted[:40]}…"


def unknown(text: str) -> Iterator[str]:
    """Yield what stands in braces and is no placeholder, braces included."""
    yield from (each for each in _BRACED.findall(text) if each not in _WRITTEN)


def meant(found: str) -> str | None:
    """Return the placeholder that an unknown one is a misspelling of; None if it is like none."""
    name = nearest(found.strip("{} ").lower(), NAMES)
    return name and f"{{{name}}}"


def advice(found: str) -> str:
    """Return the advice on an unknown placeholder."""
    near = meant(found)
    return "\n".join([*([f"did you mean {near}?"] if near else []), f"known: {ALL}"])
