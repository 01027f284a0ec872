"""A family's registered revisions, newest first, and no more of them than are asked for."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploytasks.aws import ecs, tags
from tests import clients
from tests.cloud.accounts import Account
from tests.cloud.ecs_definitions import register
from tests.cloud.endpoint import Endpoint
from tests.given import target

TARGET = target(family="shop-prod-api")


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(latency_s=0) as running:
        yield running


@pytest.fixture
def client(endpoint: Endpoint) -> Any:
    return clients.client("ecs", endpoint.url)


@pytest.fixture
def account(endpoint: Endpoint) -> Account:
    return endpoint.cloud.account("012345678922")


def add(account: Account, count: int = 1, family: str = TARGET.family, **kept: str) -> None:
    for _ in range(count):
        ask = {"family": family, "containerDefinitions": [{"name": "api", "image": "x"}]}
        register(account, {**ask, "tags": [{"key": "team", "value": "shop"}, *tags.to_ecs(kept)]})


def numbers(client: Any) -> list[int]:
    return [int(arn.rpartition(":")[2]) for arn in ecs.revision_arns(client, TARGET)]


def test_they_come_newest_first_over_all_pages(client: Any, account: Account, endpoint: Endpoint):
    add(account, 203)
    assert numbers(client) == list(range(203, 0, -1))
    assert endpoint.operations() == {"ListTaskDefinitions": 3}


def test_a_page_that_is_not_needed_is_not_asked_for(client: Any, account: Account, endpoint: Endpoint):
    add(account, 203)
    assert len(list(islice(ecs.revision_arns(client, TARGET), 100))) == 100
    assert endpoint.operations() == {"ListTaskDefinitions": 1}


def test_those_of_other_families_and_deregistered_ones_are_left_out(client: Any, account: Account):
    add(account, 3)
    add(account, 2, TARGET.family + "-canary")
    client.deregister_task_definition(taskDefinition=f"{TARGET.family}:2")
    assert numbers(client) == [3, 1]


def test_a_family_that_was_never_registered_has_none(client: Any):
    assert numbers(client) == []


def test_the_newest_is_the_newest_active_one_of_the_very_family(client: Any, account: Account, endpoint: Endpoint):
    add(account, 3, by="us")
    add(account, 4, TARGET.family + "-canary")
    client.deregister_task_definition(taskDefinition=f"{TARGET.family}:3")
    endpoint.calls.clear()
    found = ecs.newest(client, TARGET)
    assert found and (found.arn.rpartition("/")[2], dict(found.record)) == (f"{TARGET.family}:2", {"by": "us"})
    assert found == ecs.revision(client, TARGET, found.arn)
    assert endpoint.operations() == {"DescribeTaskDefinition": 2}


def test_there_is_no_newest_where_none_was_registered_or_all_were_deregistered(client: Any, account: Account):
    assert ecs.newest(client, TARGET) is None
    add(account)
    client.deregister_task_definition(taskDefinition=f"{TARGET.family}:1")
    assert ecs.newest(client, TARGET) is None


def test_a_deregistered_revision_is_none_even_where_an_emulator_describes_it_for_the_family(
    client: Any, account: Account
):
    add(account)
    client.deregister_task_definition(taskDefinition=f"{TARGET.family}:1")
    assert ecs.newest(client, target(family=f"{TARGET.family}:1")) is None


def test_a_revision_tells_what_our_tags_on_it_record_and_when_it_was_registered(client: Any, account: Account):
    add(account, release="prod-20260101T000000Z", by="Zoë <zoë@office>")
    (arn,) = ecs.revision_arns(client, TARGET)
    found = ecs.revision(client, TARGET, arn)
    assert (found.arn, dict(found.record)) == (arn, {"release": "prod-20260101T000000Z", "by": "Zoë <zoë@office>"})
    assert found.registered_at is not None


@pytest.mark.parametrize("wrong", [{"maxResults": 0}, {"maxResults": 101}, {"sort": "NEWEST"}])
def test_the_endpoint_keeps_to_the_limits_of_aws(client: Any, wrong: dict[str, Any]):
    with pytest.raises(ClientError, match="InvalidParameterException"):
        client.list_task_definitions(**wrong)
