"""Reduce equivalent definitions, a request and what ECS made of it, to the same form. Pure.

ECS answers with keys of its own, with defaults filled in and with unordered lists in any order. None of that is a
difference, or a reason for a new revision.

Sources: the ECS API reference, "RegisterTaskDefinition", and what others saw ECS return:
hashicorp/terraform-provider-aws#11526, #36029, #38872, aws-actions/amazon-ecs-deploy-task-definition#216.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from deploytasks.model import IDENTIFYING, Definition, Hidden, is_hidden, shown
from deploytasks.rules.observed import is_marked
from deploytasks.template.rules_fargate import cpu_units, memory_mib
from deploytasks.template.shape import read_only_keys

_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "containerDefinitions": {"essential": True, "cpu": 0, "versionConsistency": "enabled"},
    "portMappings": {"protocol": "tcp", "hostPort": 0},
    "healthCheck": {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0},
    "restartPolicy": {"restartAttemptPeriod": 300},
    "dockerVolumeConfiguration": {"scope": "task"},
    "efsVolumeConfiguration": {"rootDirectory": "/", "transitEncryption": "DISABLED"},
    "s3filesVolumeConfiguration": {"rootDirectory": "/"},
    "authorizationConfig": {"iam": "DISABLED"},
    "proxyConfiguration": {"type": "APPMESH"},
    "awsvpcConfiguration": {"assignPublicIp": "DISABLED"},
    "capacityProviderStrategy": {"base": 0, "weight": 0},
    "deploymentConfiguration": {
        "bakeTimeInMinutes": 0,
        "maximumPercent": 200,
        "minimumHealthyPercent": 100,
        "strategy": "ROLLING",
    },
    "deploymentController": {"type": "ECS"},
}
"""ECS's defaults, by the key that holds an object or a list of objects.

Every other member that is `false`, null or empty is equivalent to one that is left out.
"""

UNORDERED: Mapping[str, str] = {
    "add": "",
    "alarmNames": "",
    "capacityProviderStrategy": "capacityProvider",
    "clientAliases": "port",
    "containerDefinitions": "name",
    "dependsOn": "containerName",
    "drop": "",
    "environment": "name",
    "ignoredExitCodes": "",
    "inferenceAccelerators": "deviceName",
    "lifecycleHooks": "hookTargetArn",
    "lifecycleStages": "",
    "loadBalancers": "targetGroupArn",
    "mountPoints": "containerPath",
    "placementConstraints": "expression",
    "portMappings": "containerPort",
    "properties": "name",
    "requiresCompatibilities": "",
    "resourceRequirements": "type",
    "secretOptions": "name",
    "secrets": "name",
    "securityGroups": "",
    "serviceRegistries": "registryArn",
    "services": "portName",
    "subnets": "",
    "systemControls": "namespace",
    "tags": "key",
    "ulimits": "name",
    "volumeConfigurations": "name",
    "volumes": "name",
    "volumesFrom": "sourceContainer",
    "vpcLatticeConfigurations": "targetGroupArn",
}
"""The lists whose order has no meaning, and the key that identifies their members ("" if they are plain values)."""

FOREIGN_TAGS = ("deploytasks:", "aws:")
NAMED_TAGS = "deploytasks:tags"
"""The tag of a revision that records which tag keys its template named, as written by `rules.observed.marks`."""

_ROLES = ("taskRoleArn", "executionRoleArn")
"""Members that take a role's name as well as its ARN; ECS answers with the ARN.

Source: botocore's documentation of `taskRoleArn`; for both, aws-actions/amazon-ecs-render-task-definition#77.
"""


def same(request: Definition, live: Definition) -> bool:
    """Return whether the live definition is what ECS makes of the request, ignoring what others have added since."""
    return canonical(request) == canonical(live, request)


def canonical(definition: Definition, request: Definition | None = None) -> dict[str, Any]:
    """Return the request that the definition reduces to; equal for definitions that are equivalent to ECS.

    `request` is what a live definition is compared with. It decides what others added to it: tags whose keys neither
    the request nor, as recorded, the one before names. It also decides how a role is spelled.

    An empty string in place of a whole member (`"taskRoleArn": ""`) is how some endpoints spell what is not set.
    """
    made = {key: value for key, value in definition.items() if key not in read_only_keys() and value != ""}
    usual = "awsvpc" if "FARGATE" in (made.get("requiresCompatibilities") or ()) else "bridge"
    network = made["networkMode"] = made.get("networkMode") or usual
    made["tags"] = _tags(definition, request)
    made |= {key: (request or {})[key] for key in _ROLES if request and is_same_role(made.get(key), request.get(key))}
    made["containerDefinitions"] = [_container(each, network) for each in made.get("containerDefinitions") or ()]
    for key, whole in (("cpu", cpu_units), ("memory", memory_mib)):
        if isinstance(made.get(key), str):
            size = str(whole(made[key]) or made[key])
            made[key] = Hidden.of(size, made[key].sources) if isinstance(made[key], Hidden) else size
    return settled(made)


def settled(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request without defaults and empty members, with its unordered lists sorted."""
    return _object("", request)


