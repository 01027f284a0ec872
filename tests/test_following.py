"""One-off tasks are followed with patience: through lost connections, slow rights and ECS's forgetting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploytasks.aws import run_task
from deploytasks.aws.follow_task import Following, FollowResources
from deploytasks.aws.logs import TaskLog
from deploytasks.aws.run_task import OneOff, Started
from deploytasks.errors import AwsError
from deploytasks.model import Event
from tests.given import REVISION, target
from tests.oneoffs import Clock, said

TASK = f"arn:aws:ecs:us-east-1:111111111111:task/main-prod/{'0' * 31}1"
STARTED = Started(OneOff(target(), REVISION, "api", ("true",)), TASK, datetime(2026, 11, 28, tzinfo=UTC))
GONE, DENIED = ("ServerException", 500), ("AccessDeniedException", 400)


def never(_passed_s: float) -> None:
    return None


@dataclass
class Ecs:
    """A client of an ECS whose one task runs `lasts_s`, and which answers as `fails` and `knows` say, by the second."""

    clock: Clock
    lasts_s: float = 60.0
    exit: int = 0
    fails: Callable[[float], tuple[str, int] | None] = never
    knows: Callable[[float], bool] = lambda _passed_s: True
    stopped: str = ""

    def describe_tasks(self, **_asked: Any) -> dict[str, Any]:
        if failure := self.fails(self.clock.passed_s):
            code, status = failure
            answer = {"Error": {"Code": code, "Message": "not now"}, "ResponseMetadata": {"HTTPStatusCode": status}}
            raise ClientError(answer, "DescribeTasks")  # type: ignore[arg-type]  # its other members are not read
        return {"tasks": [self._task()] if self.knows(self.clock.passed_s) else []}

    def stop_task(self, *, reason: str, **_asked: Any) -> dict[str, Any]:
        self.stopped = reason
        return {}

    def _task(self) -> dict[str, Any]:
        if not self.stopped and self.clock.passed_s < self.lasts_s:
            return {"lastStatus": "RUNNING", "startedAt": STARTED.at, "containers": [{"name": "api"}]}
        ended = {"name": "api", "lastStatus": "STOPPED", "exitCode": 137 if self.stopped else self.exit}
        how = ("UserInitiated", self.stopped) if self.stopped else ("EssentialContainerExited", "it ended")
        reason = {"stopCode": how[0], "stoppedReason": how[1]}
        return {"lastStatus": "STOPPED", "startedAt": STARTED.at, "containers": [ended], **reason}


@dataclass
class Watched:
    """Who follows the task, and what was told."""

    ecs: Ecs
    told: list[Event] = field(default_factory=list)
    sleep: Callable[[float], None] | None = None

    @property
    def resources(self) -> FollowResources:
        return FollowResources(self.ecs, self.told.append, self.ecs.clock, self.sleep or self.ecs.clock.sleep)

    def follow(self) -> Any:
        return self._following().to_end()

    def stop(self, reason: str) -> Any:
        return self._following().stop(reason, within_s=10)

    def _following(self) -> Following:
        log = TaskLog(STARTED.one_off.target, "elsewhere", lambda _event: None)
        return Following(self.resources, STARTED, log)


def watched(**ecs: Any) -> Watched:
    return Watched(Ecs(Clock(), **ecs))


def between(begin_s: float, end_s: float, failure: tuple[str, int]) -> Callable[[float], tuple[str, int] | None]:
    return lambda passed_s: failure if begin_s <= passed_s < end_s else None


def test_a_lost_connection_is_told_once_and_waited_out():
    task = watched(exit=7, lasts_s=600, fails=between(10, 500, GONE))
    assert task.follow().code == 7
    assert said(task.told) == [
        f"task {STARTED.id} is running",
        "AWS does not answer; asking again; the task goes on: DescribeTasks: ServerException: not now",
        "AWS answers again",
    ]


def test_a_connection_that_stays_lost_is_given_up_after_half_an_hour():
    task = watched(lasts_s=10_000, fails=between(100, 10_000, GONE))
    with pytest.raises(AwsError, match="can no longer be seen, and goes on"):
        task.follow()
    assert 1800 <= task.ecs.clock.passed_s < 2000


def test_rights_that_come_late_are_waited_for_and_those_that_do_not_are_not():
    assert watched(fails=between(0, 3, DENIED)).follow().code == 0
    task = watched(fails=between(0, 10_000, DENIED))
    with pytest.raises(AwsError, match="goes on: DescribeTasks: AccessDeniedException"):
        task.follow()
    assert task.ecs.clock.passed_s < 10


def test_refusals_with_a_lost_connection_between_them_are_not_in_a_row():
    task = watched(exit=7, fails=lambda passed_s: None if passed_s > 20 else GONE if passed_s % 4 == 3 else DENIED)
    assert task.follow().code == 7


def test_a_new_task_that_ecs_does_not_know_yet_is_waited_for():
    assert watched(knows=lambda passed_s: passed_s >= 20).follow().code == 0


def test_a_task_that_ecs_forgot_ended_as_nobody_knows():
    exited = watched(knows=lambda _passed_s: False).follow()
    assert (exited.code, exited.began, exited.reason) == (None, True, "ECS does not know the task any more")


def test_following_ends_where_sleeping_raises_and_the_task_goes_on():
    def interrupted(_seconds: float) -> None:
        raise InterruptedError

    task = watched(lasts_s=600)
    task.sleep = interrupted
    with pytest.raises(AwsError, match="goes on: unforeseen InterruptedError"):
        task.follow()
    assert not task.ecs.stopped


def test_a_stopped_task_is_seen_to_its_end():
    exited = watched(lasts_s=600).stop("x" * 300)
    assert exited is not None and (exited.code, exited.reason) == (137, "x" * 255)


def test_a_task_that_takes_its_time_to_stop_is_left_to_ecs():
    task = watched(lasts_s=600, fails=between(0, 10_000, GONE))
    assert task.stop("enough") is None
    assert task.ecs.clock.passed_s == pytest.approx(10)


def test_capacity_providers_take_the_place_of_a_launch_type_and_empty_members_are_left_out():
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
    network = {"awsvpcConfiguration": {"subnets": ["s"]}}
    service = {
        "launchType": "FARGATE",
        "capacityProviderStrategy": strategy,
        "placementConstraints": [],
        "placementStrategy": [{"type": "spread"}],
        "deployments": [{"status": "ACTIVE"}, {"status": "PRIMARY", "networkConfiguration": network}],
        "taskDefinition": "shop:1",
    }
    assert run_task.place(service) == {
        "capacityProviderStrategy": strategy,
        "placementStrategy": [{"type": "spread"}],
        "networkConfiguration": network,
    }
