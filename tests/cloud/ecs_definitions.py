"""Task definitions in memory: registered ones come back with the defaults and read-only members that ECS adds."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.cloud.accounts import (
    Account,
    Answer,
    Ask,
    AwsError,
    Operation,
    invalid,
    last_part,
    page,
    page_size,
    tag_list,
    tag_map,
)

_LISTS = ("portMappings", "environment", "mountPoints", "volumesFrom", "systemControls")
_MOST_BYTES = 65_536
_MOST_TAGS = 50


@dataclass(slots=True)
class Revision:
    """One registered task definition; `members` are what DescribeTaskDefinition shows."""

    arn: str
    members: dict[str, Any]
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def images(self) -> Mapping[str, str]:
        """Each container's image, by the container's name."""
        return {container["name"]: container["image"] for container in self.members["containerDefinitions"]}


def register(account: Account, ask: Ask) -> Revision:
    """The next revision of the request's family."""
    family: list[Revision] = account.families.setdefault(ask["family"], [])
    number = len(family) + 1
    arn = account.arn("ecs", f"task-definition/{ask['family']}:{number}")
    given = {key: value for key, value in ask.items() if key != "tags"} | _roles(account, ask)
    members = {
        "volumes": [],
        "placementConstraints": [],
        **given,
        "containerDefinitions": [_filled(each, network_mode(ask)) for each in ask["containerDefinitions"]],
        "taskDefinitionArn": arn,
        "revision": number,
        "status": "ACTIVE",
        "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.docker-remote-api.1.18"}],
        "compatibilities": ["EC2", "FARGATE"],
        "registeredAt": account.cloud.clock(),
        "registeredBy": f"arn:aws:sts::{account.id}:assumed-role/deploy/session",
    }
    family.append(Revision(arn, members, tag_map(ask.get("tags", []))))
    return family[-1]


def network_mode(ask: Ask) -> str:
    """The network mode that ECS assumes. Source: botocore's documentation of `networkMode`."""
    return str(
        ask.get("networkMode") or ("awsvpc" if "FARGATE" in ask.get("requiresCompatibilities", []) else "bridge")
    )


def _roles(account: Account, ask: Ask) -> dict[str, str]:
    """Short role names as ARNs. Source: botocore's documentation of `taskRoleArn`, "the short name or full ARN"."""
    named = {key: ask[key] for key in ("taskRoleArn", "executionRoleArn") if ask.get(key)}
    return {
        key: name if name.startswith("arn:") else f"arn:aws:iam::{account.id}:role/{name.removeprefix('/')}"
        for key, name in named.items()
    }


def _filled(container: Mapping[str, Any], network: str) -> dict[str, Any]:
    """A container definition with the defaults that ECS fills in.

    Source of the host's port: botocore's documentation of `hostPort`; it is the container's in the networks awsvpc and
    host, and 0 in bridge, where each task is given one.
    """
    ports = [
        {"hostPort": 0 if network == "bridge" else port.get("containerPort"), "protocol": "tcp", **port}
        for port in container.get("portMappings", [])
    ]
    return {"cpu": 0, "essential": True, **{key: [] for key in _LISTS}, **container, "portMappings": ports}


def find_revision(account: Account, name: str) -> Revision:
    """The revision of an ARN or `family:number`; for a bare family its newest active one."""
    family, _, number = last_part(name).partition(":")
    revisions: list[Revision] = account.families.get(family, [])
    if number:
        wanted = [revision for revision in revisions if str(revision.members["revision"]) == number]
    else:
        wanted = [revision for revision in revisions if revision.members["status"] == "ACTIVE"]
    if not wanted:
        raise AwsError("ClientException", "Unable to describe task definition.")
    return wanted[-1]


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


def register_task_definition(account: Account, ask: Ask) -> Answer:
    """Source: RegisterTaskDefinition."""
    refuse(ask, network_mode(ask))
    revision = register(account, ask)
    return {"taskDefinition": revision.members, "tags": tag_list(revision.tags)}


def describe_task_definition(account: Account, ask: Ask) -> Answer:
    """Source: DescribeTaskDefinition."""
    revision = find_revision(account, ask["taskDefinition"])
    tags = {"tags": tag_list(revision.tags)} if "TAGS" in ask.get("include", []) else {}
    return {"taskDefinition": revision.members, **tags}


def deregister_task_definition(account: Account, ask: Ask) -> Answer:
    """Source: DeregisterTaskDefinition."""
    revision = find_revision(account, ask["taskDefinition"])
    revision.members["status"] = "INACTIVE"
    return {"taskDefinition": revision.members}


def list_task_definitions(account: Account, ask: Ask) -> Answer:
    """Source: ListTaskDefinitions, whose familyPrefix is a whole family and which lists the active, unless told."""
    if ask.get("sort", "ASC") not in ("ASC", "DESC"):
        raise invalid("sort must be ASC or DESC.")
    status, families = ask.get("status", "ACTIVE"), [ask["familyPrefix"]] if "familyPrefix" in ask else account.families
    known = (one for family in sorted(families) for one in account.families.get(family, []))
    arns = [revision.arn for revision in known if revision.members["status"] == status]
    listed, more = page(arns[::-1] if ask.get("sort") == "DESC" else arns, ask, page_size(ask, 100))
    return {"taskDefinitionArns": listed, **more}


OPERATIONS: Mapping[str, Operation] = {
    "RegisterTaskDefinition": register_task_definition,
    "DescribeTaskDefinition": describe_task_definition,
    "ListTaskDefinitions": list_task_definitions,
    "DeregisterTaskDefinition": deregister_task_definition,
}
