"""What is read from AWS: in pages and batches, through retries, with credentials that refresh."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Semaphore
from typing import Any

import pytest
from botocore.errorfactory import ClientExceptionsFactory
from botocore.model import ServiceModel

from deploytasks.aws import ecs, tasks
from deploytasks.aws.botocore_session import loader
from deploytasks.aws.session import Clients
from deploytasks.commands import observe as observing
from deploytasks.concurrency import each
from deploytasks.errors import AwsError
from deploytasks.model import Access, Author, Deployment, Environment, Live, Reading, Target
from deploytasks.service_models import JsonFiles, _whole_model
from deploytasks.template import shape
from deploytasks.template.render import Renderer
from tests.cloud.accounts import AwsError as Answered
from tests.cloud.accounts import Call
from tests.cloud.ecs_definitions import register
from tests.cloud.ecs_rollouts import add_task, open_service, settle, start
from tests.cloud.endpoint import Endpoint
from tests.cloud.world import IMAGE, World, tenant_account
from tests.given import project

ACCESS = Access(tenant_account(1), "us-east-1", role=f"arn:aws:iam::{tenant_account(1)}:role/deploy")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint(World(tenants=2), latency_s=0) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        yield endpoint


def target(ecs_service: str = "api", access: Access = ACCESS, cluster: str = "t1-prod") -> Target:
    return Target(
        Environment("t1", "prod"),
        ecs_service,
        {ecs_service: IMAGE},
        access,
        cluster,
        ecs_service,
        f"shop-t1-prod-{ecs_service}",
    )


def add_service(cloud: Endpoint, name: str, desired: int = 1) -> None:
    account = cloud.cloud.account(tenant_account(1))
    service = open_service(account, account.clusters["t1-prod"], name, desired)
    start(account, service, account.families["shop-t1-prod-api"][0]).ends_at = 0.0
    settle(account, service)


def observe(clients: Clients, targets: list[Target], *, reading: Reading, newest: bool = False) -> tuple[Live, ...]:
    return observing.observe(clients, targets, renderer=Renderer(project(Path())), reading=reading, newest=newest)


def client(clients: Clients | None = None) -> Any:
    return (clients or Clients(Author("somebody"))).of("ecs", ACCESS)


def test_services_are_described_ten_a_call(cloud: Endpoint):
    for number in range(23):
        add_service(cloud, f"s{number}")
    wanted = [target(f"s{number}") for number in range(23)]
    lives = observe(Clients(Author("x")), wanted, reading="none")
    assert [live.target for live in lives] == wanted and all(live.exists for live in lives)
    assert cloud.operations()["DescribeServices"] == 3


def test_tasks_are_listed_in_pages_and_described_a_hundred_a_call(cloud: Endpoint):
    add_service(cloud, "big", desired=250)
    found = tasks.tasks_of(client(), target("big"))
    assert len({task["taskArn"] for task in found}) == 250
    assert (cloud.operations()["ListTasks"], cloud.operations()["DescribeTasks"]) == (3, 3)


def test_only_our_containers_count(cloud: Endpoint):
    sidecar = {"image": "public.ecr.aws/x/envoy:v1", "imageDigest": "sha256:e"}
    lookalike = {"image": f"{IMAGE}-admin:v1", "imageDigest": "sha256:f"}
    ours = {"image": f"{IMAGE}@sha256:a", "imageDigest": "sha256:a"}
    assert tasks.task_digests([{"containers": [sidecar, lookalike, ours]}], IMAGE, "dev") == ("sha256:a",)


def test_a_service_that_is_not_there_is_no_complaint_but_a_fact(cloud: Endpoint):
    (live,) = observe(Clients(Author("x")), [target("nope")], reading="none")
    assert (live.exists, live.complaint) == (False, None)


RUNS = "shop-t1-prod-api:1"
NEWEST = [
    (RUNS, {"newest": True}, RUNS, ["shop-t1-prod-api"]),
    (RUNS, {}, "", [RUNS]),
    ("shop-t1-prod-api:2", {"newest": True}, "shop-t1-prod-api:2", ["shop-t1-prod-api", RUNS]),
    ("", {"newest": True}, "", ["shop-t1-prod-api", RUNS]),
]
"""The family's newest ACTIVE revision, what is asked for, what is found, and which definitions are described."""


