"""The tasks of a service: the digests that they run, and how the stopped ones ended."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from deploytasks.aws import logs
from deploytasks.aws.errors import translated
from deploytasks.errors import AwsError
from deploytasks.model import Access, DeadTask, Deployment, LastRun, Target
from deploytasks.rules import task_deaths
from deploytasks.rules.observed import ours
from deploytasks.rules.task_deaths import gravity, stopped_at


def task_arns(client: Any, target: Target, desired_status: str = "RUNNING", started_by: str = "") -> list[str]:
    """Return the ARNs of the service's tasks that are meant to run, or of those that stopped in the last hour.

    With `started_by` it is those in its cluster that were started under that name, whatever service they are of.

    Source: ecs ListTasks, by serviceName or by startedBy.

    """
    whose = {"startedBy": started_by} if started_by else {"serviceName": target.ecs_service}
    with translated(str(target)):
        pages = client.get_paginator("list_tasks").paginate(
            cluster=target.cluster, desiredStatus=desired_status, **whose
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


def tasks_of(
    client: Any, target: Target, desired_status: str = "RUNNING", started_by: str = ""
) -> list[dict[str, Any]]:
    """Return the tasks that `task_arns` names, described."""
    return described(client, target.cluster, task_arns(client, target, desired_status, started_by))


def last_run(client: Any, target: Target) -> LastRun | None:
    """Return how the job's last run ended; None if none stopped in the last hour.

    Source: ecs ListTasks, by family; a stopped task stays listed for an hour.

    """
    with translated(str(target)):
        pages = client.get_paginator("list_tasks").paginate(
            cluster=target.cluster, family=target.family, desiredStatus="STOPPED"
        )
        arns = [arn for page in pages for arn in page["taskArns"]]
    stopped = [each for each in described(client, target.cluster, arns) if each.get("lastStatus") == "STOPPED"]
    if not stopped:
        return None
    task = max(stopped, key=stopped_at)
    codes = [code for code in task_deaths.exit_codes(task) if code is not None]
    worst = next((code for code in codes if code), 0 if codes else None)
    return LastRun(task.get("stoppedAt"), worst, "" if worst == 0 else task.get("stoppedReason", ""))


def task_digests(
    tasks: Iterable[Mapping[str, Any]], image: str, tier: str, digest: str = "", names: Collection[str] = ()
) -> tuple[str, ...]:
    """Return the digests, sorted, that our containers of these tasks run; `ours` explains the other arguments.

    Empty if no task runs, or if the endpoint reports no digests.
    """
    found = (each for task in tasks for each in ours(task.get("containers", []), image, tier, digest, names))
    return tuple(sorted({each["imageDigest"] for each in found if each.get("imageDigest")}))


LogsOf = Callable[[Access], Any]
"""Returns the CloudWatch Logs client of an account and region."""
_LOG_LINES = 10
_SHOWN = 3


def dead_tasks(client: Any, logs_of: LogsOf, target: Target, deployment: Deployment) -> tuple[DeadTask, ...]:
    """Return the deployment's last stopped tasks, with reason, exit codes and last log lines.

    Those that died by themselves come first; those that ECS or a person stopped are included only if none did. Never
    raise for what AWS does not return: a missing log is noted in the task's own lines.

    Source: ecs ListTasks with desiredStatus STOPPED (they stay visible for an hour), logs GetLogEvents.

    """
    try:
        stopped = task_deaths.started_by(tasks_of(client, target, "STOPPED"), deployment.id, deployment.revision)
        definition = _definition(client, target, deployment.revision) if stopped else {}
    except AwsError as error:
        return (DeadTask("?", f"the stopped tasks could not be read: {error}"),)
    died = [task for task in stopped if gravity(task) < 2] or stopped
    newest = sorted(sorted(died, key=stopped_at, reverse=True), key=gravity)[:_SHOWN]
    sources = logs.sources(target, definition)
    return tuple(_dead(task, sources, logs_of) for task in newest)


def _definition(client: Any, target: Target, revision: str) -> dict[str, Any]:
    with translated(str(target)):
        definition: dict[str, Any] = client.describe_task_definition(taskDefinition=revision)["taskDefinition"]
    return definition


def _dead(task: Mapping[str, Any], sources: Iterable[logs.Source], logs_of: LogsOf) -> DeadTask:
    task_id = task["taskArn"].rsplit("/", 1)[-1]
    exits = tuple(
        f"{container['name']}: exit {container.get('exitCode', '-')} {container.get('reason', '')}".rstrip()
        for container in task.get("containers", [])
    )
    lines = [line for source in sources for line in _last_lines(logs.of_task(source, task_id), logs_of)]
    return DeadTask(task_id, task.get("stoppedReason", "no reason given"), exits, tuple(lines))


def _last_lines(source: logs.Source, logs_of: LogsOf) -> tuple[str, ...]:
    try:
        return logs.last_lines(logs_of(source.access), source, _LOG_LINES)
    except AwsError as error:
        return (f"({error.complaints[0].what})",)
