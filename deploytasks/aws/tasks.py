"""The tasks of a service, and the digests that they really run. Deaths are judged in `rules.task_deaths`."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from deploytasks.aws.errors import translated
from deploytasks.model import Target
from deploytasks.rules.observed import ours


def task_arns(client: Any, target: Target, desired_status: str = "RUNNING") -> list[str]:
    """Return the ARNs of the service's tasks that are meant to run, or of those that stopped in the last hour.

    Source: ecs ListTasks.

    """
    with translated(str(target)):
        pages = client.get_paginator("list_tasks").paginate(
            cluster=target.cluster, serviceName=target.ecs_service, desiredStatus=desired_status
        )
        return [arn for page in pages for arn in page["taskArns"]]


def described(client: Any, cluster: str, arns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the tasks of these ARNs, of any services of the cluster; those that no longer exist are left out.

    Source: ecs DescribeTasks (a hundred a call).

    """
    with translated(f"cluster {cluster}"):
        return [
            task
            for start in range(0, len(arns), 100)
            for task in client.describe_tasks(cluster=cluster, tasks=list(arns[start : start + 100]))["tasks"]
        ]


def tasks_of(client: Any, target: Target, desired_status: str = "RUNNING") -> list[dict[str, Any]]:
    """Return the service's tasks that are meant to run, or those that stopped in the last hour, described."""
    return described(client, target.cluster, task_arns(client, target, desired_status))


def task_digests(
    tasks: Iterable[Mapping[str, Any]], image: str, tier: str, digest: str = "", names: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the digests, sorted, that our containers of these tasks run; `ours` explains the other arguments.

    Empty if no task runs, or if the endpoint reports no digests.
    """
    found = (each for task in tasks for each in ours(task.get("containers", []), image, tier, digest, names))
    return tuple(sorted({each["imageDigest"] for each in found if each.get("imageDigest")}))
