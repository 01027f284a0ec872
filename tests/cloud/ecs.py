"""The operations of ECS on clusters, services and tasks, with the limits and errors of the real API."""

import json
from collections.abc import Callable, Mapping

from tests.cloud import ecs_definitions, ecs_service_deployments, ecs_tasks
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
from tests.cloud.ecs_definitions import Revision, find_revision
from tests.cloud.ecs_rollouts import open_service, settle, start
from tests.cloud.ecs_services import Cluster, Service, Task, cluster_of, service_of

SERVICES_A_CALL = 10
TASKS_A_CALL = 100


def describe_clusters(account: Account, ask: Ask) -> Answer:
    """Source: DescribeClusters."""
    names = [last_part(name) for name in ask.get("clusters", ["default"])]
    found = [account.clusters[name] for name in names if name in account.clusters]
    clusters = [{"clusterArn": cluster.arn, "clusterName": cluster.name, "status": "ACTIVE"} for cluster in found]
    missing = [_missing(account, f"cluster/{name}") for name in names if name not in account.clusters]
    return {"clusters": clusters, "failures": missing}


def create_cluster(account: Account, ask: Ask) -> Answer:
    """Source: CreateCluster."""
    cluster = add_cluster(account, ask.get("clusterName", "default"))
    return {"cluster": {"clusterArn": cluster.arn, "clusterName": cluster.name, "status": "ACTIVE"}}


def add_cluster(account: Account, name: str) -> Cluster:
    """The cluster of that name, made if it is not there."""
    cluster: Cluster = account.clusters.setdefault(name, Cluster(name, account.arn("ecs", f"cluster/{name}")))
    return cluster


def describe_services(account: Account, ask: Ask) -> Answer:
    """Source: DescribeServices."""
    names = [last_part(name) for name in ask["services"]]
    if not names:
        raise invalid("Services cannot be empty.")
    if len(names) > SERVICES_A_CALL:
        raise invalid(f"Services can have at most {SERVICES_A_CALL} items.")
    cluster = cluster_of(account, ask)
    found = [cluster.services[name] for name in names if name in cluster.services]
    for service in found:
        settle(account, service)
    with_tags = "TAGS" in ask.get("include", [])
    services = ", ".join(service.serialise(with_tags=with_tags) for service in found)
    missing = [_missing(account, f"service/{cluster.name}/{name}") for name in names if name not in cluster.services]
    return f'{{"services": [{services}], "failures": {json.dumps(missing)}}}'


def list_services(account: Account, ask: Ask) -> Answer:
    """Source: ListServices."""
    services = cluster_of(account, ask).services.values()
    arns, more = page([service.arn for service in services], ask, page_size(ask, 10))
    return {"serviceArns": arns, **more}


def update_service(account: Account, ask: Ask) -> Answer:
    """Source: UpdateService. The answer shows the deployment under way, however short it is."""
    service = service_of(cluster_of(account, ask), ask["service"])
    settle(account, service)
    _must_be_movable(service, ask)
    service.desired = ask.get("desiredCount", service.desired)
    service.configuration |= ask.get("deploymentConfiguration", {})
    running = service.deployments[0].revision
    revision = _usable(account, ask.get("taskDefinition", running))
    if ask.get("forceNewDeployment") or revision.arn != running:
        start(account, service, revision)
    return f'{{"service": {service.serialise(with_tags=False)}}}'


def _must_be_movable(service: Service, ask: Ask) -> None:
    """Another controller's service takes no task definition and no forced deployment by UpdateService.

    Source: botocore's UpdateService; the words as public reports have them for CODE_DEPLOY.

    """
    if service.controller == "ECS":
        return
    end = f"on services with a {service.controller} deployment controller."
    if "taskDefinition" in ask:
        raise invalid(f"Unable to update task definition {end}")
    if ask.get("forceNewDeployment"):
        raise invalid(f"Cannot force a new deployment {end}")


def create_service(account: Account, ask: Ask) -> Answer:
    """Source: CreateService."""
    cluster = cluster_of(account, ask)
    if ask["serviceName"] in cluster.services:
        raise invalid("Creation of service was not idempotent.")
    revision = _usable(account, ask["taskDefinition"])
    service = open_service(account, cluster, ask["serviceName"], ask.get("desiredCount", 1))
    service.tags = tag_map(ask.get("tags", []))
    service.configuration = dict(ask.get("deploymentConfiguration", {}))
    start(account, service, revision)
    return f'{{"service": {service.serialise(with_tags=True)}}}'


