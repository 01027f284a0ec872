"""What ECS refuses although botocore's shapes allow it, found offline. Rules are given requests that fit the shape.

Each says where it is from: botocore's documentation of the member, AWS's guide, or a public report of ECS's own words.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from deploytasks.model import Target
from deploytasks.template.rules_containers import HOW_TO_NAME, NAME, container_rules
from deploytasks.template.rules_fargate import fargate_rules
from deploytasks.template.rules_regions import region_rules
from deploytasks.template.rules_tags import tag_rules
from deploytasks.template.shape import Path, Problem

LONGEST = 65_536
"""Bytes of a task definition. Source: ECS service quotas, "Task definition size"; ECS tells bytes in its refusal."""

_ECR = re.compile(r"[0-9]{12}\.dkr[.-]ecr(-fips)?\.")


def definition_rules(request: Mapping[str, Any], target: Target, image: str) -> Iterator[Problem]:
    """Find what is wrong with a RegisterTaskDefinition request whose main container shall run the image."""
    yield from _agrees(request, "family", target.family)
    if any(not each.get(key) for each in request["containerDefinitions"] for key in ("name", "image")):
        yield from container_rules(request, image)
        return
    yield from _size(request)
    yield from tag_rules(request.get("tags", []))
    yield from container_rules(request, image)
    yield from _volumes(request)
    yield from _execution_role(request)
    yield from region_rules(request, target.access.region)
    if is_fargate(request):
        yield from fargate_rules(request)


def service_rules(request: Mapping[str, Any], target: Target) -> Iterator[Problem]:
    """Find what is wrong with a CreateService request."""
    yield from _agrees(request, "serviceName", target.ecs_service)
    yield from _agrees(request, "cluster", target.cluster)
    if "taskDefinition" in request:
        yield Problem(("taskDefinition",), "the revision is set here", "leave it out: it is the one just registered")
    controller = request.get("deploymentController", {}).get("type", "ECS")
    if controller != "ECS":
        what = f"services deployed by {controller} are not rolled out here"
        yield Problem(("deploymentController", "type"), what, "leave it out: only ECS's own controller is followed")
    yield from region_rules(request, target.access.region)
    yield from tag_rules(request.get("tags", []))


def is_fargate(request: Mapping[str, Any]) -> bool:
    """Return whether ECS validates the definition for Fargate."""
    return "FARGATE" in request.get("requiresCompatibilities", ())


def _agrees(request: Mapping[str, Any], key: str, wanted: str) -> Iterator[Problem]:
    if request[key] != wanted:
        yield Problem((key,), f"'{request[key]}', but envs/ says '{wanted}'", "leave it out, and envs/ decides")


def _size(request: Mapping[str, Any]) -> Iterator[Problem]:
    untagged = {key: value for key, value in request.items() if key != "tags"}
    length = len(json.dumps(untagged, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass"))
    if length > LONGEST:
        what = f"the definition has {length:,} bytes, and ECS takes {LONGEST:,}"
        yield Problem((), what, "move long values out of it: to environmentFiles, SSM parameters or the image")


def _volumes(request: Mapping[str, Any]) -> Iterator[Problem]:
    """Source: botocore's documentation of `Volume.name` and `MountPoint.sourceVolume`."""
    names: list[str] = []
    for index, volume in enumerate(request.get("volumes", [])):
        name = volume.get("name", "")
        if name and not NAME.fullmatch(name):
            yield Problem(("volumes", index, "name"), f"'{name}' is no name of a volume", HOW_TO_NAME)
        if name in names:
            yield Problem(("volumes", index, "name"), f"two volumes are called '{name}'")
        names.append(name)
    for index, container in enumerate(request["containerDefinitions"]):
        for number, mount in enumerate(container.get("mountPoints", [])):
            source = mount.get("sourceVolume", "")
            if source not in names:
                path: Path = ("containerDefinitions", index, "mountPoints", number)
                known = f"volumes here: {', '.join(filter(None, names)) or 'none'}"
                yield Problem(path, f"there is no volume '{source}'", f'add it to "volumes"; {known}')


def _execution_role(request: Mapping[str, Any]) -> Iterator[Problem]:
    reasons = [] if request.get("executionRoleArn") else list(dict.fromkeys(_needs_role(request)))
    if reasons:
        to_do = f"the role that pulls images and reads secrets: {', '.join(reasons)}"
        yield Problem((), "the key 'executionRoleArn' is missing", f"name {to_do}")


def _needs_role(request: Mapping[str, Any]) -> Iterator[str]:
    """Name what ECS asks for an execution role for.

    Source: hashicorp/terraform-provider-aws#3051 (ECR images), virtual-kubelet/virtual-kubelet#193 (awslogs), both on
    Fargate alone; fabfuel/ecs-deploy#87 (secrets, anywhere); ECS developer guide, "task execution IAM role" (the rest).
    """
    for container in request["containerDefinitions"]:
        log = container.get("logConfiguration", {})
        if container.get("secrets"):
            yield f"'{container['name']}' has secrets"
        if not is_fargate(request):
            continue
        if container.get("repositoryCredentials") or log.get("secretOptions"):
            yield f"'{container['name']}' has credentials to be read"
        if _ECR.match(container["image"]):
            yield f"'{container['name']}' has an image in ECR"
        if log.get("logDriver") == "awslogs":
            yield f"'{container['name']}' logs by awslogs"
