"""How our deployment stands, read off DescribeServices: every ending that users of other tools were told wrongly."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploytasks.aws.verdict import given_up, judge

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


def test_zero_desired_is_said_and_not_counted_as_proof():
    verdict = judge(service(deployment(OURS, "PRIMARY", "COMPLETED", running=0, desired=0)), OURS, START)
    assert verdict.detail == "0 desired: nothing proves that it starts"


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
