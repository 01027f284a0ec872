"""Tasks that died by themselves: which stopped tasks count, why they stopped, and the last lines that they wrote."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from deploytasks.aws import logs, tasks
from deploytasks.aws.failures import translated
from deploytasks.errors import AwsError
from deploytasks.model import Access, DeadTask, Deployment, Target

Cause = Literal["crashed", "failed to start", "failed its health check"]
LogsOf = Callable[[Access], Any]
"""Returns the CloudWatch Logs client of an account and region."""

_CAUSES: Mapping[str, Cause] = {"EssentialContainerExited": "crashed", "TaskFailedToStart": "failed to start"}
_HEALTH_CHECK = re.compile(r"\bfailed\b.*\bhealth[ -]?checks?\b", re.IGNORECASE)
_STOPPED_BY_SIGNAL = (0, 137, 143)
_ON_PURPOSE = ("UserInitiated", "ServiceSchedulerInitiated")
_LOG_LINES = 10
_SHOWN = 3
_SKEW = timedelta(seconds=2)
"""How much earlier than its deployment's end a task may have stopped whose stop counts as after it."""


def cause(task: Mapping[str, Any]) -> Cause | None:
    """Return why the stopped task died by itself; None if ECS, a person or the infrastructure stopped it.

    A failed health check is told by the reason alone: the service scheduler stops such a task. Pure.
    Source: TaskStopCode in botocore's model of ECS; "Stopped tasks error messages" in ECS's documentation ("Task failed
    ELB health checks in (target-group …)", "Task failed container health checks").
    """
    if _HEALTH_CHECK.search(task.get("stoppedReason", "")):
        return "failed its health check"
    if code := task.get("stopCode"):
        return _CAUSES.get(code)
    return None if _ended_by_signal(task) else "crashed"  # of an endpoint that tells no stop codes


def died_since(stopped: Iterable[Mapping[str, Any]], deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return those of the deployment's own tasks that died by themselves since ECS called it ended. Pure."""
    return [each for each in stopped_since(stopped, deployment) if cause(each)]


def stopped_since(stopped: Iterable[Mapping[str, Any]], deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return the deployment's own tasks that stopped since ECS called it ended, newest first. Pure."""
    began = deployment.ended_at or deployment.created_at
    own = tasks.started_by(stopped, deployment.id, deployment.revision)
    return sorted((each for each in own if _is_since(each, began)), key=_stopped_at, reverse=True)


def told(task: Mapping[str, Any]) -> str:
    """Return how one task died, in a phrase: `crashed: exit 1, Essential container in task exited`. Pure."""
    codes = [f"exit {code}" for code in _exit_codes(task) if code is not None]
    return f"{cause(task) or 'stopped'}: {', '.join([*codes, task.get('stoppedReason', 'no reason given')])}"


def dead_tasks(client: Any, logs_of: LogsOf, target: Target, deployment: Deployment) -> tuple[DeadTask, ...]:
    """Return the deployment's last stopped tasks, those that died by themselves first: reason, exit codes, last lines.

    Tasks that ECS or a person stopped are told only where none died. Never raises for what AWS will not tell: a missing
    log is said in the task's own lines.

    Source: ecs ListTasks with desiredStatus STOPPED (they stay visible for an hour), logs GetLogEvents.

    """
    try:
        stopped = tasks.started_by(tasks.tasks_of(client, target, "STOPPED"), deployment.id, deployment.revision)
        definition = _definition(client, target, deployment.revision) if stopped else {}
    except AwsError as error:
        return (DeadTask("?", f"the stopped tasks could not be read: {error}"),)
    died = [task for task in stopped if _gravity(task) < 2] or stopped
    newest = sorted(sorted(died, key=_stopped_at, reverse=True), key=_gravity)[:_SHOWN]
    sources = logs.sources(target, definition)
    return tuple(_dead(task, sources, logs_of) for task in newest)


def _gravity(task: Mapping[str, Any]) -> int:
    """Return 0 for a task that died by itself, 1 for one that was lost otherwise, 2 for one stopped on purpose."""
    if cause(task):
        return 0
    return 2 if (task.get("stopCode") or _ON_PURPOSE[0]) in _ON_PURPOSE and _ended_by_signal(task) else 1


def _ended_by_signal(task: Mapping[str, Any]) -> bool:
    """Return whether its containers ended well, or by the signals of an orderly stop, or never ran."""
    return all(code in (*_STOPPED_BY_SIGNAL, None) for code in _exit_codes(task))


def _exit_codes(task: Mapping[str, Any]) -> list[int | None]:
    return [container.get("exitCode") for container in task.get("containers", [])]


def _stopped_at(task: Mapping[str, Any]) -> str:
    return str(task.get("stoppedAt", ""))


def _is_since(task: Mapping[str, Any], began: datetime | None) -> bool:
    at: datetime | None = task.get("stoppedAt")
    return at is None or began is None or at >= began - _SKEW


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
