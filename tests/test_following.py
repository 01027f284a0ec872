"""One-off tasks are followed with patience: through lost connections, slow rights and ECS's forgetting."""

from collections.abc import Iterator
from typing import Any

import pytest

from deploytasks.aws import run_task
from deploytasks.aws.follow_task import FollowResources, follow, stop
from deploytasks.errors import AwsError
from deploytasks.model import Event
from tests.cloud.accounts import AwsError as Refused
from tests.cloud.accounts import Call
from tests.commands import Shop
from tests.oneoffs import ACCOUNT, Clock, ecs_client, no_log, one_off, said, script, started

GONE = Refused("ServerException", "not now", 500)


@pytest.fixture
def clock(shop: Shop) -> Clock:
    clock = Clock()
    shop.endpoint.cloud.clock = clock
    return clock


@pytest.fixture
def client(shop: Shop) -> Iterator[Any]:
    client = ecs_client(shop)
    yield client
    client.close()


def between(clock: Clock, begin_s: float, end_s: float, error: Refused):
    """A fault of DescribeTasks in that span of time."""

    def fault(call: Call) -> Refused | None:
        return error if call.operation == "DescribeTasks" and begin_s <= clock.passed_s < end_s else None

    return fault


def test_a_lost_connection_is_told_once_and_waited_out(shop: Shop, clock: Clock, client: Any):
    script(shop, exit=7, lasts_s=600)
    shop.endpoint.fault = between(clock, 10, 500, GONE)
    told: list[Event] = []
    exited = follow(FollowResources(client, told.append, clock, clock.sleep), started(shop, client), no_log(shop))
    assert exited.code == 7
    assert [message.partition(",")[0] for message in said(told)[1:]] == ["AWS does not answer", "AWS answers again"]
    assert "is running" in said(told)[0]


def test_a_connection_that_stays_lost_is_given_up_after_half_an_hour(shop: Shop, clock: Clock, client: Any):
    script(shop, lasts_s=10_000)
    shop.endpoint.fault = between(clock, 100, 10_000, GONE)
    with pytest.raises(AwsError, match="can no longer be seen, and goes on"):
        follow(FollowResources(client, lambda _event: None, clock, clock.sleep), started(shop, client), no_log(shop))
    assert 1800 <= clock.passed_s < 2000


def test_rights_that_come_late_are_waited_for_and_those_that_do_not_are_not(shop: Shop, clock: Clock, client: Any):
    denied = Refused("AccessDeniedException", "not allowed")
    script(shop, lasts_s=60)
    resources, running = FollowResources(client, lambda _event: None, clock, clock.sleep), started(shop, client)
    shop.endpoint.fault = between(clock, 0, 3, denied)
    assert follow(resources, running, no_log(shop)).code == 0
    shop.endpoint.fault = between(clock, 0, 10_000, denied)
    before = clock.passed_s
    with pytest.raises(AwsError, match="goes on: DescribeTasks: AccessDeniedException"):
        follow(resources, running, no_log(shop))
    assert clock.passed_s - before < 10


def test_a_new_task_that_ecs_does_not_know_yet_is_waited_for(shop: Shop, clock: Clock, client: Any):
    running = started(shop, client)
    account = shop.endpoint.cloud.account(ACCOUNT)
    hidden = account.one_offs.copy()
    account.one_offs.clear()
    clock.at[20.0] = lambda: account.one_offs.update(hidden)
    assert follow(FollowResources(client, lambda _event: None, clock, clock.sleep), running, no_log(shop)).code == 0


def test_a_task_that_ecs_forgot_ended_as_nobody_knows(shop: Shop, clock: Clock, client: Any):
    running = started(shop, client)
    shop.endpoint.cloud.account(ACCOUNT).one_offs.clear()
    exited = follow(FollowResources(client, lambda _event: None, clock, clock.sleep), running, no_log(shop))
    assert (exited.code, exited.began, exited.reason) == (None, True, "ECS does not know the task any more")


def test_following_ends_where_sleeping_raises_and_the_task_goes_on(shop: Shop, clock: Clock, client: Any):
    script(shop, lasts_s=600)

    def interrupted(_seconds: float) -> None:
        raise InterruptedError

    with pytest.raises(AwsError, match="goes on: unforeseen InterruptedError"):
        follow(FollowResources(client, lambda _event: None, clock, interrupted), started(shop, client), no_log(shop))
    assert not one_off(shop).stopped


def test_a_stopped_task_is_seen_to_its_end(shop: Shop, clock: Clock, client: Any):
    script(shop, lasts_s=600)
    resources, running = FollowResources(client, lambda _event: None, clock, clock.sleep), started(shop, client)
    exited = stop(resources, running, no_log(shop), "x" * 300, within_s=10)
    assert exited is not None and (exited.code, exited.reason) == (137, "x" * 255)


def test_a_task_that_takes_its_time_to_stop_is_left_to_ecs(shop: Shop, clock: Clock, client: Any):
    script(shop, lasts_s=600)
    resources, running = FollowResources(client, lambda _event: None, clock, clock.sleep), started(shop, client)
    shop.endpoint.fault = between(clock, 0, 10_000, GONE)
    assert stop(resources, running, no_log(shop), "enough", within_s=10) is None
    assert clock.passed_s == pytest.approx(10)


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
