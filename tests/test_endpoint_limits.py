"""The endpoint throttles as AWS publishes it, in each account by itself, and only where it is told to."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cloud.endpoint import Endpoint
from tests.cloud.limits import BUCKETS
from tests.cloud.world import IMAGE, SERVICE, World, tenant_account
from tests.test_endpoint import CLUSTER, ONE, TWO, client_of, error_of, next_revision, over_http

pytestmark = pytest.mark.slow


class Stand:
    """Two tenants with accounts of their own, and a clock that moves only when told to."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint, self.now = endpoint, 4_000_000_000.0
        endpoint.cloud.clock = lambda: self.now
        self.one, self.two = client_of(endpoint, "ecs", ONE), client_of(endpoint, "ecs", TWO)

    def describe(self, times: int) -> None:
        for _ in range(times):
            self.one.describe_task_definition(taskDefinition="shop-t1-prod-api:1")


@pytest.fixture
def stand() -> Iterator[Stand]:
    with Endpoint(World(tenants=2), latency_s=0, limited=True) as endpoint:
        made = Stand(endpoint)
        yield made
        made.one.close()
        made.two.close()


def test_a_burst_of_twenty_registers_and_then_one_a_second(stand: Stand) -> None:
    for _ in range(20):
        arn = next_revision(stand.one, f"{IMAGE}:prod")
    assert error_of(stand.one.deregister_task_definition, taskDefinition=arn) == "ThrottlingException"
    stand.now += 1
    stand.one.deregister_task_definition(taskDefinition=arn)
    assert error_of(next_revision, ecs=stand.one, image=f"{IMAGE}:prod") == "ThrottlingException"


def test_another_account_and_another_kind_of_call_have_tokens_of_their_own(stand: Stand) -> None:
    for _ in range(20):
        next_revision(stand.one, f"{IMAGE}:prod")
    next_revision(stand.two, f"{IMAGE}:prod")
    stand.describe(50)
    assert error_of(stand.one.describe_task_definition, taskDefinition="api:1") == "ThrottlingException"
    stand.one.describe_services(cluster=CLUSTER, services=[SERVICE])


def test_a_bucket_fills_up_at_its_own_pace_and_never_over_its_brim(stand: Stand) -> None:
    stand.describe(50)
    stand.now += 0.5
    stand.describe(10)
    assert error_of(stand.one.describe_task_definition, taskDefinition="api:1") == "ThrottlingException"
    stand.now += 3600
    stand.describe(50)
    assert error_of(stand.one.describe_task_definition, taskDefinition="api:1") == "ThrottlingException"


def test_the_throttled_are_counted_among_the_calls_and_by_themselves(stand: Stand) -> None:
    for _ in range(20):
        next_revision(stand.one, f"{IMAGE}:prod")
    error_of(next_revision, ecs=stand.one, image=f"{IMAGE}:prod")
    counted = over_http(f"{stand.endpoint.url}/calls")
    assert (counted["operations"], counted["throttled"]) == (
        {"RegisterTaskDefinition": 21},
        {"RegisterTaskDefinition": 1},
    )


def test_without_limits_nothing_is_throttled(stand: Stand) -> None:
    stand.endpoint.limited = False
    stand.describe(60)


def test_published_limits_are_those_of_the_documentation() -> None:
    found = {operation: (bucket.burst, bucket.per_s) for (_, operation), bucket in BUCKETS.items()}
    assert found["RegisterTaskDefinition"] == found["DeregisterTaskDefinition"] == (20, 1)
    assert found["UpdateService"] == found["CreateService"] == (50, 5)
    assert found["DescribeServices"] == found["ListTasks"] == (100, 20)
    assert found["DescribeTaskDefinition"] == (50, 20)
    assert found["PutImage"] == (10, 10)


def test_tenants_that_share_an_account_have_clusters_of_their_own_in_it() -> None:
    with Endpoint(World(tenants=3, shared=2), latency_s=0) as endpoint:
        clusters = {account.id: sorted(account.clusters) for account in endpoint.cloud.accounts.values()}
    tiers = ("dev", "prod", "staging")
    assert clusters[tenant_account(1)] == [f"t{n}-{tier}" for n in (1, 2) for tier in tiers]
    assert clusters[tenant_account(2)] == [f"t3-{tier}" for tier in tiers]


def test_all_of_this_can_be_asked_for_on_the_command_line() -> None:
    command = [sys.executable, "-m", "tests.cloud.endpoint", "--latency-ms", "0", "--tenants", "4"]
    command += ["--shared-accounts", "4", "--limits", "--rollout-s", "9", "--rollout-spread", "0.5"]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        rollouts: list[dict[str, Any]] = over_http(f"{url}/rollouts")
        process.terminate()
    assert {one["service"].split(":")[4] for one in rollouts} == {ONE}
    assert len({round(one["ended"] - one["began"], 2) for one in rollouts}) == 12
