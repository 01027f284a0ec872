"""Rollouts carried out over many tenants at once, against an endpoint that answers as AWS does."""

import threading
from dataclasses import dataclass
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError
from msgspec.structs import replace

from deploytasks import rollout as rollouts
from deploytasks.aws import ecs
from deploytasks.aws.errors import translated
from deploytasks.aws.session import Clients
from deploytasks.errors import Interrupted
from deploytasks.model import Author, Deployment, DesiredImage, Environment, Event, Plan, Progress, Rollout
from deploytasks.model.plans import Steps
from deploytasks.report.results import result_json
from deploytasks.rollout import follow, waves
from deploytasks.rules.verdict import Verdict
from tests import given
from tests.cloud.accounts import AwsError, Call
from tests.cloud.world import tenant_account
from tests.given import OLD
from tests.rollouts import (
    BREAKER,
    DIES,
    IMAGE,
    TIER,
    carry_out,
    container,
    digest_of,
    fated,
    is_look,
    replaced_once_seen,
    rollout,
    service,
    target,
)


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


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("rollback", "outcome"), [(True, "rolled back"), (False, "failed")])
def test_a_tripped_circuit_breaker_is_never_success(cloud, clock, rollback, outcome, native):
    cloud.cloud.native = native
    service(cloud, 1).configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": rollback}}
    fated(cloud, {1: DIES})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), restore=False)
    assert result.outcome == outcome
    assert "tasks failed to start" in result.detail
    assert {task.exits for task in result.tasks} == {("api: exit 3 OOM",)}
    assert result.tasks[0].log == ("no database",)


def test_somebody_elses_deployment_supersedes_ours(cloud, clock):
    replaced_once_seen(cloud, 1)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "superseded"


def test_a_rollout_that_never_ends_times_out_and_says_that_it_goes_on(cloud, clock):
    cloud.cloud.rollout_s = float("inf")
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=replace(TIER, timeout_s=120))
    assert (result.outcome, 120 <= result.duration_s < 140) == ("timed out", True)
    assert "it goes on at AWS" in result.detail


def test_tasks_that_run_another_digest_are_a_failure_that_names_both(cloud, clock):
    wrong = replace(rollout(cloud, 1).desired, digest="sha256:" + "9" * 64)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1, desired=wrong),))
    assert result.outcome == "failed"
    assert wrong.digest in result.detail and digest_of(cloud, "prod") in result.detail


def test_a_further_image_that_is_not_the_desired_one_is_named(cloud, clock):
    ordinary, ran, wanted = rollout(cloud, 1), digest_of(cloud, OLD), "sha256:" + "9" * 64
    proxy = {**container(f"{IMAGE}@{ran}"), "name": "proxy"}
    request = {**ordinary.request, "containerDefinitions": [*ordinary.request["containerDefinitions"], proxy]}
    desired = replace(ordinary.desired, uses=(DesiredImage("nginx", "nginx", "b" * 40, wanted),))
    images = {**ordinary.images, "nginx": f"{IMAGE}@{ran}"}
    there = target(1, images={"api": IMAGE, "nginx": IMAGE})
    made = rollout(cloud, 1, target=there, request=request, desired=desired, images=images)
    (result,), _ = carry_out(cloud, clock, (made,))
    assert (result.outcome, result.digest) == ("failed", ordinary.desired.digest)
    assert f"its tasks run {ran} of nginx, and not {wanted}" in result.detail


def test_zero_desired_is_deployed_and_counted(cloud, clock):
    service(cloud, 1).desired = 0
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, result.desired) == ("deployed", 0)
    assert result_json(result)["detail"] == "0 desired: nothing proves that it starts"


def test_a_failed_wave_stops_the_next(cloud, clock):
    service(cloud, 1).configuration = BREAKER
    fated(cloud, {1: DIES})
    results, _ = carry_out(cloud, clock, (rollout(cloud, 1),), (rollout(cloud, 2),))
    assert [each.outcome for each in results] == ["rolled back", "not attempted"]
    assert cloud.calls[tenant_account(2), "UpdateService"] == 0


def test_on_failure_continue_goes_on_to_the_next_wave(cloud, clock):
    service(cloud, 1).configuration = BREAKER
    fated(cloud, {1: DIES})
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


def test_what_is_not_followed_begins_at_once(cloud, clock, monkeypatch: pytest.MonkeyPatch):
    all_six, update = threading.Barrier(6), ecs.update

    def met(*given: Any) -> Any:
        all_six.wait(30)
        return update(*given)

    monkeypatch.setattr(ecs, "update", met)
    listed = tuple(rollout(cloud, n) for n in range(1, 7))
    results, _ = carry_out(cloud, clock, listed, tier=replace(TIER, parallel=1), wait=False)
    assert [each.outcome for each in results] == ["started"] * 6


