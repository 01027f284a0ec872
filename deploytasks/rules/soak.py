"""Whether a target stays as healthy as it was when ECS called its rollout ended."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from deploytasks.model import Deployment, Outcome, primary_of
from deploytasks.rules import task_deaths
from deploytasks.rules.verdict import deployments, failed_so_far

_RESTARTED = " has started "
"""Part of the message of ECS's event about tasks that it started."""

_RECENTLY = timedelta(minutes=15)
"""ECS restarts a task that keeps dying after growing pauses, which soon reach some minutes."""


class HealthProblem(Struct, frozen=True):
    """Why a target is no longer healthy, and the outcome of its rollout.

    A problem that `may_pass` counts only at two looks in a row: a service that scales out is short for a while.
    """

    why: str
    outcome: Outcome = "unhealthy"
    may_pass: bool = False


def health_problem(
    service: Mapping[str, Any] | None, well: Deployment, stopped: Iterable[Mapping[str, Any]] = ()
) -> HealthProblem | None:
    """Return why the service is less healthy than its deployment was when it ended `well`; None if it isn't.

    `stopped` are the stopped tasks that were read, of any deployment. A task that stopped without dying by itself
    (scaling, Spot, a person, the infrastructure, rebalancing) excuses one missing task while another starts.
    """
    primary = primary_of(deployments(service or {}))
    if ended := _ended(service, primary, well):
        return ended
    assert primary is not None and service is not None
    listed = list(stopped)
    if died := task_deaths.died_since(listed, well):
        return HealthProblem(_died(died))
    if primary.failed > well.failed:
        return HealthProblem(failed_so_far(service, primary))
    wanted = min(service["desiredCount"], well.running)
    running = min(primary.running, service["runningCount"])
    missing = wanted - running
    if missing > 0 and len(task_deaths.stopped_since(listed, well)) < missing:
        return HealthProblem(f"{running} of {wanted} tasks run", may_pass=True)
    return None


def shortage(
    service: Mapping[str, Any] | None, well: Deployment, stopped: Iterable[Mapping[str, Any]] = ()
) -> HealthProblem | None:
    """Return why a service that is short of tasks, with nothing to roll out, does not recover; None if it does.

    It does if pending tasks fill the gap and none died within the hour for which ECS keeps stopped tasks.
    """
    primary = primary_of(deployments(service or {}))
    if ended := _ended(service, primary, well):
        return ended
    assert primary is not None and service is not None
    if primary.running >= service["desiredCount"]:
        return None
    died = [each for each in task_deaths.started_by(stopped, well.id, well.revision) if task_deaths.cause(each)]
    if not died and primary.running + primary.pending >= service["desiredCount"]:
        return None
    why = f"{primary.running} of {service['desiredCount']} tasks run"
    return HealthProblem(f"{why}; {_died(died)}" if died else why)


def is_suspicious(service: Mapping[str, Any] | None, well: Deployment) -> bool:
    """Return whether the service shows a sign that tasks of the deployment died since ECS called it ended."""
    primary = primary_of(deployments(service or {}))
    if service is None or primary is None or primary.id != well.id:
        return False
    short = primary.running < min(service["desiredCount"], well.running)
    return short or primary.failed > well.failed or has_restarted(service, well)


def has_restarted(service: Mapping[str, Any], well: Deployment) -> bool:
    """Return whether ECS reports that it started tasks, or can't start them steadily, since the deployment ended."""
    began = well.ended_at or well.created_at
    return any(
        _RESTARTED in event["message"] or "unable to consistently start" in event["message"]
        for event in service.get("events", [])
        if began and event.get("createdAt") and event["createdAt"] > began
    )


def crash_loop(stopped: Iterable[Mapping[str, Any]], primary: Deployment, *, desired: int, now: datetime) -> str:
    """Return how tasks keep dying since the deployment completed; empty if they don't.

    They do if one died and is missing, or if two died recently and shortly after one another.
    """
    died = task_deaths.died_since(stopped, primary)
    if not died or not primary.is_complete:
        return ""
    newest = died[0].get("stoppedAt") or now
    recent = [each for each in died if newest - (each.get("stoppedAt") or now) <= _RECENTLY]
    is_loop = len(recent) > 1 and now - newest <= _RECENTLY
    return _died(died) if is_loop or primary.running < desired else ""


def _ended(service: Mapping[str, Any] | None, primary: Deployment | None, well: Deployment) -> HealthProblem | None:
    if service is None or primary is None:
        return HealthProblem("the service is gone", "failed")
    if primary.id != well.id:
        return HealthProblem("another deployment took its place", "superseded")
    if primary.rollout_state == "FAILED":
        return HealthProblem(primary.reason or "ECS gave the deployment up", "failed")
    return None


def _died(died: list[Mapping[str, Any]]) -> str:
    """Return how many tasks died, and how the newest one did."""
    count = "1 task died" if len(died) == 1 else f"{len(died)} tasks died"
    return f"{count} ({task_deaths.told(died[0])})"
