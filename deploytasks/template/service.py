"""Find the keys of a CreateService request that the live service has otherwise. Pure.

Only keys that the request names and DescribeServices returns are compared. Defaults, the order of lists and what
others added, tags above all, are no difference.

Sources: botocore's model of ECS (CreateService, Service, Deployment) and its documentation of the defaults.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from deploytasks.model import Definition
from deploytasks.template.canonical import FOREIGN_TAGS, UNORDERED, differing, is_same_role, settled
from deploytasks.template.shape import answer_shape, request_shape

_OF_ITSELF = frozenset({"serviceName", "taskDefinition"})
_DEFAULTS: Mapping[str, Any] = {
    "healthCheckGracePeriodSeconds": 0,
    "platformVersion": "LATEST",
    "propagateTags": "NONE",
    "schedulingStrategy": "REPLICA",
}
_NAMED_EITHER_WAY = frozenset({"kmsKey", "kmsKeyId", "namespace"})
"""Members that take a name as well as an ARN which does not contain that name."""


def differing_keys(request: Definition, live: Definition) -> tuple[str, ...]:
    """Return the dotted keys of the request that the live service has otherwise."""
    asked = {key: value for key, value in request.items() if key in _compared()}
    if asked.get("schedulingStrategy") == "DAEMON":
        asked.pop("desiredCount", None)  # one task an instance, whatever is asked
    if "tags" in asked:
        asked["tags"] = [tag for tag in asked["tags"] if not tag["key"].startswith(FOREIGN_TAGS)]
    before, after = _canonical(_as_named(asked, live)), _canonical(asked)
    return tuple(sorted(differing(_padded(before, after), _padded(after, before))))


@cache
def _compared() -> frozenset[str]:
    """Return the keys of a CreateService request that DescribeServices returns.

    They are members of the service or of its PRIMARY deployment.
    """
    service = answer_shape("DescribeServices", "services")
    deployment = answer_shape("DescribeServices", "services", "deployments")
    told = {*service.members, *deployment.members, "role"} - _OF_ITSELF
    return frozenset(told & set(request_shape("CreateService").members))


def _canonical(service: Mapping[str, Any]) -> dict[str, Any]:
    made = {key: value for key, value in service.items() if value != _DEFAULTS.get(key)}
    if made.get("placementStrategy"):
        made["placementStrategy"] = [_strategy(each) for each in made["placementStrategy"]]
    return settled(made)


def _padded(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return a value with an empty object wherever only the other has one, so that all its members are reported."""
    objects: dict[str, Any] = {key: {} for key, value in other.items() if isinstance(value, Mapping)}
    made = {**objects, **one}
    return {
        key: _padded(value, other.get(key, {})) if key in objects and isinstance(value, Mapping) else value
        for key, value in made.items()
    }


def _strategy(strategy: Mapping[str, Any]) -> Mapping[str, Any]:
    """Spell the field as ECS does: `host` is `instanceId`, and `CPU` is `cpu`."""
    field = str(strategy.get("field") or "")
    spelled = field.lower() if strategy.get("type") == "binpack" else field
    return {**strategy, "field": "instanceId" if spelled == "host" else spelled or None}


def _as_named(asked: Any, live: Any, key: str = "") -> Any:
    """Return the live value with only the requested members, in the request's spelling where the two are equivalent."""
    match asked:
        case Mapping():
            members = live if isinstance(live, Mapping) else {}
            return {name: _as_named(value, members.get(name), name) for name, value in asked.items()}
        case list() if key == "tags" or (asked and isinstance(asked[0], Mapping)):
            return _items_as_named(asked, live or (), key)
        case str() if isinstance(live, str) and _is_same_name(key, asked, live):
            return asked
        case _:
            return live


def _items_as_named(asked: Sequence[Mapping[str, Any]], live: Sequence[Any], key: str) -> list[Any]:
    """Match items by the member that identifies them, else by position; keep unrequested ones, except tags."""
    name, rest, made = UNORDERED.get(key, ""), list(live), []
    for at, item in enumerate(asked):
        found = next((each for each in rest if name and each.get(name) == item.get(name)), None)
        if found is None and not name and at < len(live):
            found = live[at]
        if found is not None:
            rest.remove(found)
            made.append(_as_named(item, found))
    return made if key == "tags" else made + rest


def _is_same_name(key: str, asked: str, live: str) -> bool:
    """Return whether one of two spellings is, as far as the text shows, the ARN of what the other names."""
    if asked.startswith("arn:") == live.startswith("arn:"):
        return False
    if key == "role":
        return is_same_role(live, asked)
    arn, short = (asked, live) if asked.startswith("arn:") else (live, asked)
    return key in _NAMED_EITHER_WAY or arn.endswith((f"/{short}", f":{short}"))