@pytest.mark.parametrize(("steps", "wait"), [(None, True), (Steps("x", (("migrate",),)), False)])
def test_what_is_followed_or_has_steps_begins_as_the_tier_allows(cloud, steps: Steps | None, wait: bool):
    plan = Plan(replace(TIER, parallel=2), waves=((rollout(cloud, 1), rollout(cloud, 2, steps=steps)),))
    assert waves._at_once(plan, wait=wait) == 2


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


def test_ctrl_c_while_its_begin_is_told_names_it_as_going_on(cloud, clock):
    def tell(event: Event) -> None:
        if isinstance(event, Progress):
            raise KeyboardInterrupt

    resources = rollouts.Resources(Clients(Author("somebody")), tell, clock, clock.sleep)
    with pytest.raises(Interrupted, match="its rollout goes on at AWS"):
        rollouts.carry_out(Plan(TIER, waves=((rollout(cloud, 1),),)), resources)


def test_a_poll_that_fails_now_and_then_is_no_failure(cloud, clock):
    failures = iter([True, True, False, True])

    def shaky(call: Call) -> AwsError | None:
        bad = is_look(cloud, call) and next(failures, False)
        return AwsError("AccessDeniedException", "not now") if bad else None

    cloud.fault = shaky
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "deployed"


def test_a_rollout_that_can_no_longer_be_seen_is_given_up_with_the_reason(cloud, clock):
    cloud.fault = lambda call: AwsError("AccessDeniedException", "gone") if is_look(cloud, call) else None
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "failed"
    assert "can no longer be seen" in result.detail


def test_twelve_services_of_one_cluster_are_polled_ten_at_a_time(cloud, clock):
    from tests.cloud.ecs_rollouts import open_service, settle, start

    account = cloud.cloud.account(tenant_account(1))
    cluster = account.clusters["t1-prod"]
    for n in range(12):
        added = open_service(account, cluster, f"s{n}", 1)
        start(account, added, account.families["shop-t1-prod-api"][0]).ends_at = 0.0
        settle(account, added)
    asked: list[int] = []
    cloud.fault = lambda call: asked.append(len(call.ask["services"])) if call.operation == "DescribeServices" else None
    of = [target(1, ecs_service=f"s{n}", name="api", environment=Environment(f"t{n}", "prod")) for n in range(12)]
    many = tuple(rollout(cloud, 1, target=each, live=None) for each in of)
    results, _ = carry_out(cloud, clock, many)
    assert {each.outcome for each in results} == {"deployed"}
    assert max(asked) <= 10


def unseen(cloud, clock, until_s: float):
    """DescribeServices fails until then, in a way that passes and that botocore does not try again by itself."""
    gone = AwsError("NotImplemented", "no", 501)
    return lambda call: gone if is_look(cloud, call) and clock.now < until_s else None


def test_a_lost_connection_is_waited_out(cloud, clock):
    cloud.fault = unseen(cloud, clock, 300)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, 300 <= result.duration_s < 320) == ("deployed", True)


def test_a_rollout_that_nobody_sees_until_the_tiers_timeout_is_timed_out_and_not_restored(cloud, clock):
    cloud.fault = unseen(cloud, clock, 10_000)
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=replace(TIER, timeout_s=120))
    assert (result.outcome, cloud.operations()["UpdateService"]) == ("timed out", 1)
    assert "can no longer be seen" in result.detail


def test_a_rollout_without_news_is_told_of_once_a_minute(cloud, clock):
    cloud.cloud.rollout_s = 300
    (result,), told = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "deployed"
    assert 5 <= len([event for event in told if isinstance(event, Progress)]) <= 7


@dataclass
class Refusing:
    """Clients whose every use fails with this code and status."""

    code: str
    status: int

    def of(self, *_asked: Any) -> Any:
        answer = {"Error": {"Code": self.code, "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": self.status}}
        with translated("prod/api"):
            raise ClientError(answer, "DescribeServices")  # type: ignore[arg-type]  # its other members are not read


def test_only_refusals_in_a_row_end_a_rollout():
    denied, gone = Refusing("AccessDeniedException", 400), Refusing("ServerException", 500)

    def looked(now: follow.UnderWay, *clients: Refusing) -> follow.UnderWay:
        for each in clients:
            (now,) = follow.poll([now], rollouts.Resources(cast(Any, each), lambda _event: None))
        return now

    began = Deployment("ecs-svc/1", "PRIMARY", "IN_PROGRESS", "rev:1")
    planned = Rollout(given.target(), "update", "", given.desired(), "")
    now = follow.UnderWay(planned, began, 0.0, Verdict(None, "started"))
    now = looked(now, *4 * [denied], gone, *4 * [denied])
    assert (now.verdict.outcome, now.unseen) == (None, True)
    assert looked(now, denied).verdict.outcome == "failed"
