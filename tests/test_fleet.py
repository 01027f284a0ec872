"""Rollouts carried out over many tenants at once, against an endpoint that answers as AWS does."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from benchmarks import cloud_ecs, cloud_rollouts
from benchmarks.cloud import AwsError, Call
from benchmarks.endpoint import Endpoint
from benchmarks.world import IMAGE, World, tenant_account, tenant_name
from deploytasks import fleet
from deploytasks.aws.session import Clients
from deploytasks.errors import Interrupted
from deploytasks.model import Access, Author, Environment, Event, Plan, Progress, Rollout, Target, Tier, Wish
from tests.given import OLD

TIER = Tier("prod", "immutable", parallel=20, timeout_s=600)


class Clock:
    """Time that passes only when somebody sleeps, or when a rollout is polled while others are at work."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.now, self._endpoint = 0.0, endpoint
        endpoint.cloud.clock = lambda: 1_000_000.0 + self.now

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Endpoint]:
    with Endpoint(World(tenants=12), latency_s=0, rollout_s=30) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint.url)
        yield endpoint


@pytest.fixture
def clock(cloud: Endpoint) -> Clock:
    return Clock(cloud)


def target(number: int, **changes: Any) -> Target:
    account = tenant_account(number)
    ordinary = Target(
        environment=Environment(tenant_name(number), "prod"),
        service="api",
        access=Access(account, "us-east-1", role=f"arn:aws:iam::{account}:role/deploy"),
        cluster=f"{tenant_name(number)}-prod",
        ecs_service="api",
        family=f"shop-{tenant_name(number)}-prod-api",
    )
    return replace(ordinary, **changes)


def digest_of(cloud: Endpoint, tag: str) -> str:
    return cloud.cloud.account("012345678922").repositories["api"].tags[tag]


def rollout(cloud: Endpoint, number: int, **changes: Any) -> Rollout:
    digest = digest_of(cloud, "prod")
    image = f"{IMAGE}@{digest}"
    request = {"family": f"f{number}", "containerDefinitions": [{"name": "api", "image": image, "memory": 512}]}
    wish = Wish("api", "api", "b" * 40, digest, "prod-20260203T040506Z")
    ordinary = Rollout(target(number), "update", "", wish, image, request, tags={"project": "shop"})
    return replace(ordinary, **changes)


def carry_out(cloud: Endpoint, clock: Clock, *waves: tuple[Rollout, ...], tier: Tier = TIER, **options: Any):
    told: list[Event] = []
    means = fleet.Means(Clients(Author("somebody")), {"api": IMAGE}, told.append, clock, clock.sleep)
    return fleet.carry_out(Plan(tier, waves=waves), means, **options), told


def service(cloud: Endpoint, number: int) -> Any:
    return cloud.cloud.account(tenant_account(number)).clusters[f"{tenant_name(number)}-prod"].services["api"]


def test_every_tenant_is_deployed_and_what_its_tasks_run_is_seen(cloud, clock):
    results, _ = carry_out(cloud, clock, tuple(rollout(cloud, n) for n in (1, 2, 3)))
    assert [(each.outcome, each.evidence) for each in results] == [("deployed", "seen")] * 3
    assert {each.digest for each in results} == {digest_of(cloud, "prod")}


def test_a_rollout_is_followed_to_its_end_and_not_much_longer(cloud, clock):
    (result,), told = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert 30 <= result.duration_s < 35
    assert any(isinstance(event, Progress) and event.desired == 2 for event in told)


def test_not_waiting_ends_with_started(cloud, clock):
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), wait=False)
    assert result.outcome == "started"


def test_one_tenants_refusal_neither_hides_nor_stops_the_others(cloud, clock):
    def refuse(call: Call) -> AwsError | None:
        denied = call.account == tenant_account(2) and call.operation == "UpdateService"
        return AwsError("AccessDeniedException", "no") if denied else None

    cloud.fault = refuse
    results, _ = carry_out(cloud, clock, tuple(rollout(cloud, n) for n in (1, 2, 3)))
    assert [each.outcome for each in results] == ["deployed", "failed", "deployed"]
    assert "UpdateService: AccessDeniedException: no" in results[1].detail


