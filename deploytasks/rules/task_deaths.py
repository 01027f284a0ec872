"""Which stopped tasks died by themselves, and why."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

from deploytasks.model import Deployment

Cause = Literal["crashed", "failed to start", "failed its health check"]

_CAUSES: Mapping[str, Cause] = {"EssentialContainerExited": "crashed", "TaskFailedToStart": "failed to start"}
_HEALTH_CHECK = re.compile(r"\bfailed\b.*\bhealth[ -]?checks?\b", re.IGNORECASE)
_STOPPED_BY_SIGNAL = (0, 137, 143)
_ON_PURPOSE = ("UserInitiated", "ServiceSchedulerInitiated")
_SKEW = timedelta(seconds=2)
"""How long before its deployment's end a task may have stopped and still count as stopped after it."""


def cause(task: Mapping[str, Any]) -> Cause | None:
    """Return why the stopped task died by itself; None if ECS, a person or the infrastructure stopped it.

    Only the reason tells of a failed health check: the service scheduler stops such a task.
    Source: TaskStopCode in botocore's model of ECS; "Stopped tasks error messages" in ECS's documentation ("Task failed
    ELB health checks in (target-group …)", "Task failed container health checks").
    """
    if _HEALTH_CHECK.search(task.get("stoppedReason", "")):
        return "failed its health check"
    if code := task.get("stopCode"):
        return _CAUSES.get(code)
    return None if _ended_by_signal(task) else "crashed"  # the endpoint reports no stop codes


def died_since(stopped: Iterable[Mapping[str, Any]], deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return those of the deployment's own tasks that died by themselves since ECS called it ended."""
    return [each for each in stopped_since(stopped, deployment) if cause(each)]


def stopped_since(stopped: Iterable[Mapping[str, Any]], deployment: Deployment) -> list[Mapping[str, Any]]:
    """Return the deployment's own tasks that stopped since ECS called it ended, newest first."""
    began = deployment.ended_at or deployment.created_at
    own = started_by(stopped, deployment.id, deployment.revision)
    return sorted((each for each in own if _is_since(each, began)), key=stopped_at, reverse=True)


def told(task: Mapping[str, Any]) -> str:
    """Return how one task died, in a phrase: `crashed: exit 1, Essential container in task exited`."""
    codes = [f"exit {code}" for code in exit_codes(task) if code is not None]
    return f"{cause(task) or 'stopped'}: {', '.join([*codes, task.get('stoppedReason', 'no reason given')])}"


def gravity(task: Mapping[str, Any]) -> int:
    """Return 0 for a task that died by itself, 1 for one that was lost otherwise, 2 for one stopped on purpose."""
    if cause(task):
        return 0
    return 2 if (task.get("stopCode") or _ON_PURPOSE[0]) in _ON_PURPOSE and _ended_by_signal(task) else 1


def _ended_by_signal(task: Mapping[str, Any]) -> bool:
    """Return whether its containers exited with 0, or by the signals of an orderly stop, or never ran."""
    return all(code in (*_STOPPED_BY_SIGNAL, None) for code in exit_codes(task))


def exit_codes(task: Mapping[str, Any]) -> list[int | None]:
    """Return each container's exit code; None for one that never ran."""
    return [container.get("exitCode") for container in task.get("containers", [])]


def stopped_at(task: Mapping[str, Any]) -> str:
    """Return when the task stopped, as text that sorts by time; "" if unknown."""
    return str(task.get("stoppedAt", ""))


def _is_since(task: Mapping[str, Any], began: datetime | None) -> bool:
    at: datetime | None = task.get("stoppedAt")
    return at is None or began is None or at >= began - _SKEW


def started_by(tasks: Iterable[Mapping[str, Any]], deployment_id: str, revision: str) -> list[Mapping[str, Any]]:
    """Return those of the tasks that this deployment started.

    ECS writes the deployment's id into `startedBy`; for an endpoint that doesn't, return the tasks of its revision.
    """
    listed = list(tasks)
    if any(str(task.get("startedBy", "")).startswith("ecs-svc/") for task in listed):
        return [task for task in listed if task.get("startedBy") == deployment_id]
    return [task for task in listed if task.get("taskDefinitionArn") == revision]
