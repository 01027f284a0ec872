"""ECS services and revisions: described as they are, registered, updated, created.

Every function takes an ECS client of the target's account.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from deploytasks.aws import audit
from deploytasks.aws.failures import translated
from deploytasks.aws.tasks import running_tasks, task_digests
from deploytasks.errors import AwsError
from deploytasks.model import Definition, Deployment, Live, Reading, Target

_GONE = frozenset({"INACTIVE", "DRAINING"})


def observe(client: Any, targets: Iterable[Target], images: Mapping[str, str], *, reading: Reading) -> tuple[Live, ...]:
    """Each target as it is now; one whose cluster or service is missing, or may not be read, says so in it.

    `images` maps a service to what its image names begin with (`host/repository`): our container's, among others.
    What the tasks run is read as `reading` says, at the price of two more calls a target.

    Source: ecs DescribeServices (ten a call), DescribeTaskDefinition, ListTasks, DescribeTasks.

    """
    return tuple(
        live
        for cluster, batch in _tens(targets)
        for live in _observe_batch(client, cluster, batch, images, reading=reading)
    )


def describe(client: Any, cluster: str, services: Sequence[str]) -> dict[str, Any]:
    """DescribeServices' answers by service name, at most ten; missing and inactive ones are left out.

    Raises:
        AwsError: among others, there is no such cluster.

    """
    with translated(f"cluster {cluster}"):
        answer = client.describe_services(cluster=cluster, services=list(services), include=["TAGS"])
    return {each["serviceName"]: each for each in answer["services"] if each["status"] not in _GONE}


def register(client: Any, target: Target, request: Definition, tags: Mapping[str, str]) -> str:
    """A new revision, and its ARN; the audit tags join those that the template asks for.

    Source: ecs RegisterTaskDefinition.

    """
    own = [tag for tag in request.get("tags", []) if not tag["key"].startswith(audit.PREFIX)]
    with translated(str(target)):
        answer = client.register_task_definition(**{**request, "tags": own + audit.to_ecs(tags)})
    arn: str = answer["taskDefinition"]["taskDefinitionArn"]
    return arn


def update(client: Any, target: Target, revision: str | None) -> Mapping[str, Any]:
    """The service rolls out the revision, or, for None, the same one anew. `desiredCount` is never sent.

    Returns the service as UpdateService answers it: its PRIMARY deployment is ours.
    """
    change: dict[str, Any] = {"taskDefinition": revision} if revision else {"forceNewDeployment": True}
    with translated(str(target)):
        answer = client.update_service(cluster=target.cluster, service=target.ecs_service, **change)
    return dict(answer["service"])


def create(client: Any, target: Target, request: Definition, revision: str) -> Mapping[str, Any]:
    """The service exists and rolls out the revision.

    Source: ecs CreateService.

    """
    with translated(str(target)):
        answer = client.create_service(**{**request, "taskDefinition": revision})
    return dict(answer["service"])


def record(client: Any, target: Target, service_arn: str, tags: Mapping[str, str]) -> None:
    """The service carries the audit tags: used where a rollout registers no revision that could.

    Source: ecs TagResource.

    """
    with translated(str(target)):
        client.tag_resource(resourceArn=service_arn, tags=audit.to_ecs(tags))


def deployments(service: Mapping[str, Any]) -> tuple[Deployment, ...]:
    """A described service's deployments as values, in ECS's own order."""
    return tuple(
        Deployment(
            id=each["id"],
            status=each["status"],
            rollout_state=each.get("rolloutState", ""),
            revision=each["taskDefinition"],
            desired=each.get("desiredCount", 0),
            running=each.get("runningCount", 0),
            reason=each.get("rolloutStateReason", ""),
            created_at=each.get("createdAt"),
        )
        for each in service.get("deployments", [])
    )


def _observe_batch(
    client: Any, cluster: str, batch: Sequence[Target], images: Mapping[str, str], *, reading: Reading
) -> Iterator[Live]:
    try:
        found = describe(client, cluster, [target.ecs_service for target in batch])
    except AwsError as error:
        yield from (Live(target, complaint=error.complaints[0]) for target in batch)
        return
    for target in batch:
        service = found.get(target.ecs_service)
        yield _observe_one(client, target, service, images[target.service], reading=reading)


def _observe_one(
    client: Any, target: Target, service: Mapping[str, Any] | None, image: str, *, reading: Reading
) -> Live:
    if service is None:
        return Live(target)
    controller = service.get("deploymentController", {}).get("type", "ECS")
    if "taskDefinition" not in service:  # a controller of somebody else's keeps it in task sets
        return Live(target, exists=True, controller=controller)
    try:
        with translated(str(target)):
            described = client.describe_task_definition(taskDefinition=service["taskDefinition"], include=["TAGS"])
            pinned = _is_pinned(described["taskDefinition"], image)
            read = reading == "all" or (reading == "unpinned" and not pinned)
            digests = task_digests(running_tasks(client, target), image) if read else ()
    except AwsError as error:
        return Live(target, complaint=error.complaints[0])
    return Live(
        target=target,
        exists=True,
        controller=controller,
        desired=service["desiredCount"],
        running=service["runningCount"],
        deployments=deployments(service),
        definition={**described["taskDefinition"], "tags": described.get("tags", [])},
        revision_tags=audit.from_ecs(described.get("tags", [])),
        service_tags=audit.from_ecs(service.get("tags", [])),
        digests=digests,
    )


def _is_pinned(definition: Definition, image: str) -> bool:
    return any(container["image"].startswith(f"{image}@") for container in definition["containerDefinitions"])


def _tens(targets: Iterable[Target]) -> Iterator[tuple[str, list[Target]]]:
    by_cluster: dict[str, list[Target]] = {}
    for target in targets:
        by_cluster.setdefault(target.cluster, []).append(target)
    for cluster, members in by_cluster.items():
        yield from ((cluster, members[start : start + 10]) for start in range(0, len(members), 10))