def fail_on_first_poll(cloud: Endpoint, number: int, *, rolled_back: bool) -> None:
    """The circuit breaker trips as soon as somebody looks at the rollout."""

    def trip(call: Call) -> None:
        if call.account == tenant_account(number) and call.operation == "DescribeServices":
            cloud.fault = None
            broken = service(cloud, number)
            ours, before = broken.deployments
            ours.state, ours.ends_at = "FAILED", float("inf")
            if rolled_back:
                ours.status, before.status, before.state = "ACTIVE", "PRIMARY", "COMPLETED"
                broken.deployments = [before, ours]

    cloud.fault = trip


@pytest.mark.parametrize(("rolled_back", "outcome"), [(True, "rolled back"), (False, "failed")])
def test_a_tripped_circuit_breaker_is_never_success(cloud, clock, rolled_back, outcome):
    fail_on_first_poll(cloud, 1, rolled_back=rolled_back)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == outcome


def test_somebody_elses_deployment_supersedes_ours(cloud, clock):
    from benchmarks.cloud_rollouts import start

    def replace_it(call: Call) -> None:
        if call.operation == "DescribeServices":
            cloud.fault = None
            account = cloud.cloud.account(call.account)
            start(account, service(cloud, 1), account.families["shop-t1-prod-api"][0])

    cloud.fault = replace_it
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "superseded"


def test_a_rollout_that_never_ends_times_out_and_says_that_it_goes_on(cloud, clock):
    cloud.cloud.rollout_s = float("inf")
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=replace(TIER, timeout_s=120))
    assert (result.outcome, 120 <= result.duration_s < 140) == ("timed out", True)
    assert "it goes on at AWS" in result.detail


def test_tasks_that_run_another_digest_are_a_failure_that_names_both(cloud, clock):
    wrong = replace(rollout(cloud, 1).wish, digest="sha256:" + "9" * 64)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1, wish=wrong),))
    assert result.outcome == "failed"
    assert wrong.digest in result.detail and digest_of(cloud, "prod") in result.detail


def test_zero_desired_is_deployed_and_said(cloud, clock):
    service(cloud, 1).desired = 0
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, result.detail) == ("deployed", "0 desired: nothing proves that it starts")


def test_a_failed_wave_stops_the_next(cloud, clock):
    fail_on_first_poll(cloud, 1, rolled_back=True)
    results, _ = carry_out(cloud, clock, (rollout(cloud, 1),), (rollout(cloud, 2),))
    assert [each.outcome for each in results] == ["rolled back", "not attempted"]
    assert cloud.calls[tenant_account(2), "UpdateService"] == 0


def test_on_failure_continue_goes_on_to_the_next_wave(cloud, clock):
    fail_on_first_poll(cloud, 1, rolled_back=True)
    going_on = replace(TIER, on_failure="continue")
    results, _ = carry_out(cloud, clock, (rollout(cloud, 1),), (rollout(cloud, 2),), tier=going_on)
    assert [each.outcome for each in results] == ["rolled back", "deployed"]


def test_no_more_roll_out_at_once_than_the_tier_allows(cloud, clock):
    under_way: set[str] = set()
    most = [0]
    lock = threading.Lock()

    def watch(call: Call) -> None:
        with lock:
            if call.operation == "UpdateService":
                under_way.add(call.account)
                most[0] = max(most[0], len(under_way))
            elif call.operation == "ListTasks":
                under_way.discard(call.account)

    cloud.fault = watch
    results, _ = carry_out(cloud, clock, tuple(rollout(cloud, n) for n in range(1, 7)), tier=replace(TIER, parallel=2))
    assert [each.outcome for each in results] == ["deployed"] * 6
    assert most[0] == 2


