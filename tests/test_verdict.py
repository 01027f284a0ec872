"""How our deployment stands, read off DescribeServices: every ending that users of other tools were told wrongly."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploytasks.model import Deployment
from deploytasks.model.service_deployments import ServiceDeployment
from deploytasks.rules.soak import health_problem
from deploytasks.rules.verdict import given_up, judge, natively, took_s

OURS, THEIRS, BEFORE = "ecs-svc/ours", "ecs-svc/theirs", "ecs-svc/before"
START = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def deployment(id: str, status: str, state: str, *, running: int = 2, desired: int = 2, at: int = 0, reason: str = ""):
    return {
        "id": id,
        "status": status,
        "rolloutState": state,
        "rolloutStateReason": reason,
        "taskDefinition": f"arn:aws:ecs:us-east-1:111111111111:task-definition/{id[8:]}:1",
        "runningCount": running,
        "desiredCount": desired,
        "createdAt": START + timedelta(minutes=at),
    }


def service(*deployments: dict[str, Any], events: tuple[str, ...] = ()) -> dict[str, Any]:
    return {"deployments": list(deployments), "events": [{"message": event} for event in events], "runningCount": 2}


TRIGGERED = "ECS deployment circuit breaker: tasks failed to start."
BEFORE_US = deployment(BEFORE, "PRIMARY", "COMPLETED", at=-60)

ENDINGS = {
    "completed with every task running": (service(deployment(OURS, "PRIMARY", "COMPLETED")), "deployed"),
    "a first deployment, born COMPLETED with nothing running": (
        service(deployment(OURS, "PRIMARY", "COMPLETED", running=0)),
        None,
    ),
    "in progress": (service(deployment(OURS, "PRIMARY", "IN_PROGRESS")), None),
    "zero desired": (service(deployment(OURS, "PRIMARY", "COMPLETED", running=0, desired=0)), "deployed"),
    "failed where no rollback is configured": (
        service(deployment(OURS, "PRIMARY", "FAILED", reason=TRIGGERED)),
        "failed",
    ),
    "failed, the rollback under way": (
        service(deployment(OURS, "ACTIVE", "FAILED"), deployment(BEFORE, "PRIMARY", "IN_PROGRESS", at=-60)),
        None,
    ),
    "failed, rolled back": (service(deployment(OURS, "ACTIVE", "FAILED", reason=TRIGGERED), BEFORE_US), "rolled back"),
    "gone, the primary is older than ours": (service(BEFORE_US), "rolled back"),
    "gone, a newer primary that the breaker started": (
        service(
            deployment(THEIRS, "PRIMARY", "COMPLETED", at=5),
            events=(f"(service api) (deployment {OURS}) deployment failed: tasks failed to start.",),
        ),
        "rolled back",
    ),
    "replaced while under way": (
        service(deployment(THEIRS, "PRIMARY", "IN_PROGRESS", at=5), deployment(OURS, "ACTIVE", "IN_PROGRESS")),
        "superseded",
    ),
    "replaced and gone": (service(deployment(THEIRS, "PRIMARY", "COMPLETED", at=5)), "superseded"),
    "no deployment at all": (service(), "failed"),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_ending_is_told_as_it_is(ending: str):
    described, expected = ENDINGS[ending]
    assert judge(described, OURS, START).outcome == expected


def test_a_rollback_says_why_and_where_it_is_back():
    verdict = judge(service(deployment(OURS, "ACTIVE", "FAILED", reason=TRIGGERED), BEFORE_US), OURS, START)
    assert verdict.detail == f"{TRIGGERED} Back on before:1."


def test_zero_desired_is_an_end_that_the_counts_tell_of():
    verdict = judge(service(deployment(OURS, "PRIMARY", "COMPLETED", running=0, desired=0)), OURS, START)
    assert (verdict.outcome, verdict.running, verdict.desired, verdict.detail) == ("deployed", 0, 0, "")


def test_a_superseded_rollout_names_the_one_that_replaced_it():
    verdict = judge(service(deployment(THEIRS, "PRIMARY", "COMPLETED", at=5)), OURS, START)
    assert verdict.detail == f"deployment {THEIRS} (theirs:1) replaced ours"


PRIMARY = deployment(BEFORE, "PRIMARY", "COMPLETED", at=0)


def told(message: str, at: int) -> dict[str, Any]:
    return {"message": message, "createdAt": START + timedelta(minutes=at)}


FAILED_EVENT = f"(service api) (deployment {OURS}) deployment failed: tasks failed to start."
BACK_EVENT = f"(service api) rolling back to deployment {BEFORE}."
PASTS = {
    "nothing happened": ({"deployments": [PRIMARY]}, ""),
    "the failed one is still listed": (
        {"deployments": [PRIMARY, deployment(OURS, "ACTIVE", "FAILED", at=5, reason=TRIGGERED)]},
        TRIGGERED,
    ),
    "the failed one is gone, and only the events tell": (
        {"deployments": [PRIMARY], "events": [told(FAILED_EVENT, 7)]},
        "tasks failed to start.",
    ),
    "the rollback is a deployment of its own": (
        {
            "deployments": [deployment(BEFORE, "PRIMARY", "COMPLETED", at=9)],
            "events": [told(BACK_EVENT, 9), told(FAILED_EVENT, 8)],
        },
        "tasks failed to start.",
    ),
    "a later rollout went well": (
        {
            "deployments": [
                deployment(THEIRS, "PRIMARY", "COMPLETED", at=20),
                deployment(OURS, "ACTIVE", "FAILED", at=5),
            ],
            "events": [told(BACK_EVENT, 8), told(FAILED_EVENT, 7)],
        },
        "",
    ),
    "the present one failed": (
        {"deployments": [deployment(OURS, "PRIMARY", "FAILED", reason=TRIGGERED)]},
        TRIGGERED,
    ),
    "no deployment at all": ({"deployments": []}, ""),
}


@pytest.mark.parametrize("past", PASTS)
def test_why_the_last_rollout_was_given_up(past: str):
    described, reason = PASTS[past]
    assert given_up(described) == reason


UNDER_WAY = service(deployment(OURS, "PRIMARY", "COMPLETED"))
REPLACED = service(deployment(THEIRS, "PRIMARY", "IN_PROGRESS", at=5), deployment(OURS, "ACTIVE", "IN_PROGRESS"))


@pytest.mark.parametrize(
    ("seen", "told", "outcome", "detail"),
    [
        (UNDER_WAY, {"status": "IN_PROGRESS", "stage": "bake time"}, None, ""),
        (UNDER_WAY, {"status": "PENDING"}, None, ""),
        (UNDER_WAY, {"status": "IN_PROGRESS", "hook": "approve"}, "paused", "waits on hook approve"),
        (UNDER_WAY, {"status": "SUCCESSFUL"}, "deployed", ""),
        (UNDER_WAY, {"status": "ROLLBACK_IN_PROGRESS", "reason": "alarm"}, None, "alarm"),
        (
            service(BEFORE_US),
            {"status": "ROLLBACK_SUCCESSFUL", "reason": "alarm"},
            "rolled back",
            "alarm. Back on before:1.",
        ),
        (UNDER_WAY, {"status": "ROLLBACK_FAILED", "reason": "no room"}, "failed", "its rollback failed: no room"),
        (UNDER_WAY, {"status": "STOPPED", "reason": "aborted"}, "failed", "aborted"),
        (REPLACED, {"status": "STOPPED"}, "superseded", "deployment ecs-svc/theirs (theirs:1) replaced ours"),
        (REPLACED, {"status": "ROLLBACK_SUCCESSFUL"}, "rolled back", "ECS gave the deployment up. Back on theirs:1."),
    ],
)
def test_the_service_deployment_has_the_last_word(seen: Any, told: Any, outcome: str | None, detail: str):
    verdict = natively(seen, judge(seen, OURS, START), ServiceDeployment("arn", **told))
    assert (verdict.outcome, verdict.detail) == (outcome, detail)


def ended(seconds: float, id: str = OURS) -> dict[str, Any]:
    message = f"(service api) (deployment {id}) deployment completed."
    return {"message": message, "createdAt": START + timedelta(seconds=seconds)}


def test_the_last_rollouts_length_is_read_off_its_completion_event():
    seen = {**service(deployment(OURS, "PRIMARY", "COMPLETED")), "events": [ended(190, THEIRS), ended(181.5)]}
    assert took_s(seen) == 181.5


@pytest.mark.parametrize("events", [[], [ended(60, BEFORE)], [ended(-5)]])
def test_without_such_an_event_its_length_is_not_known(events: list[dict[str, Any]]):
    assert took_s({**service(deployment(OURS, "PRIMARY", "COMPLETED")), "events": events}) is None


@pytest.mark.parametrize(
    ("changes", "why", "may_pass"),
    [
        ({}, None, None),
        ({"running": 1}, "1 of 2 tasks run", True),
        ({"scales_to": 5}, None, None),
        ({"running": 1, "scales_to": 5}, "1 of 2 tasks run", True),
        ({"failedTasks": 1}, None, None),
        ({"failedTasks": 3}, "3 tasks failed one after the other", False),
        ({"rolloutState": "FAILED", "rolloutStateReason": "alarm"}, "alarm", False),
        ({"id": THEIRS}, "another deployment took its place", False),
        ({"status": "ACTIVE"}, "the service is gone", False),
    ],
)
def test_a_target_that_was_well_is_well_until_tasks_fail_or_are_missing_or_it_lost_its_place(
    changes: dict[str, Any], why: str | None, may_pass: bool | None
):
    seen = {**deployment(OURS, "PRIMARY", "COMPLETED"), **changes}
    counts = {"runningCount": changes.get("running", 2), "desiredCount": changes.get("scales_to", 2)}
    found = health_problem(
        {"deployments": [seen], **counts}, Deployment(OURS, "PRIMARY", "COMPLETED", "arn", 2, 2, failed=1)
    )
    assert (found and found.why, found and found.may_pass) == (why, may_pass)