@pytest.mark.parametrize(("there", "asked", "found", "described"), NEWEST)
def test_the_running_definition_is_described_only_where_it_is_not_the_newest_revision(
    cloud: Endpoint, there: str, asked: dict[str, bool], found: str, described: list[str]
):
    account, names = cloud.cloud.account(tenant_account(1)), list[str]()
    if there != RUNS:
        later = register(account, {**account.families["shop-t1-prod-api"][0].members})
        later.members["status"] = "ACTIVE" if there else "INACTIVE"
        account.families["shop-t1-prod-api"][0].members["status"] = later.members["status"]
    cloud.fault = lambda call: names.append(call.ask["taskDefinition"]) if "taskDefinition" in call.ask else None
    (live,) = observe(Clients(Author("x")), [target()], reading="none", **asked)
    assert [name.rpartition("/")[2] for name in names] == described
    assert (live.newest.arn.rpartition("/")[2] if live.newest else "") == found
    assert live.primary and live.definition and live.definition["taskDefinitionArn"] == live.primary.revision


def test_one_account_that_is_shut_hides_nothing_of_the_others(cloud: Endpoint):
    cloud.fault = lambda call: Answered("AccessDenied", "no") if shut(call) else None

    def shut(call: Call) -> bool:
        return call.operation == "AssumeRole" and tenant_account(2) in call.ask["RoleArn"]

    other = Access(tenant_account(2), "us-east-1", role=f"arn:aws:iam::{tenant_account(2)}:role/deploy")
    mine, theirs = observe(Clients(Author("x")), [target(), target("api", other)], reading="none")
    assert mine.exists and mine.complaint is None
    assert "AssumeRole: AccessDenied: no" in str(theirs.complaint)
    assert theirs.error_code == "AccessDenied"


@pytest.mark.parametrize("operation", ["DescribeServices", "DescribeTaskDefinition", "ListTasks", "DescribeTasks"])
def test_a_target_that_may_not_be_read_has_awss_own_code(cloud: Endpoint, operation: str):
    cloud.fault = lambda call: Answered("AccessDeniedException", "no") if call.operation == operation else None
    (live,) = observe(Clients(Author("x")), [target()], reading="all")
    assert (live.error_code, f"{operation}: AccessDeniedException" in str(live.complaint)) == (
        "AccessDeniedException",
        True,
    )


def test_a_target_is_never_read_in_another_account_than_its_files(cloud: Endpoint):
    wrong = Access("999999999999", "us-east-1", role=ACCESS.role)
    (live,) = observe(Clients(Author("x")), [target("api", wrong)], reading="none")
    assert f"the credentials belong to account {tenant_account(1)}, the file says 999999999999" in str(live.complaint)
    assert cloud.operations()["DescribeServices"] == 0


@pytest.fixture
def nothing_read() -> Iterator[None]:
    """No data of botocore is known yet."""
    caches = (loader, _whole_model, shape.model)
    for known in caches:
        known.cache_clear()
    yield
    for known in caches:
        known.cache_clear()


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_read")
def test_two_hundred_accounts_do_not_load_the_models_two_hundred_times(cloud: Endpoint, monkeypatch):
    loaded: Counter[str] = Counter()
    load = JsonFiles.load_file
    monkeypatch.setattr(JsonFiles, "load_file", lambda self, path: loaded.update([path]) or load(self, path))
    clients = Clients(Author("x"))
    for number in range(1, 201):
        account = tenant_account(number)
        clients.of("ecs", Access(account, "us-east-1", role=f"arn:aws:iam::{account}:role/deploy"))
    shape.model()  # what checks templates reads the same
    assert max(count for path, count in loaded.items() if "/ecs/" in path) == 1


@pytest.mark.usefixtures("nothing_read")
def test_of_botocores_four_hundred_folders_only_those_asked_for_are_looked_into(cloud: Endpoint, monkeypatch):
    listed: list[str] = []
    real = os.listdir
    monkeypatch.setattr("botocore.loaders.os.listdir", lambda path: listed.append(str(path)) or real(path))
    Clients(Author("x")).of("ecs", ACCESS)
    shape.model()
    assert {Path(path).name for path in listed} <= {"data", "models", "ecs", "sts"}


