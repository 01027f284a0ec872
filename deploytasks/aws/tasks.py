"""The tasks of a service: what digest they really run, and why those that died did."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from deploytasks.aws.failures import translated
from deploytasks.errors import AwsError
from deploytasks.model import DeadTask, Target
from deploytasks.ours import ours

_LOG_LINES = 10
_DEAD_SHOWN = 3


def task_arns(client: Any, target: Target, desired_status: str = "RUNNING") -> list[str]:
    """The ARNs of the service's tasks that are meant to run, or of those that stopped in the last hour.

    Source: ecs ListTasks.

    """
    with translated(str(target)):
        pages = client.get_paginator("list_tasks").paginate(
            cluster=target.cluster, serviceName=target.ecs_service, desiredStatus=desired_status
        )
        return [arn for page in pages for arn in page["taskArns"]]


def described(client: Any, cluster: str, arns: Sequence[str]) -> list[dict[str, Any]]:
    """The tasks of these ARNs, of whatever services of the cluster; those that are gone by now are left out.

    Source: ecs DescribeTasks (a hundred a call).

    """
    with translated(f"cluster {cluster}"):
        return [
            task
            for start in range(0, len(arns), 100)
            for task in client.describe_tasks(cluster=cluster, tasks=list(arns[start : start + 100]))["tasks"]
        ]


def tasks_of(client: Any, target: Target, desired_status: str = "RUNNING") -> list[dict[str, Any]]:
    """The service's tasks that are meant to run, or those that stopped in the last hour, described."""
    return described(client, target.cluster, task_arns(client, target, desired_status))


def task_digests(
    tasks: Iterable[Mapping[str, Any]], image: str, tier: str, digest: str = "", names: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the digests, sorted, that our containers of these tasks run; `ours` explains the other arguments.

    Empty where no task runs, or where the endpoint reports no digests.
    """
    found = (each for task in tasks for each in ours(task.get("containers", []), image, tier, digest, names))
    return tuple(sorted({each["imageDigest"] for each in found if each.get("imageDigest")}))


def started_by(tasks: Iterable[Mapping[str, Any]], deployment_id: str, revision: str) -> list[Mapping[str, Any]]:
    """Those of the tasks that this deployment started.

    ECS writes the deployment's id into `startedBy`; where an endpoint does not, it is the tasks of its revision.
    """
    listed = list(tasks)
    if any(str(task.get("startedBy", "")).startswith("ecs-svc/") for task in listed):
        return [task for task in listed if task.get("startedBy") == deployment_id]
    return [task for task in listed if task.get("taskDefinitionArn") == revision]


def dead_tasks(ecs: Any, logs: Any, target: Target, deployment_id: str, revision: str) -> tuple[DeadTask, ...]:
    """The last tasks of the deployment that stopped: their reason, exit codes and last log lines.

    Never raises for what AWS will not tell: a missing log is said in the task's own lines.

    Source: ecs ListTasks with desiredStatus STOPPED (they stay visible for an hour), logs GetLogEvents.

    """
    try:
        stopped = started_by(tasks_of(ecs, target, "STOPPED"), deployment_id, revision)
        stopped = [task for task in stopped if _died(task)] or stopped
        definition = _definition(ecs, target, revision) if stopped else {}
    except AwsError as error:
        return (DeadTask("?", f"the stopped tasks could not be read: {error}"),)
    newest = sorted(stopped, key=lambda task: str(task.get("stoppedAt", "")), reverse=True)[:_DEAD_SHOWN]
    return tuple(_dead(task, definition, logs) for task in newest)


def _definition(client: Any, target: Target, revision: str) -> dict[str, Any]:
    with translated(str(target)):
        definition: dict[str, Any] = client.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    return definition


def _died(task: Mapping[str, Any]) -> bool:
    """Whether the task fell over by itself, not stopped by the scheduler as part of a deployment."""
    codes = [container.get("exitCode") for container in task.get("containers", [])]
    return task.get("stopCode") in ("TaskFailedToStart", "EssentialContainerExited") or any(codes)


def _dead(task: Mapping[str, Any], definition: Mapping[str, Any], logs: Any) -> DeadTask:
    task_id = task["taskArn"].rsplit("/", 1)[-1]
    exits = tuple(
        f"{container['name']}: exit {container.get('exitCode', '-')} {container.get('reason', '')}".rstrip()
        for container in task.get("containers", [])
    )
    lines = [
        line for container in definition.get("containerDefinitions", []) for line in _log(container, task_id, logs)
    ]
    return DeadTask(task_id, task.get("stoppedReason", "no reason given"), exits, tuple(lines))


def _log(container: Mapping[str, Any], task_id: str, logs: Any) -> tuple[str, ...]:
    """The container's last lines, where its definition writes them to CloudWatch under a stream prefix."""
    config = container.get("logConfiguration", {})
    options = config.get("options", {})
    if config.get("logDriver") != "awslogs" or "awslogs-stream-prefix" not in options:
        return ()
    stream = f"{options['awslogs-stream-prefix']}/{container['name']}/{task_id}"
    try:
        with translated(f"log {options['awslogs-group']}"):
            answer = logs.get_log_events(
                logGroupName=options["awslogs-group"], logStreamName=stream, limit=_LOG_LINES, startFromHead=False
            )
    except AwsError as error:
        return (f"({error.complaints[0].what})",)
    return tuple(event["message"].rstrip() for event in answer["events"])
