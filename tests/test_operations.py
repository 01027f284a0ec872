"""An AWS operation is one row of one table."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.session import get_session
from msgspec.structs import replace

import deploytasks
from deploytasks.aws import botocore_session
from deploytasks.aws.botocore_session import SERVICES
from deploytasks.aws.errors import translated
from deploytasks.aws.operations import OPERATIONS, Operation, Rate
from deploytasks.aws.session import Clients
from deploytasks.errors import AwsError, Unlisted, contained
from deploytasks.model import Access, Author
from tests.cloud import endpoint
from tests.cloud.accounts import Account, Answer, Ask
from tests.cloud.endpoint import Endpoint
from tests.cloud.limits import BUCKETS
from tests.cloud.world import World, tenant_account
from tests.test_call_budget import budget

AWS = Path(deploytasks.__file__).parent / "aws"
SCALE = (AWS.parents[1] / "docs/scale.md").read_text()
READING = re.compile(r"Get|List|Describe|BatchGet|Filter|Assume")
ONE = tenant_account(1)
ACCESS = Access(ONE, "us-east-1", role=f"arn:aws:iam::{ONE}:role/deploy")
ASKED_SELDOM = {"ssm:GetParameter", "ssm:PutParameter"}
"""Asked of the registry alone: targets share the readings of the lock, and few parameters are written."""
BOTOCORES = {"CreateEndpoint"}
"""Operations of EventBridge that share their name with a method of botocore's, which is called instead."""
BY_BOTOCORE = {"AssumeRoleWithWebIdentity"}
"""What botocore calls by itself, to find credentials."""
NEW = replace(
    OPERATIONS["ecs", "ListTasks"], name="ListAttributes", answers=("attributes",), rate=Rate("attributes", 1, 0.01)
)


def names_in(file: Path) -> set[str]:
    """Every attribute and every text that stands in the file."""
    found = (getattr(node, "attr", getattr(node, "value", None)) for node in ast.walk(ast.parse(file.read_text())))
    return {name for name in found if isinstance(name, str)}


def services_of(file: Path) -> set[str]:
    """The services whose clients the file asks for: `clients.of("ecs", ...)`, or a partial of that."""
    return set(re.findall(r'\bclients\.of(?:\(|, )"(\w+)"', file.read_text()))


@cache
def model_of(service: str) -> Any:
    return get_session().get_service_model(service)


def test_every_operation_that_is_called_is_listed_and_every_one_that_is_listed_is_called():
    """A call in any file of aws/ that has no row fails here, and so does a row without a call."""
    written = {name for file in AWS.glob("*.py") for name in names_in(file)}
    known = ((service, name) for service in SERVICES for name in model_of(service).operation_names)
    called = {name for _, name in known if xform_name(name) in written} - BOTOCORES
    listed = {name for _, name in OPERATIONS}
    assert called - listed == set(), "add their rows to deploytasks/aws/operations.py"
    assert listed - called == BY_BOTOCORE, "remove their rows"


def test_every_service_that_is_asked_is_listed():
    assert {name for file in AWS.parent.rglob("*.py") for name in services_of(file)} <= SERVICES


def test_the_rows_are_in_order():
    assert list(OPERATIONS) == sorted(OPERATIONS)


@pytest.mark.parametrize("row", OPERATIONS.values(), ids=lambda row: row.action)
def test_a_row_agrees_with_botocores_model(row: Operation):
    model = model_of(row.service)
    operation = model.operation_model(row.name)
    assert set(row.answers) <= set(operation.output_shape.members if row.answers else ())
    assert not row.once or row.once in operation.input_shape.members
    assert row.writes is not bool(READING.match(row.name))


def test_what_ecs_calls_readonly_is_no_write():
    """Of these services ECS alone has a model that says so."""
    (version,) = Loader().list_api_versions("ecs", "service-2")
    told = Loader().load_service_model("ecs", "service-2", version)["operations"]
    rows = [row for row in OPERATIONS.values() if row.service == "ecs"]
    assert {row.name for row in rows if not row.writes} == {row.name for row in rows if told[row.name].get("readonly")}


def test_operations_of_one_name_have_the_same_answers():
    """Botocore's parsers are told an operation's name, and not its service."""
    rows = sorted(OPERATIONS.values(), key=lambda row: row.name)
    for name, same in groupby(rows, key=lambda row: row.name):
        assert len({row.answers for row in same}) == 1, name


def test_the_rates_are_those_at_which_aws_throttles_and_what_shares_a_bucket_there_shares_one_here():
    """The simulated AWS has them from the same documents, in a table of its own."""
    ours = {row.action: (row.rate.burst, row.rate.refill_per_s) for row in OPERATIONS.values() if row.rate}
    of_aws = {f"{service}:{name}": (each.burst, each.per_s) for (service, name), each in BUCKETS.items()}
    limited = of_aws.keys() & {row.action for row in OPERATIONS.values()} - ASKED_SELDOM
    assert ours == {action: of_aws[action] for action in limited}
    shared = {(row.rate, BUCKETS[row.service, row.name]) for row in OPERATIONS.values() if row.rate}
    assert len(shared) == len({rate for rate, _ in shared}) == len({bucket for _, bucket in shared})


