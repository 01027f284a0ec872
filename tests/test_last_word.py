"""ECS's word on a rollout is final, early success too; a rollout whose tasks die afterwards is unhealthy, not done."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks.aws import tasks as aws_tasks
from deploytasks.model import Deployment, Told
from deploytasks.model.service_deployments import ServiceDeployment
from deploytasks.rules.verdict import deployments, judge, natively, needs_service_deployment, threshold
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.world import IMAGE, tenant_account
from tests.commands import Shop
from tests.rollouts import TIER, carry_out, container, fated, rollout, service, target

EARLY = {"earlySuccessCriteria": {"enable": True, "healthyPercent": 50, "sourceServiceRevisionCleanup": "DEFERRED"}}
SOAK = replace(TIER, soak_s=30)
OURS, START = "ecs-svc/7", datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def seen(state: str, running: int, *, desired: int = 10, made: int = -60, **changes: Any) -> dict[str, Any]:
    """A described service with our deployment alone; it was made so many minutes after the deployment."""
    ours = {"id": OURS, "status": "PRIMARY", "rolloutState": state, "taskDefinition": "arn:aws:ecs:::x/api:1"}
    counts = {"runningCount": running, "desiredCount": desired, "createdAt": START}
    created = {"createdAt": START + timedelta(minutes=made), "runningCount": running}
    return {"deployments": [{**ours, **counts}], "events": [], **created, **changes}


@pytest.mark.parametrize(
    ("state", "running", "made", "told", "outcome", "detail"),
    [
        ("COMPLETED", 5, -60, "SUCCESSFUL", "deployed", "ECS calls it complete at 5/10 tasks"),
        ("IN_PROGRESS", 5, -60, "SUCCESSFUL", "deployed", "ECS calls it complete at 5/10 tasks"),
        ("COMPLETED", 5, -60, None, "deployed", "ECS calls it complete at 5/10 tasks"),
        ("COMPLETED", 0, -60, None, "deployed", "ECS calls it complete at 0/10 tasks"),
        ("COMPLETED", 0, 0, None, None, ""),
        ("COMPLETED", 0, 0, "SUCCESSFUL", "deployed", "ECS calls it complete at 0/10 tasks"),
        ("COMPLETED", 1, 0, None, "deployed", "ECS calls it complete at 1/10 tasks"),
        ("COMPLETED", 10, -60, "IN_PROGRESS", None, ""),
        ("IN_PROGRESS", 10, -60, None, None, ""),
        ("IN_PROGRESS", 10, -60, "SUCCESSFUL", "deployed", ""),
        ("COMPLETED", 10, -60, "ROLLBACK_IN_PROGRESS", None, "alarm"),
    ],
)
def test_ended_is_what_ecs_calls_ended(
    state: str, running: int, made: int, told: str | None, outcome: str | None, detail: str
):
    described = seen(state, running, made=made)
    verdict = judge(described, OURS, START)
    if told:
        verdict = natively(described, verdict, ServiceDeployment("arn", told, reason="alarm"))
    assert (verdict.outcome, verdict.detail) == (outcome, detail)


@pytest.mark.parametrize(
    ("described", "asked"),
    [
        (seen("IN_PROGRESS", 5), False),
        (seen("COMPLETED", 10), True),
        (seen("FAILED", 0), False),
        (seen("IN_PROGRESS", 5, deploymentConfiguration=EARLY), True),
        (seen("IN_PROGRESS", 5, deploymentConfiguration={"strategy": "CANARY"}), True),
        (seen("", 5), True),
    ],
)
def test_the_service_deployment_is_asked_on_every_end_and_where_nothing_else_tells(described: Any, asked: bool):
    assert needs_service_deployment(described, judge(described, OURS, START)) is asked


@pytest.mark.parametrize("native", [True, False])
def test_early_success_is_deployed_with_its_note_and_never_restored(cloud, clock, native):
    cloud.cloud.native = native
    service(cloud, 1).desired, service(cloud, 1).configuration = 10, EARLY
    fated(cloud, {1: Fate(stays_at=5)})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=replace(SOAK, timeout_s=60))
    assert (result.outcome, result.detail) == ("deployed", "ECS calls it complete at 5/10 tasks")
    assert (result.running, result.desired) == (5, 10)
    assert cloud.calls[tenant_account(1), "UpdateService"] == 1


def test_a_rollout_whose_time_is_up_is_asked_for_once_more(cloud, clock):
    fated(cloud, {1: Fate(lasts_s=12.0)})
    overdue = rollout(cloud, 1)
    slow = replace(overdue, live=replace(overdue.live, took_s=10_000.0))  # looked at rarely
    (result,), _ = carry_out(cloud, clock, (slow,), tier=replace(TIER, timeout_s=12))
    assert result.outcome == "deployed"


def test_without_early_success_half_of_the_tasks_are_no_end(cloud, clock):
    service(cloud, 1).desired = 10
    fated(cloud, {1: Fate(stays_at=5)})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=replace(TIER, timeout_s=60))
    assert (result.outcome, "not finished after 60 s" in result.detail) == ("rolled back", True)


@pytest.mark.parametrize(
    ("breaker", "desired", "expected"),
    [
        ({}, 2, 3),
        ({}, 100, 50),
        ({}, 1000, 200),
        ({"thresholdConfiguration": {"type": "COUNT", "value": 2}}, 100, 2),
        ({"thresholdConfiguration": {"type": "BOUNDED_PERCENT", "value": 10}}, 100, 10),
        ({"thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 50}}, 1000, 500),
        ({"thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 50}}, 2, 1),
    ],
)
def test_the_breakers_threshold_is_the_services_own(breaker: Any, desired: int, expected: int):
    assert threshold(breaker, desired) == expected


@pytest.mark.parametrize(
    ("breaker", "said"),
    [
        ({"enable": False}, "4 tasks failed one after the other"),
        ({"enable": True}, "4 tasks failed one after the other; the circuit breaker trips at 5"),
        (
            {"enable": True, "resetOnHealthyTask": False, "thresholdConfiguration": {"type": "COUNT", "value": 9}},
            "4 tasks failed; the circuit breaker trips at 9",
        ),
    ],
)
def test_what_failed_so_far_is_said_by_the_services_own_settings(breaker: Any, said: str):
    described = seen("IN_PROGRESS", 0, deploymentConfiguration={"deploymentCircuitBreaker": breaker})
    described["deployments"][0]["failedTasks"] = 4
    assert judge(described, OURS, START).detail == said


@pytest.mark.parametrize("restarts", [True, False])
@pytest.mark.parametrize("native", [True, False])
def test_an_image_that_starts_and_dies_is_unhealthy_and_restored_after_the_only_wave(cloud, clock, native, restarts):
    cloud.cloud.native = native
    fated(cloud, {1: Fate(death=Death(lines=["no database"]), sick_s=1, restarts=restarts)})
    (result,), told = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SOAK)
    assert result.outcome == "unhealthy"
    assert result.detail.startswith("in the soak: ") and "crashed: exit 1, Essential container" in result.detail
    assert result.detail.endswith("It was restored to shop-t1-prod-api:1.")
    assert result.tasks[0].log == ("no database",)
    assert service(cloud, 1).deployments[0].revision.endswith(":1")
    assert [each.message for each in told if isinstance(each, Told) and each.step == "soak"] == [
        "1 target watched for 30 s"
    ]


def test_tasks_that_are_missing_without_a_reason_are_unhealthy(cloud, clock):
    def lose(_call: Any) -> None:
        if clock.now > 40:
            service(cloud, 1).deployments[0].running = 1

    cloud.fault = lose
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=SOAK)
    assert (result.outcome, "in the soak: 1 of 2 tasks run" in result.detail) == ("unhealthy", True)


def test_one_that_dies_does_not_end_the_soak_of_the_others(cloud, clock):
    fated(
        cloud,
        {1: Fate(death=Death(), sick_s=3), 2: Fate(death=Death(), sick_s=25, restarts=True, every_s=1000)},
    )
    results, _ = carry_out(cloud, clock, (rollout(cloud, 1), rollout(cloud, 2), rollout(cloud, 3)), tier=SOAK)
    assert [each.outcome for each in results] == ["unhealthy", "unhealthy", "deployed"]


def test_what_was_rolled_out_beside_a_failure_is_watched_too(cloud, clock):
    fated(cloud, {1: Fate(death=Death(lines=["x"])), 2: Fate(death=Death(), sick_s=5)})
    results, _ = carry_out(cloud, clock, (rollout(cloud, 1), rollout(cloud, 2)), tier=replace(SOAK, timeout_s=60))
    assert [each.outcome for each in results] == ["rolled back", "unhealthy"]


SHORT = {"action": "nothing", "request": None}


def short(cloud, number: int, running: int) -> Any:
    """A rollout with nothing to do, of a service that ran so many of its two tasks when it was observed."""
    ran = service(cloud, number).deployments[0]
    ran.running = running
    still = rollout(cloud, number, **SHORT)
    seen = replace(still.live.deployments[0], running=running)
    return replace(still, live=replace(still.live, running=running, deployments=(seen,)))


def pends(cloud, number: int, count: int) -> None:
    """Its PRIMARY deployment has so many tasks pending."""
    service(cloud, number).deployments[0].pending = count


def test_nothing_to_do_and_too_few_tasks_is_unhealthy_and_restores_nothing(cloud, clock):
    still = short(cloud, 1, 0)
    pends(cloud, 1, 0)
    (result,), _ = carry_out(cloud, clock, (still,))
    assert (result.outcome, result.detail) == ("unhealthy", "0 of 2 tasks run")
    assert (cloud.calls[tenant_account(1), "UpdateService"], clock.now) == (0, 5.0)


def test_tasks_that_are_about_to_run_leave_it_unchanged(cloud, clock):
    still = short(cloud, 1, 1)
    pends(cloud, 1, 1)
    (result,), _ = carry_out(cloud, clock, (still,), tier=SOAK)
    assert (result.outcome, clock.now) == ("unchanged", 30.0)


def test_who_does_not_wait_looks_at_nothing_again_and_it_is_said(cloud, clock):
    (result,), _ = carry_out(cloud, clock, (short(cloud, 1, 0),), wait=False)
    assert (result.outcome, clock.now) == ("unchanged", 0.0)
    assert result.detail == "only 0 of 2 tasks run, and it was not looked at again"


def task(number: int, code: str, reason: str, exit: int | None, at: int) -> dict[str, Any]:
    return {
        "taskArn": f"arn:aws:ecs:us-east-1:1:task/c/{number}",
        "startedBy": OURS,
        "stopCode": code,
        "stoppedReason": reason,
        "stoppedAt": START + timedelta(seconds=at),
        "containers": [{"name": "api", **({} if exit is None else {"exitCode": exit})}],
    }


class Ecs:
    """Answers with these stopped tasks."""

    def __init__(self, *tasks: dict[str, Any]) -> None:
        self.tasks = tasks

    def get_paginator(self, _name: str) -> "Ecs":
        return self

    def paginate(self, **_asked: Any) -> list[dict[str, Any]]:
        return [{"taskArns": [each["taskArn"] for each in self.tasks]}]

    def describe_tasks(self, **_asked: Any) -> dict[str, Any]:
        return {"tasks": list(self.tasks)}

    def describe_task_definition(self, **_asked: Any) -> dict[str, Any]:
        return {"taskDefinition": {"containerDefinitions": [container("x")]}}


CRASHES = [task(n, "EssentialContainerExited", "Essential container in task exited", 1, n) for n in (1, 2)]


@pytest.mark.parametrize(
    ("tasks", "shown"),
    [
        ([*CRASHES, *(task(n, "ServiceSchedulerInitiated", "Scaling", 143, 60 + n) for n in range(3, 7))], ["2", "1"]),
        ([*CRASHES, *(task(n, "UserInitiated", "Task stopped by user", 137, 60 + n) for n in range(3, 7))], ["2", "1"]),
        (
            [
                task(1, "ServiceSchedulerInitiated", "Task failed container health checks", 143, 1),
                task(2, "TaskFailedToStart", "CannotPullContainerError", None, 2),
                task(3, "SpotInterruption", "Your Spot Task was interrupted.", 143, 60),
                task(4, "ServiceSchedulerInitiated", "Scaling", 143, 61),
            ],
            ["2", "1", "3"],
        ),
        ([task(n, "ServiceSchedulerInitiated", "Scaling", 143, n) for n in (1, 2)], ["2", "1"]),
    ],
)
def test_tasks_that_died_by_themselves_are_shown_first(tasks: Any, shown: list[str]):
    deployment = Deployment(OURS, "PRIMARY", "COMPLETED", "arn:x:1")
    dead = aws_tasks.dead_tasks(Ecs(*tasks), lambda _: Logs(), target(1), deployment)
    assert [each.id for each in dead] == shown


class Logs:
    """A client of CloudWatch Logs with one line in each stream."""

    def get_log_events(self, **_asked: Any) -> dict[str, Any]:
        return {"events": [{"message": "last words\n"}]}


def test_lines_are_read_in_the_region_that_the_definition_names(cloud, clock):
    fated(cloud, {1: Fate(death=Death(lines=["from Ireland"]))})
    far = {"awslogs-group": "/ecs/shop", "awslogs-stream-prefix": "api", "awslogs-region": "eu-west-1"}
    there = {**container(f"{IMAGE}:prod"), "logConfiguration": {"logDriver": "awslogs", "options": far}}
    one = rollout(cloud, 1, request={"family": "f1", "containerDefinitions": [there]})
    (result,), _ = carry_out(cloud, clock, (one,), tier=replace(TIER, timeout_s=60))
    assert result.tasks[0].log == ("from Ireland",)


def test_a_release_whose_image_dies_ends_with_1_and_says_why(shop: Shop):
    shop.soak("2s")
    shop.endpoint.cloud.fates = lambda *_: Fate(death=Death(lines=["no database"]), sick_s=0, every_s=1)
    shop.endpoint.cloud.fates = once(shop.endpoint.cloud.fates)
    ran = shop.inv("deploy.prod", "--force", "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"unhealthy": 1})
    assert "crashed: exit 1" in ran.summary["results"][0]["detail"]


def once(fate: Any) -> Any:
    """The first deployment has the fate, those after it complete."""
    left = [fate]
    return lambda *about: left.pop()(*about) if left else Fate()


def test_deployments_know_when_ecs_called_them_complete():
    described = seen("COMPLETED", 10)
    message = f"(service api) (deployment {OURS}) deployment completed."
    told = {"message": message, "createdAt": START + timedelta(seconds=40)}
    assert deployments({**described, "events": [told]})[0].ended_at == told["createdAt"]
