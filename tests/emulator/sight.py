"""What AWS and the Docker engine themselves say, past the product."""

import json
from typing import Any

import docker

from deploytasks.config.load import load
from deploytasks.model import Target
from examples.stand import accounts
from examples.stand.world import World


def targets(world: World, tier: str) -> dict[str, Target]:
    """Tenant → what runs as `web` in the tier; `worker` runs the same image."""
    found = [each for each in load(world.root).targets if (each.environment.tier, each.name) == (tier, "web")]
    return {each.environment.tenant: each for each in found}


def schedules(world: World, account: str) -> dict[str, dict[str, Any]]:
    """Every schedule of the account, as GetSchedule has it, by its name."""
    scheduler = accounts.client(world.emulator, "scheduler", account)
    names = [each["Name"] for each in scheduler.list_schedules()["Schedules"]]
    found = {name: scheduler.get_schedule(Name=name) for name in names}
    return {
        name: {key: value for key, value in each.items() if key != "ResponseMetadata"} for name, each in found.items()
    }


def service(world: World, target: Target) -> dict[str, Any]:
    """The ECS service as DescribeServices has it."""
    ecs = accounts.client(world.emulator, "ecs", target.access.account)
    return ecs.describe_services(cluster=target.cluster, services=[target.ecs_service])["services"][0]


def tasks(world: World, target: Target) -> list[dict[str, Any]]:
    """The tasks that run for it."""
    ecs = accounts.client(world.emulator, "ecs", target.access.account)
    arns = ecs.list_tasks(cluster=target.cluster, serviceName=target.ecs_service)["taskArns"]
    return ecs.describe_tasks(cluster=target.cluster, tasks=arns)["tasks"] if arns else []


def digests(world: World, tier: str) -> dict[str, set[str]]:
    """Tenant → the digests that its running tasks report."""
    return {
        tenant: {
            each["containers"][0]["imageDigest"] for each in tasks(world, target) if each["lastStatus"] == "RUNNING"
        }
        for tenant, target in targets(world, tier).items()
    }


def revisions(world: World, tier: str) -> dict[str, list[str]]:
    """Tenant → every revision that was registered for it, oldest first."""
    return {
        tenant: accounts.client(world.emulator, "ecs", target.access.account).list_task_definitions(
            familyPrefix=target.family
        )["taskDefinitionArns"]
        for tenant, target in targets(world, tier).items()
    }


def digest(world: World, tag: str) -> str | None:
    """What a tag of the example's repository names, None where nothing."""
    return {tag: image["imageDigest"] for image in _images(world) for tag in image.get("imageTags", [])}.get(tag)


def release_tags(world: World, tier: str) -> list[str]:
    """Every release tag of the tier, oldest first."""
    found = [tag for image in _images(world) for tag in image.get("imageTags", [])]
    return sorted(tag for tag in found if tag.startswith(f"{tier}-"))


def containers(world: World) -> list[str]:
    """What image each container runs that the emulator started, as the engine itself says."""
    client = docker.from_env()
    try:
        return [
            each.attrs["Config"]["Image"] for each in client.containers.list(filters={"label": world.emulator.label})
        ]
    finally:
        client.close()


def everything(world: World) -> str:
    """All that the product could have changed, in every account, as one text that can be compared."""
    state: dict[str, Any] = {"images": _images(world)}
    state["parameters"] = accounts.client(world.emulator, "ssm").describe_parameters()["Parameters"]
    for target in load(world.root).targets:
        ecs = accounts.client(world.emulator, "ecs", target.access.account)
        found = ecs.describe_services(cluster=target.cluster, services=[target.ecs_service], include=["TAGS"])
        state[str(target)] = [found["services"], ecs.list_task_definitions()["taskDefinitionArns"]]
        state[target.access.account] = schedules(world, target.access.account)
    return json.dumps(state, default=str, indent=1, sort_keys=True)


def _images(world: World) -> list[dict[str, Any]]:
    return accounts.client(world.emulator, "ecr").describe_images(repositoryName="shop/app")["imageDetails"]
