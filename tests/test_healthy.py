"""Whether a target stays as healthy as it was: which tasks died by themselves, which are missing, which are excused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploytasks.model import Deployment
from deploytasks.rules.soak import health_problem, shortage
from tests.given import REVISION

OURS, END = "ecs-svc/7", datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
WELL = Deployment(OURS, "PRIMARY", "COMPLETED", REVISION, 2, 2, ended_at=END)


def service(running: int = 2, *, pending: int = 0, events: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A service that wants two tasks, with our deployment alone."""
    counts = {"desiredCount": 2, "runningCount": running, "pendingCount": pending}
    ours = {"id": OURS, "status": "PRIMARY", "rolloutState": "COMPLETED", "taskDefinition": REVISION, **counts}
    return {**counts, "deployments": [ours], "events": list(events)}


def stopped(code: str, reason: str, exit: int | None, *, at: float = 5, by: str = OURS) -> dict[str, Any]:
    """A task that stopped so many seconds after the rollout's end."""
    container = {"name": "api", **({} if exit is None else {"exitCode": exit})}
    told = {"stopCode": code, "stoppedReason": reason, "stoppedAt": END + timedelta(seconds=at)}
    return {"startedBy": by, "taskDefinitionArn": REVISION, "containers": [container], **told}


CRASH = stopped("EssentialContainerExited", "Essential container in task exited", 1)


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (CRASH, "crashed: exit 1, Essential container in task exited"),
        (stopped("EssentialContainerExited", "it ended", 0), "crashed: exit 0, it ended"),
        (stopped("TaskFailedToStart", "CannotPullContainerError", None), "failed to start: CannotPullContainerError"),
        (
            stopped("ServiceSchedulerInitiated", "Task failed container health checks", 137),
            "failed its health check: exit 137, Task failed container health checks",
        ),
        (
            stopped("ServiceSchedulerInitiated", "Task failed ELB health checks in (target-group arn:x)", 143),
            "failed its health check: exit 143, Task failed ELB health checks in (target-group arn:x)",
        ),
    ],
)
def test_each_way_to_die_by_oneself_counts_though_another_task_runs_already(task: dict[str, Any], why: str):
    problem = health_problem(service(), WELL, [task])
    assert problem is not None
    assert (problem.outcome, problem.may_pass, problem.why) == ("unhealthy", False, f"1 task died ({why})")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("ServiceSchedulerInitiated", "Scaling activity initiated by (deployment ecs-svc/1)"),
        ("ServiceSchedulerInitiated", "Task stopped for availability zone rebalancing"),
        ("SpotInterruption", "Your Spot Task was interrupted."),
        ("UserInitiated", "Task stopped by user"),
        ("TerminationNotice", "Host is going away"),
        ("InfrastructureHealth", "The host is unhealthy"),
    ],
)
@pytest.mark.parametrize("running", [1, 2])
def test_what_stops_for_others_reasons_does_not_count_and_excuses_a_missing_task(code: str, reason: str, running: int):
    assert health_problem(service(running), WELL, [stopped(code, reason, 143)]) is None


def test_it_excuses_one_missing_task_and_no_second():
    problem = health_problem(service(0), WELL, [stopped("SpotInterruption", "Spot", 143)])
    assert problem is not None and (problem.why, problem.may_pass) == ("0 of 2 tasks run", True)


@pytest.mark.parametrize(
    "task", [stopped("EssentialContainerExited", "", 1, at=-3), {**CRASH, "startedBy": "ecs-svc/6"}]
)
def test_a_task_that_crashed_before_ecs_called_it_ended_or_of_another_deployment_does_not_count(task: dict[str, Any]):
    assert health_problem(service(), WELL, [task]) is None


@pytest.mark.parametrize("running", [0, 1, 2])
@pytest.mark.parametrize("pending", [0, 1, 2])
def test_a_target_that_was_short_recovers_where_pending_tasks_fill_the_gap(running: int, pending: int):
    problem = shortage(service(running, pending=pending), WELL)
    assert (problem.why if problem else "") == ("" if running + pending >= 2 else f"{running} of 2 tasks run")


def test_pending_tasks_are_no_excuse_where_others_died():
    problem = shortage(service(0, pending=2), WELL, [CRASH, {**CRASH, "stoppedAt": END}])
    assert problem is not None
    assert problem.why.startswith("0 of 2 tasks run; 2 tasks died (crashed: exit 1")


def test_one_that_is_complete_by_then_is_well_though_tasks_died():
    assert shortage(service(2), WELL, [CRASH]) is None
