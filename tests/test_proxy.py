"""The proxy that breaks calls for other tests: each rule does what it says, and nothing else."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests import clients
from tests.cloud.accounts import REGISTRY_ACCOUNT
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account
from tests.proxy import BROKEN, DENIED, THROTTLED, Cut, Expire, Proxy, Rule, Stale, Stall, Watch

pytestmark = pytest.mark.waits
ONE, TWO = tenant_account(1), tenant_account(2)
Client = Callable[..., Any]


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint(World(tenants=2), latency_s=0) as endpoint:
        yield endpoint


@pytest.fixture
def proxy(endpoint: Endpoint) -> Iterator[Proxy]:
    with Proxy(endpoint) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: Proxy) -> Iterator[Client]:
    opened = []

    def make(service: str = "ecs", account: str = ONE, token: str | None = None) -> Any:
        opened.append(clients.client(service, proxy.url, account, token=token, read_timeout=0.2))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def look(ecs: Any, cluster: str = "t1-prod") -> Any:
    return ecs.describe_services(cluster=cluster, services=["api"])["services"][0]


def code_of(ask: Callable[..., Any], *given: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ask(*given)
    return str(caught.value.response["Error"]["Code"])


def test_what_no_rule_is_about_goes_through_and_is_written_down_in_order(proxy: Proxy, client: Client):
    assert look(client())["serviceName"] == "api"
    client("ecr", REGISTRY_ACCOUNT).describe_repositories()
    assert [(each.call.account, each.call.operation) for each in proxy.seen] == [
        (ONE, "DescribeServices"),
        (REGISTRY_ACCOUNT, "DescribeRepositories"),
    ]


@pytest.mark.parametrize("effect", [THROTTLED, BROKEN, DENIED])
def test_what_the_proxy_says_itself_never_reaches_aws(endpoint: Endpoint, proxy: Proxy, client: Client, effect: Any):
    proxy.rules = (Rule(effect, "DescribeServices"),)
    assert code_of(look, client()) == effect.code
    assert not endpoint.calls


def test_sts_is_refused_in_its_own_protocol(proxy: Proxy, client: Client):
    proxy.rules = (Rule(DENIED, "GetCallerIdentity"),)
    assert code_of(client("sts").get_caller_identity) == "AccessDeniedException"


def test_a_rule_spares_so_many_and_hits_so_many_of_one_account(proxy: Proxy, client: Client):
    proxy.rules = (Rule(DENIED, "DescribeServices", ONE, skip=1, times=1),)
    look(client())
    look(client(account=TWO), "t2-prod")
    assert code_of(look, client()) == "AccessDeniedException"
    look(client())


def test_a_role_is_asked_for_on_its_own_accounts_behalf(proxy: Proxy, client: Client):
    proxy.rules = (Rule(DENIED, account=TWO),)
    sts = client("sts", REGISTRY_ACCOUNT)
    sts.assume_role(RoleArn=f"arn:aws:iam::{ONE}:role/deploy", RoleSessionName="me")
    wanted = {"RoleArn": f"arn:aws:iam::{TWO}:role/deploy", "RoleSessionName": "me"}
    assert code_of(lambda: sts.assume_role(**wanted)) == "AccessDeniedException"
    assert len(proxy.calls("AssumeRole", ONE)) == 1


@pytest.mark.parametrize(("moment", "done"), [("before", 0), ("after", 1)])
def test_a_connection_is_cut_before_aws_hears_of_the_call_or_after_it_is_done(
    endpoint: Endpoint, proxy: Proxy, client: Client, moment: Any, done: int
):
    met: list[int] = []
    proxy.rules = (Rule(Cut(moment, lambda call: met.append(endpoint.operations()["DescribeServices"]))),)
    with pytest.raises(ConnectionClosedError):
        look(client())
    assert met == [done]
    assert endpoint.operations()["DescribeServices"] == done


def test_a_stall_for_ever_never_reaches_aws_and_one_for_a_while_does(endpoint: Endpoint, proxy: Proxy, client: Client):
    proxy.rules = (Rule(Stall(), times=1), Rule(Stall(0.3), times=1))
    for reached in (0, 1):
        with pytest.raises(ReadTimeoutError):
            look(client())
        time.sleep(0.3)
        assert endpoint.calls.total() == reached


def test_a_stall_that_is_waited_out_is_only_late(proxy: Proxy, client: Client):
    proxy.rules = (Rule(Stall(0.05)),)
    began = time.monotonic()
    look(client())
    assert time.monotonic() - began >= 0.05


def test_an_expired_session_stays_expired_and_a_new_one_is_not(proxy: Proxy, client: Client):
    proxy.rules = (Rule(Expire(), times=1),)
    assert code_of(look, client(token="old")) == "ExpiredTokenException"
    assert code_of(look, client(token="old")) == "ExpiredTokenException"
    look(client(token="new"))


def test_a_watcher_hinders_nothing(proxy: Proxy, client: Client):
    met: list[str] = []
    proxy.rules = (Rule(Watch(lambda call: met.append(call.operation))),)
    look(client())
    assert met == ["DescribeServices"]


def test_sts_hands_out_no_token_twice(endpoint: Endpoint, proxy: Proxy, client: Client):
    endpoint.cloud.session_s = 60
    sts = client("sts", REGISTRY_ACCOUNT)
    wanted = {"RoleArn": f"arn:aws:iam::{ONE}:role/deploy", "RoleSessionName": "me"}
    keys = [sts.assume_role(**wanted)["Credentials"] for _ in range(2)]
    assert keys[0]["SessionToken"] != keys[1]["SessionToken"]
    assert keys[0]["Expiration"].timestamp() < time.time() + 61


def test_a_stale_answer_is_the_one_before_and_the_call_is_none_the_less_made(
    endpoint: Endpoint, proxy: Proxy, client: Client
):
    proxy.rules = (Rule(Stale(), skip=1, times=1),)
    service = endpoint.cloud.account(ONE).clusters["t1-prod"].services["api"]
    seen = []
    for service.desired in (2, 3, 4):
        seen.append(look(client())["desiredCount"])
    assert (seen, endpoint.calls.total()) == ([2, 2, 4], 3)
