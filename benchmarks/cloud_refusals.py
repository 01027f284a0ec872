"""What ECS refuses to register, as users have reported its words; written apart from the product's rules."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from benchmarks.cloud import Ask, AwsError

_MOST_BYTES = 65_536
_MOST_TAGS = 50


def refuse(ask: Ask, network: str) -> None:
    """Raise what ECS answers where it does not register the definition."""
    if len(ask.get("tags", [])) > _MOST_TAGS:  # Source: botocore's documentation of `tags`
        raise AwsError("InvalidParameterException", "The number of tags exceeds the limit of 50.")
    keys = [tag.get("key", "") for tag in ask.get("tags", [])]
    if len(set(keys)) < len(keys) or not all(keys):  # Source: the same
        raise AwsError("InvalidParameterException", "Duplicate or missing tag keys found.")
    for message in _messages(ask, network):
        raise AwsError("ClientException", message)


def _messages(ask: Ask, network: str) -> Iterator[str]:
    containers = ask.get("containerDefinitions", [])
    if not containers:
        yield "Container list cannot be empty."
    if not any(each.get("essential", True) for each in containers):  # Source: documentation of `essential`
        yield "Task definition does not have any essential container."
    length = len(json.dumps({key: value for key, value in ask.items() if key != "tags"}).encode())
    if length > _MOST_BYTES:  # Source: ECS service quotas
        yield f"Actual length: '{length}'. Max allowed length is '{_MOST_BYTES}' bytes."
    volumes = [volume.get("name") for volume in ask.get("volumes", [])]
    for container in containers:
        yield from _of_container(ask, container, network)
        for mount in container.get("mountPoints", []):  # Source: documentation of `sourceVolume`
            if mount.get("sourceVolume") not in volumes:
                yield f"Unknown volume '{mount.get('sourceVolume')}'."


def _of_container(ask: Ask, container: Mapping[str, Any], network: str) -> Iterator[str]:
    name, fargate = container.get("name"), "FARGATE" in ask.get("requiresCompatibilities", [])
    if not ask.get("executionRoleArn"):
        if container.get("secrets"):  # Source: fabfuel/ecs-deploy#87
            yield "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'."
        if fargate and ".dkr.ecr." in container.get("image", ""):  # Source: hashicorp/terraform-provider-aws#3051
            yield "Fargate requires task definition to have execution role ARN to support ECR images."
        if fargate and container.get("logConfiguration", {}).get("logDriver") == "awslogs":  # virtual-kubelet#193
            yield "Fargate requires task definition to have execution role ARN to support log driver awslogs."
    if not any(each.get("memory") for each in (ask, container)) and not container.get("memoryReservation"):
        # Source: cuttlesoft/ecs-deploy.py#17
        least = "At least one of 'memory' or 'memoryReservation' must be specified."
        yield f"Invalid setting for container '{name}'. {least}"
    for port in container.get("portMappings", []):  # Source: documentation of `portMappings`
        own = port.get("containerPort")
        if network in ("awsvpc", "host") and port.get("hostPort", own) != own:
            yield f"When networkMode={network}, the host ports and container ports in port mappings must match."