def test_an_update_sends_no_desired_count(cloud, clock):
    sent: list[Any] = []
    cloud.fault = lambda call: sent.append(call.ask) if call.operation == "UpdateService" else None
    carry_out(cloud, clock, (rollout(cloud, 1),), wait=False)
    assert set(sent[0]) == {"cluster", "service", "taskDefinition"}


def test_a_rollout_without_a_revision_is_recorded_on_the_service(cloud, clock):
    forced = rollout(cloud, 1, action="force", request=None, tags={"project": "shop", "commit": OLD})
    carry_out(cloud, clock, (forced,), wait=False)
    assert service(cloud, 1).tags["deploytasks:commit"] == OLD
    assert "deploytasks:at" in service(cloud, 1).tags


def test_ctrl_c_names_what_goes_on_at_aws(cloud, clock):
    def interrupt(_seconds: float) -> None:
        raise KeyboardInterrupt

    clock.sleep = interrupt
    with pytest.raises(Interrupted) as caught:
        carry_out(cloud, clock, (rollout(cloud, 1),))
    assert caught.value.code == 130
    assert "t1-prod/api: interrupted: its rollout goes on at AWS" in str(caught.value)


def test_a_poll_that_fails_now_and_then_is_no_failure(cloud, clock):
    failures = iter([True, True, False, True])

    def shaky(call: Call) -> AwsError | None:
        bad = call.operation == "DescribeServices" and next(failures, False)
        return AwsError("AccessDeniedException", "not now") if bad else None

    cloud.fault = shaky
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "deployed"


def test_a_rollout_that_can_no_longer_be_seen_is_given_up_with_the_reason(cloud, clock):
    cloud.fault = lambda call: (
        AwsError("AccessDeniedException", "gone") if call.operation == "DescribeServices" else None
    )
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "failed"
    assert "can no longer be seen" in result.detail


def test_twelve_services_of_one_cluster_are_polled_ten_at_a_time(cloud, clock):
    from benchmarks.cloud_rollouts import open_service, settle, start

    account = cloud.cloud.account(tenant_account(1))
    cluster = account.clusters["t1-prod"]
    for n in range(12):
        added = open_service(account, cluster, f"s{n}", 1)
        start(account, added, account.families["shop-t1-prod-api"][0]).ends_at = 0.0
        settle(account, added)
    asked: list[int] = []
    cloud.fault = lambda call: asked.append(len(call.ask["services"])) if call.operation == "DescribeServices" else None
    many = tuple(
        rollout(
            cloud, 1, target=target(1, ecs_service=f"s{n}", service="api", environment=Environment(f"t{n}", "prod"))
        )
        for n in range(12)
    )
    results, _ = carry_out(cloud, clock, many)
    assert {each.outcome for each in results} == {"deployed"}
    assert max(asked) <= 10


def test_a_strategy_that_waits_on_a_hook_is_paused_and_names_it(cloud, clock, monkeypatch):
    waits = {"lifecycleHookDetails": [{"hookId": "approve", "status": "AWAITING_ACTION", "targetType": "PAUSE"}]}
    monkeypatch.setitem(
        cloud_ecs.OPERATIONS, "DescribeServiceDeployments", lambda _account, _ask: {"serviceDeployments": [waits]}
    )
    as_it_is = cloud_rollouts.Service.serialise

    def blue_green(self: Any, *, with_tags: bool) -> str:
        members = json.loads(as_it_is(self, with_tags=with_tags))
        members["deploymentConfiguration"]["strategy"] = "BLUE_GREEN"
        return json.dumps(members | {"currentServiceDeployment": "arn:aws:ecs:us-east-1:1:service-deployment/c/api/1"})

    monkeypatch.setattr(cloud_rollouts.Service, "serialise", blue_green)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, result.detail) == ("paused", "waits on hook approve")