def list_tasks(account: Account, ask: Ask) -> Answer:
    """Source: ListTasks; `startedBy` goes with no other filter."""
    cluster = cluster_of(account, ask)
    if "startedBy" in ask and {"serviceName", "family", "containerInstance"} & ask.keys():
        raise invalid("Cannot specify startedBy with another filter.")
    if "serviceName" in ask:
        service_of(cluster, ask["serviceName"])
    for service in cluster.services.values():
        settle(account, service)
    wanted = _task_filter(ask)
    found = [task.arn for task in cluster.tasks.values() if wanted(task)]
    found += [] if "serviceName" in ask else ecs_tasks.listed(account, cluster.name, ask)
    arns, more = page(found, ask, page_size(ask, 100))
    return {"taskArns": arns, **more}


def _task_filter(ask: Ask) -> Callable[[Task], bool]:
    status, started_by, family = ask.get("desiredStatus", "RUNNING"), ask.get("startedBy"), ask.get("family")
    service = last_part(ask["serviceName"]) if "serviceName" in ask else None
    return lambda task: (
        task.status == status
        and service in (None, task.service)
        and started_by in (None, task.deployment.id)
        and family in (None, last_part(task.deployment.revision).partition(":")[0])
    )


def describe_tasks(account: Account, ask: Ask) -> Answer:
    """Source: DescribeTasks."""
    cluster = cluster_of(account, ask)
    ids = [last_part(name) for name in ask["tasks"]]
    if not ids or len(ids) > TASKS_A_CALL:
        raise invalid(f"Tasks must have between 1 and {TASKS_A_CALL} items.")
    if any(len(task_id) not in (32, 36) for task_id in ids):
        raise invalid("taskId length should be one of [32,36]")
    for service in cluster.services.values():
        settle(account, service)
    tasks = [cluster.tasks[task_id].describe(cluster.arn) for task_id in ids if task_id in cluster.tasks]
    one_offs = {one: ecs_tasks.described(account, cluster.name, one) for one in ids if one not in cluster.tasks}
    tasks += [task for task in one_offs.values() if task]
    missing = [_missing(account, f"task/{cluster.name}/{one}") for one, task in one_offs.items() if task is None]
    return {"tasks": tasks, "failures": missing}


def tag_resource(account: Account, ask: Ask) -> Answer:
    """Source: TagResource, and its documentation of `tags`: at most 50 a resource."""
    tags = _tags(account, ask["resourceArn"])
    if len({**tags, **tag_map(ask["tags"])}) > 50:
        raise AwsError("InvalidParameterException", "The number of tags exceeds the limit of 50.")
    tags.update(tag_map(ask["tags"]))
    return {}


def untag_resource(account: Account, ask: Ask) -> Answer:
    """Source: UntagResource."""
    for key in ask["tagKeys"]:
        _tags(account, ask["resourceArn"]).pop(key, None)
    return {}


def list_tags_for_resource(account: Account, ask: Ask) -> Answer:
    """Source: ListTagsForResource."""
    return {"tags": tag_list(_tags(account, ask["resourceArn"]))}


def _tags(account: Account, arn: str) -> dict[str, str]:
    kind, _, path = arn.split(":", 5)[5].partition("/")
    match kind, path.split("/"):
        case "service", [cluster, name]:
            return service_of(cluster_of(account, {"cluster": cluster}), name).tags
        case "task-definition", [name]:
            return find_revision(account, name).tags
        case _:
            raise invalid(f"Cannot tag {arn}.")


def _usable(account: Account, name: str) -> Revision:
    revision = find_revision(account, name)
    if revision.members["status"] != "ACTIVE":
        raise AwsError("ClientException", "TaskDefinition is inactive")
    return revision


def _missing(account: Account, resource: str) -> dict[str, str]:
    return {"arn": account.arn("ecs", resource), "reason": "MISSING"}


OPERATIONS: Mapping[str, Operation] = {
    **ecs_definitions.OPERATIONS,
    **ecs_tasks.OPERATIONS,
    **ecs_service_deployments.OPERATIONS,
    "DescribeClusters": describe_clusters,
    "CreateCluster": create_cluster,
    "DescribeServices": describe_services,
    "ListServices": list_services,
    "UpdateService": update_service,
    "CreateService": create_service,
    "ListTasks": list_tasks,
    "DescribeTasks": describe_tasks,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
