"""A program hands in sessions of its own: they sign in, and all that is promised of calls to AWS holds with them."""

from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import ClientError

from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError
from deploytasks.model import Access, Author, SessionFactory
from tests.cloud.accounts import REGISTRY_ACCOUNT, Call, key_for
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import World, tenant_account

ONE, TWO = tenant_account(1), tenant_account(2)
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


@pytest.fixture
def calls() -> list[Call]:
    return []


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, calls: list[Call]) -> Iterator[Endpoint]:
    """An AWS for whose accounts the environment has no credentials."""
    with Endpoint(World(tenants=2), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        for name in KEYS:
            monkeypatch.delenv(name, raising=False)
        endpoint.fault = calls.append
        yield endpoint


def session_of(account: str) -> boto3.Session:
    return boto3.Session(key_for(account), "secret", "token")


def clients(sessions: SessionFactory) -> Clients:
    return Clients(Author("x"), sessions=sessions)


def services(ecs: Any, tenant: int) -> Any:
    return ecs.describe_services(cluster=f"t{tenant}-prod", services=["api"])["services"]


def at(account: str, role: str | None = None) -> Access:
    return Access(account, "us-east-1", role=role)


def test_each_account_is_reached_with_the_session_that_is_returned_for_it(cloud: Endpoint, calls: list[Call]):
    made = clients(lambda access: session_of(access.account))
    for number, account in enumerate((ONE, TWO), 1):
        assert made.account(at(account)) == account
        assert services(made.of("ecs", at(account)), number)
    assert [(call.operation, call.account) for call in calls if call.operation != "GetCallerIdentity"] == [
        ("DescribeServices", ONE),
        ("DescribeServices", TWO),
    ]


def test_a_role_is_assumed_from_the_session_that_is_returned_for_it(cloud: Endpoint):
    session, asked = session_of(REGISTRY_ACCOUNT), list[Access]()
    made = clients(lambda access: asked.append(access) or session)
    accesses = [at(account, f"arn:aws:iam::{account}:role/deploy") for account in (ONE, TWO)]
    assert [made.account(access) for access in accesses] == [ONE, TWO]
    assert services(made.of("ecs", accesses[0]), 1)
    assert (asked, cloud.operations()["AssumeRole"]) == (accesses, 2)


def test_one_session_for_several_accounts_is_asked_once_who_it_is(cloud: Endpoint):
    session = session_of(ONE)
    made = clients(lambda access: session)
    assert made.account(at(ONE)) == made.account(at(TWO)) == ONE
    assert cloud.operations()["GetCallerIdentity"] == 1


def test_the_sessions_event_handlers_see_every_call_and_the_session_is_left_as_it_was(cloud: Endpoint):
    session, seen = session_of(ONE), list[str]()
    session.events.register("before-send", lambda event_name, **_: seen.append(event_name))
    made = clients(lambda access: session).of("ecs", at(ONE))
    assert services(made, 1)
    assert seen == ["before-send.sts.GetCallerIdentity", "before-send.ecs.DescribeServices"]
    theirs = session.client("ecs", region_name="us-east-1")
    assert not [each for each in type(theirs).__mro__ if each.__module__.startswith("deploytasks")]
    theirs.close()


def answering(body: bytes, length: int) -> SessionFactory:
    """Sessions whose ECS answers so, and which send nothing."""

    class Raw:
        def stream(self) -> list[bytes]:
            return [body]

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, 200, {"content-length": str(length)}, Raw())

    session = session_of(ONE)
    session.events.register("before-send.ecs", answer)
    return lambda access: session


def test_an_answer_of_an_event_handler_is_the_answer_and_nothing_is_sent(cloud: Endpoint):
    assert services(clients(answering(b'{"services": []}', 16)).of("ecs", at(ONE)), 1) == []
    assert cloud.operations()["DescribeServices"] == 0


def test_an_answer_that_is_cut_is_asked_for_again_and_then_an_error(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch):
    naps = list[float]()
    monkeypatch.setattr("botocore.endpoint.time.sleep", naps.append)
    with pytest.raises(ClientError, match="16 of its 20 bytes came"):
        services(clients(answering(b'{"services": []}', 20)).of("ecs", at(ONE)), 1)
    assert naps


@pytest.mark.parametrize(
    ("sessions", "why"),
    [
        (lambda access: boto3.Session(), "Unable to locate credentials"),
        (lambda access: {}["vault"], "KeyError"),
        (lambda access: boto3.Session(profile_name="nobody"), "nobody"),
    ],
    ids=["without credentials", "that can't be made", "of an unknown profile"],
)
def test_a_session_is_refused_with_its_account_and_what_to_do(
    cloud: Endpoint, monkeypatch: pytest.MonkeyPatch, sessions: SessionFactory, why: str
):
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AwsError, match=why) as caught:
        clients(sessions).account(at(ONE))
    assert f"account {ONE}" in str(caught.value) and caught.value.complaints[0].to_do