def _tags(definition: Definition, request: Definition | None) -> list[Mapping[str, str]]:
    """Return the tags that templates name; of a live definition compared with a request, none that others added."""
    listed = [tag for tag in definition.get("tags") or () if tag]
    own: list[Mapping[str, str]] = [
        {"value": "", **tag} for tag in listed if not tag.get("key", "").startswith(FOREIGN_TAGS)
    ]
    if request is None:
        return own
    named = {tag.get("key", "") for tag in request.get("tags") or () if tag}
    recorded = next((tag.get("value", "") for tag in listed if tag.get("key") == NAMED_TAGS), "")
    return [tag for tag in own if tag.get("key", "") in named or is_marked(tag.get("key", ""), recorded)]


def is_same_role(live: str | None, asked: str | None) -> bool:
    """Return whether one of the two is a role's ARN and the other its name, with or without the path.

    The name alone is enough: whatever their paths, no two roles of an account share one (IAM's documentation of names).
    """
    if not live or not asked or live.startswith("arn:") == asked.startswith("arn:"):
        return False
    arn, short = (live, asked) if live.startswith("arn:") else (asked, live)
    path = arn.partition(":role/")[2]
    return short.removeprefix("/") in (path, path.rpartition("/")[2])


def _container(container: Mapping[str, Any], network: str) -> dict[str, Any]:
    """Return the container without variables that have no value, and without host ports equal to its own."""
    made = dict(container)
    if made.get("environment"):
        made["environment"] = [each for each in made["environment"] if each.get("value") is not None]
    if made.get("portMappings") and network in {"awsvpc", "host"}:
        made["portMappings"] = [
            {key: value for key, value in port.items() if key != "hostPort" or value != port.get("containerPort")}
            for port in made["portMappings"]
        ]
    return made


def _object(key: str, members: Mapping[str, Any]) -> dict[str, Any]:
    defaults = _DEFAULTS.get(key, {})
    made = {name: _value(name, value) for name, value in sorted(members.items())}
    return {name: value for name, value in made.items() if not _is_silence(value, defaults.get(name, False))}


def _value(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return _object(key, value)
    if not isinstance(value, list | tuple):
        return value
    items = [item for item in (_value(key, each) for each in value) if item is not None and item != {}]
    return sorted(items, key=lambda item: _rank(item, UNORDERED[key])) if key in UNORDERED else items


def _is_silence(value: Any, default: Any) -> bool:
    return value is None or value in ({}, []) or (type(value) is type(default) and value == default)


def _rank(item: Any, name: str) -> tuple[str, str]:
    own = item.get(name, "") if isinstance(item, Mapping) else item
    return str(own), json.dumps(item, sort_keys=True, default=str)


_VALUES = frozenset({"value", "valueFrom"})
_ABSENT = object()


def differing(before: Definition, after: Definition) -> tuple[str, ...]:
    """Return the dotted keys that differ, never their values: `containerDefinitions.api.environment.LOG_LEVEL`."""
    return tuple(dict.fromkeys(_differing(before, after, ())))


def _differing(before: Any, after: Any, path: tuple[str, ...]) -> Iterator[str]:
    if before == after:
        return
    left, right = _members(before), _members(after)
    if left is None or right is None:
        told = path[:-1] if path[-1:] and path[-1] in _VALUES and len(path) > 1 else path
        yield ".".join(map(shown, told))
        return
    if left == right:  # in another order
        yield ".".join(map(shown, path))
    for key in dict.fromkeys([*left, *right]):
        if _ABSENT in (left.get(key, _ABSENT), right.get(key, _ABSENT)):
            yield ".".join(map(shown, (*path, key)))
        else:
            yield from _differing(left[key], right[key], (*path, key))


def _members(value: Any) -> Mapping[str, Any] | None:
    """Return the members of an object, or of a list whose items have names; None for any other value."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(each, Mapping) for each in value):
        names = [next((_name(each[name]) for name in IDENTIFYING if name in each), "") for each in value]
        return dict(zip(names, value, strict=True)) if len({*names, ""}) == len(names) + 1 else None
    return None


def _name(value: Any) -> str:
    return Hidden.of(str(value), frozenset()) if is_hidden(value) else str(value)
