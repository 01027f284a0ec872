"""Many accounts share a client, and each call is signed, waits and is retried as its own account's."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deploytasks.aws.session import Clients
from deploytasks.model import Access, Author
from tests.cloud.accounts import AwsError, Call
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account

TENANTS = range(1, 9)


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint(World(tenants=len(TENANTS)), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        yield endpoint


@pytest.fixture
def clients(monkeypatch: pytest.MonkeyPatch) -> Clients:
    """Clients whose calls wait for no turn."""
    made = Clients(Author("x"))
    monkeypatch.setattr(made.stopped, "wait", lambda _: False)
    return made


def access(tenant: int) -> Access:
    account = tenant_account(tenant)
    return Access(account, "us-east-1", role=f"arn:aws:iam::{account}:role/deploy")


def ecs(clients: Clients, tenant: int) -> Any:
    return clients.of("ecs", access(tenant))


def task_arns(clients: Clients, tenant: int) -> list[str]:
    """The tasks of the account, by pages of one."""
    pages = (
        ecs(clients, tenant)
        .get_paginator("list_tasks")
        .paginate(cluster=f"t{tenant}-prod", PaginationConfig={"PageSize": 1})
    )
    return [arn for page in pages for arn in page["taskArns"]]


def test_all_accounts_of_a_session_use_one_client(cloud: Endpoint, clients: Clients):
    one, two = ecs(clients, 1), ecs(clients, 2)
    assert one is ecs(clients, 1) is not two
    assert one.meta.events is two.meta.events


def test_each_call_is_signed_with_its_own_accounts_keys_whichever_threads_call(cloud: Endpoint, clients: Clients):
    accounts = {tenant_account(tenant): f"t{tenant}-prod" for tenant in TENANTS}
    calls = list[Call]()
    cloud.fault = calls.append
    with ThreadPoolExecutor(8) as threads:
        turns = [tenant for _ in range(10) for tenant in TENANTS]
        found = list(threads.map(lambda tenant: task_arns(clients, tenant), turns))
    assert all(f":{tenant_account(tenant)}:" in arn for tenant, arns in zip(turns, found, strict=True) for arn in arns)
    listed = [(call.account, call.ask["cluster"]) for call in calls if call.operation == "ListTasks"]
    assert len(listed) >= len(turns) and all(accounts[account] == cluster for account, cluster in listed)


def test_a_call_that_is_nobodys_is_signed_with_nobodys_keys(cloud: Endpoint, clients: Clients):
    ecs(clients, 1).describe_services(cluster="t1-prod", services=["api"])
    shared = clients._session(access(1)).client("ecs", "us-east-1")
    cloud.calls.clear()
    with pytest.raises(LookupError):
        shared.describe_services(cluster="t1-prod", services=["api"])
    assert cloud.operations() == {}


def test_one_accounts_failures_use_up_no_other_accounts_retries(cloud: Endpoint, clients: Clients):
    ill = [tenant_account(1)]
    cloud.fault = lambda call: AwsError("ServerException", "ill", 500) if call.account in ill else None

    def attempts(tenant: int) -> int:
        cloud.calls.clear()
        with pytest.raises(ClientError, match="ill"):
            ecs(clients, tenant).list_tasks(cluster=f"t{tenant}-prod")
        return cloud.operations()["ListTasks"]

    counts = [attempts(1) for _ in range(15)]
    assert (counts[0], counts[-1]) == (10, 1)
    ill.append(tenant_account(2))
    assert attempts(2) == 10
    for _ in range(100):
        ecs(clients, 3).list_tasks(cluster="t3-prod")
    assert attempts(1) == 1, "another account's successes gave it retries"


def test_what_a_retried_call_took_of_the_quota_is_given_back_when_it_succeeds(cloud: Endpoint, clients: Clients):
    asked = list[str]()

    def every_second(call: Call) -> AwsError | None:
        asked.append(call.operation)
        return AwsError("ServerException", "ill", 500) if len(asked) % 2 else None

    list_tasks = ecs(clients, 1).list_tasks
    asked.clear()
    cloud.fault = every_second
    assert all("taskArns" in list_tasks(cluster="t1-prod") for _ in range(150))
    assert len(asked) == 300