def test_one_thread_at_a_time_creates_the_exception_classes(cloud: Endpoint, monkeypatch):
    made = ClientExceptionsFactory.create_client_exceptions
    inside, seen = Semaphore(), []

    def create(self: ClientExceptionsFactory, model: ServiceModel) -> Any:
        seen.append(inside.acquire(blocking=False))
        Event().wait(0.02)
        inside.release()
        return made(self, model)

    monkeypatch.setattr(ClientExceptionsFactory, "create_client_exceptions", create)
    each(lambda number: Clients(Author("x")).of("ecs", ACCESS).exceptions, range(4))
    assert seen == [True] * 4


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", taken.append)
    return taken


def failing(cloud: Endpoint, operation: str, times: int, error: Answered) -> None:
    left = iter([error] * times)
    cloud.fault = lambda call: next(left, None) if call.operation == operation else None


@pytest.mark.parametrize(
    "error",
    [
        Answered("ThrottlingException", "Rate exceeded"),
        Answered("ServerException", "oops", 500),
        Answered("ServiceUnavailable", "oops", 503),
    ],
)
def test_throttling_and_server_errors_are_retried(cloud: Endpoint, naps: list[float], error: Answered):
    failing(cloud, "DescribeServices", 3, error)
    (live,) = observe(Clients(Author("x")), [target()], reading="none")
    assert live.exists and len(naps) == 3


def test_throttling_without_end_is_told_as_what_it_is(cloud: Endpoint, naps: list[float]):
    failing(cloud, "DescribeServices", 99, Answered("ThrottlingException", "Rate exceeded"))
    with pytest.raises(AwsError) as caught:
        ecs.describe(client(), "t1-prod", ["api"])
    assert cloud.operations()["DescribeServices"] == 10
    assert "AWS kept throttling" in str(caught.value)


def test_two_registrations_of_one_family_that_meet_are_tried_again(cloud: Endpoint, naps: list[float]):
    failing(cloud, "RegisterTaskDefinition", 2, Answered("ClientException", "Too many concurrent attempts to create"))
    request = {"family": "f", "containerDefinitions": [{"name": "api", "image": "i", "memory": 64}]}
    assert ecs.register(client(), target(), request, {}).endswith("task-definition/f:1")
    assert len(naps) == 2


def test_any_other_client_exception_is_not(cloud: Endpoint, naps: list[float]):
    failing(cloud, "RegisterTaskDefinition", 1, Answered("ClientException", "No."))
    with pytest.raises(AwsError, match="ClientException: No"):
        ecs.register(client(), target(), {"family": "f", "containerDefinitions": []}, {})
    assert naps == []


def test_assumed_credentials_refresh_once_they_have_ended(cloud: Endpoint):
    cloud.cloud.session_s = 0
    ecs_client = client()
    cloud.cloud.session_s = 3600
    for _ in range(2):
        ecs_client.describe_services(cluster="t1-prod", services=["api"])
    assert cloud.operations()["AssumeRole"] == 2


def test_the_session_of_an_assumed_role_is_named_after_who_acts(cloud: Endpoint):
    asked: list[Any] = []
    cloud.fault = lambda call: asked.append(call.ask) if call.operation == "AssumeRole" else None
    client(Clients(Author("Ann Ö. <ann@example.com>")))
    assert asked[0]["RoleSessionName"] == "deploytasks-Ann--.--ann@example.com-"


def test_stopped_tasks_of_our_deployment_tell_why_and_their_last_lines(cloud: Endpoint):
    account = cloud.cloud.account(tenant_account(1))
    service = account.clusters["t1-prod"].services["api"]
    deployment = start(account, service, account.families["shop-t1-prod-api"][0])
    deployment.ends_at = float("inf")
    add_task(account, service, deployment, 0)
    crashed = list(account.clusters["t1-prod"].tasks.values())[-1]
    crashed.status = "STOPPED"
    dead = tasks.dead_tasks(
        client(), lambda _: None, target(), Deployment(deployment.id, "PRIMARY", "", deployment.revision)
    )
    assert [each.id for each in dead] == [crashed.arn.rsplit("/", 1)[-1]]