def test_the_buckets_that_scale_md_shows_are_those_of_the_table():
    table = SCALE.partition("| bucket of one account |")[2].partition("\n\n")[0]
    shown = re.findall(r"^\| ([A-Z][\w, ]+) \| (\d+) \| (\d+) \|", table, re.MULTILINE)
    rows = {row.name: row.rate for row in OPERATIONS.values() if row.rate}
    named = [(rows.get(name), float(burst), float(a_s)) for names, burst, a_s in shown for name in names.split(", ")]
    limited = [(rate.burst, rate.refill_per_s) for rate, *_ in named if rate]
    assert limited == [(burst, a_s) for rate, burst, a_s in named if rate]
    assert len(limited) >= 6


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    """AWS, and clients that are made of the table as it is now."""
    with Endpoint(World(tenants=1), latency_s=0) as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL", aws.url)
        monkeypatch.setattr(botocore_session, "_MODELS", {})
        botocore_session.loader.cache_clear()
        yield aws
    botocore_session.loader.cache_clear()


@pytest.mark.parametrize("call", [lambda ecs: ecs.list_attributes(), lambda ecs: ecs.get_paginator("list_attributes")])
def test_a_call_without_a_row_is_refused_and_nothing_hides_it(cloud: Endpoint, call: Any):
    ecs = Clients(Author("x")).of("ecs", ACCESS)
    with pytest.raises(Unlisted) as caught, translated("t1-prod/api"):
        call(ecs)
    assert str(caught.value) == "ECS.list_attributes is not listed: add its row to deploytasks/aws/operations.py"
    with pytest.raises(AwsError, match=r"t1: unforeseen Unlisted: ECS\.list_attributes is not listed"), contained("t1"):
        call(ecs)


def test_nor_is_a_call_of_sts_whose_model_is_whole_since_botocore_itself_calls_more_of_it(cloud: Endpoint):
    sts = Clients(Author("x"))._sts(ACCESS)
    with pytest.raises(Unlisted, match=r"STS\.GetSessionToken is not listed"), translated("t1"):
        sts.get_session_token()
    assert cloud.operations() == {}
    assert sts.get_caller_identity()["Account"]


@pytest.mark.parametrize("service", sorted(SERVICES - {"sts"}))
def test_a_client_has_the_methods_of_its_rows_and_no_others(cloud: Endpoint, service: str):
    client = Clients(Author("x")).of(service, ACCESS)
    own = {name for of, name in OPERATIONS if of == service}
    assert set(client.meta.service_model.operation_names) == own
    assert {xform_name(name) for name in own} <= set(dir(client))


def list_attributes(account: Account, _ask: Ask) -> Answer:
    return {"attributes": [{"name": name} for name in account.clusters]}


@pytest.fixture
def waited() -> list[float]:
    """How long the calls waited for their turns, all of them without waiting."""
    return []


@pytest.fixture
def added(cloud: Endpoint, monkeypatch: pytest.MonkeyPatch, waited: list[float]) -> Clients:
    """Clients after one row more; AWS has the operation anyway."""
    monkeypatch.setitem(OPERATIONS, ("ecs", "ListAttributes"), NEW)
    monkeypatch.setitem(endpoint.SERVICES["ecs"], "ListAttributes", list_attributes)
    clients = Clients(Author("x"))
    monkeypatch.setattr(clients.stopped, "wait", waited.append)
    return clients


def test_a_row_is_a_method_with_a_rate(added: Clients, waited: list[float]):
    for _ in range(3):
        answer = added.of("ecs", ACCESS).list_attributes(targetType="container-instance")
        assert {"name": "t1-prod"} in answer["attributes"]
    assert len(waited) == 2


def test_a_row_says_what_an_answer_must_have(added: Clients, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
    monkeypatch.setitem(endpoint.SERVICES["ecs"], "ListAttributes", lambda _account, _ask: {})
    with pytest.raises(AwsError, match="the answer can't be read: it has no `attributes`"), translated("t1"):
        added.of("ecs", ACCESS).list_attributes(targetType="container-instance")


@pytest.mark.parametrize(
    ("row", "timeout_s"), [(NEW, 10), (replace(NEW, slow=True), None), (replace(NEW, writes=True), None)]
)
def test_a_row_that_reads_has_the_shorter_timeout_unless_it_is_slow(
    added: Clients, monkeypatch: pytest.MonkeyPatch, row: Operation, timeout_s: float | None
):
    monkeypatch.setitem(OPERATIONS, ("ecs", row.name), row)
    client, found = added.of("ecs", ACCESS), list[Any]()
    client.meta.events.register_last("before-call", lambda context, **_: found.append(context.get("read_timeout")))
    client.list_attributes(targetType="container-instance")
    assert found == [timeout_s]


def test_a_row_is_an_operation_that_a_budget_may_count(monkeypatch: pytest.MonkeyPatch):
    with pytest.raises(AssertionError, match="ListAttributes"):
        budget({"ListAttributes": 1}, 1)
    monkeypatch.setitem(OPERATIONS, ("ecs", "ListAttributes"), NEW)
    assert budget({}, 2, {"ListAttributes": 1}) == {"ListAttributes": 2}
