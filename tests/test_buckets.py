"""The token buckets that keep us below AWS's published rates, one an account, region and group of operations."""

import threading
import time
from collections.abc import Iterator

import pytest
from msgspec.structs import replace

from deploytasks.aws.errors import translated
from deploytasks.aws.operations import OPERATIONS, Rate
from deploytasks.aws.rate_limits import Bucket
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.model import Access, Author
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_free_and_then_each_waits_for_its_own_turn():
    bucket = Bucket(Rate("x", 3, 2), Clock())
    assert [bucket.take() for _ in range(6)] == [0, 0, 0, 0.5, 1.0, 1.5]


def test_a_bucket_fills_again_and_never_over_its_burst():
    clock = Clock()
    bucket = Bucket(Rate("x", 2, 1), clock)
    assert [bucket.take() for _ in range(3)] == [0, 0, 1]
    clock.now += 60
    assert [bucket.take() for _ in range(3)] == [0, 0, 1]


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint(World(tenants=2), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        yield endpoint


def access(number: int) -> Access:
    account = tenant_account(number)
    return Access(account, "us-east-1", role=f"arn:aws:iam::{account}:role/deploy")


def limit(monkeypatch: pytest.MonkeyPatch, *operations: str) -> None:
    """From now on one call of these is free, and each further one waits for a hundred seconds."""
    for name in operations:
        row = replace(OPERATIONS["ecs", name], rate=Rate("x", 1, 0.01))
        monkeypatch.setitem(OPERATIONS, ("ecs", name), row)


def list_tasks(clients: Clients, number: int) -> float:
    """How long one call took."""
    began = time.monotonic()
    clients.of("ecs", access(number)).list_tasks(cluster=f"t{number}-prod")
    return time.monotonic() - began


def test_one_accounts_bucket_holds_nobody_else_back(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch):
    limit(monkeypatch, "ListTasks")
    clients = Clients(Author("somebody"))
    clients.of("ecs", access(1)), clients.of("ecs", access(2))
    waited = list[float]()
    monkeypatch.setattr(clients.stopped, "wait", waited.append)
    list_tasks(clients, 1)
    list_tasks(clients, 2)
    assert waited == []
    list_tasks(clients, 1)
    assert [0 < each <= 100 for each in waited] == [True]


def test_operations_of_one_group_share_their_bucket(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch):
    limit(monkeypatch, "ListTasks", "DescribeServices")
    clients, waited = Clients(Author("somebody")), list[float]()
    monkeypatch.setattr(clients.stopped, "wait", waited.append)
    clients.of("ecs", access(1)).describe_services(cluster="t1-prod", services=["api"])
    assert waited == []
    list_tasks(clients, 1)
    assert len(waited) == 1


def test_an_interruption_ends_the_waiting_for_a_turn(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch):
    limit(monkeypatch, "ListTasks")
    clients = Clients(Author("somebody"))
    list_tasks(clients, 1)
    threading.Timer(0.2, clients.stopped.set).start()
    with pytest.raises(AwsError, match="interrupted before AWS was asked"), translated("t1"):
        list_tasks(clients, 1)


def test_services_and_tasks_are_read_at_rates_of_their_own():
    services, listed, tasks = (
        OPERATIONS["ecs", name].rate for name in ("DescribeServices", "ListTasks", "DescribeTasks")
    )
    assert services != tasks == listed
    assert services and tasks
    assert (services.burst, services.refill_per_s) == (tasks.burst, tasks.refill_per_s) == (100, 20)
