"""ECS's own service deployments: other strategies followed to their end, hooks waited on, continued and stopped."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from deploytasks.aws import service_deployments
from deploytasks.aws.session import Clients
from deploytasks.commands import continue_stop
from deploytasks.model import Access, Author, Deployment, Environment, Progress, Target
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_rollouts import start
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.rollouts import DIES, carry_out, fated, rollout, service

PAUSE = {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}


@pytest.mark.parametrize("strategy", ["BLUE_GREEN", "LINEAR", "CANARY"])
def test_another_strategy_is_followed_to_its_end_through_its_stages(cloud, clock, strategy):
    service(cloud, 1).configuration = {"strategy": strategy}
    (result,), told = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert (result.outcome, result.evidence) == ("deployed", "seen")
    states = [event.state for event in told if isinstance(event, Progress)]
    assert "scale up" in states and len(set(states)) > 2


def test_a_strategy_that_waits_on_a_hook_is_paused_and_names_it(cloud, clock):
    service(cloud, 1).configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [PAUSE]}
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "paused"
    assert result.detail.startswith("waits on hook post-test-traffic-shift-")
    assert cloud.operations()["StopServiceDeployment"] == 0


def test_a_blue_green_rollout_that_goes_back_is_rolled_back_with_its_reason(cloud, clock):
    configuration = {"strategy": "BLUE_GREEN", "deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    service(cloud, 1).configuration = configuration
    fated(cloud, {1: DIES})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "rolled back"
    assert result.detail.endswith("Back on shop-t1-prod-api:1.")


def test_a_rolling_deployment_asks_for_its_service_deployment_once_at_its_end(cloud, clock):
    carry_out(cloud, clock, (rollout(cloud, 1),))
    asked = cloud.operations()
    assert (asked["ListServiceDeployments"], asked["DescribeServiceDeployments"]) == (0, 1)


def test_one_that_somebody_aborted_is_a_failure_and_says_so(cloud, clock):
    service(cloud, 1).configuration = {"strategy": "BLUE_GREEN"}

    def abort(call):
        if call.operation == "DescribeServiceDeployments":
            cloud.fault = None
            record = service(cloud, 1).history[0]
            record.end("STOPPED", clock.now, "Service deployment was stopped by user.")

    cloud.fault = abort
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), restore=False)
    assert (result.outcome, result.detail) == ("failed", "Service deployment was stopped by user.")


def test_a_role_that_may_not_ask_for_service_deployments_still_follows(cloud, clock):
    service(cloud, 1).configuration = {"strategy": "BLUE_GREEN"}
    cloud.fault = lambda call: (
        AwsError("AccessDeniedException", "no") if call.operation == "ListServiceDeployments" else None
    )
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),))
    assert result.outcome == "deployed"


def client(cloud):
    account = tenant_account(1)
    access = Access(account, "us-east-1", role=f"arn:aws:iam::{account}:role/deploy")
    target = Target(Environment("t1", "prod"), "api", {"api": "api"}, access, "t1-prod", "api", "")
    return Clients(Author("x")).of("ecs", access), target


def begun(cloud, clock, number):
    """So many deployments of one service, a minute apart, oldest first, as DescribeServices shows them."""
    account, found = cloud.cloud.account(tenant_account(1)), list[Deployment]()
    for _ in range(number):
        clock.sleep(60)
        made = start(account, service(cloud, 1), account.families["shop-t1-prod-api"][0])
        found.append(Deployment(made.id, "PRIMARY", "", "", created_at=datetime.fromtimestamp(made.created_at, UTC)))
    return found


def test_ours_is_found_on_a_later_page_by_its_number(cloud, clock):
    ours, *_ = begun(cloud, clock, 130)
    told = service_deployments.of(*client(cloud), ours)
    assert told and told.is_of(ours)
    assert cloud.operations()["ListServiceDeployments"] == 2


def test_the_search_ends_where_ours_is_found_and_at_the_latest_after_so_many(cloud, clock, monkeypatch):
    first, *_, last = begun(cloud, clock, 130)
    assert service_deployments.of(*client(cloud), replace(last, created_at=first.created_at))
    monkeypatch.setattr(service_deployments, "_MOST_SEARCHED", 100)
    assert service_deployments.of(*client(cloud), first) is None
    assert cloud.operations()["ListServiceDeployments"] == 2


def test_without_its_number_ours_is_the_one_that_was_created_with_it_and_no_later_one(cloud, clock):
    first, second, _ = begun(cloud, clock, 3)
    of_another_number = replace(second, id="ecs-svc/1", created_at=second.created_at + timedelta(seconds=2))
    told = service_deployments.of(*client(cloud), of_another_number)
    assert told and told.is_of(second)
    between = replace(first, id="ecs-svc/1", created_at=first.created_at + timedelta(seconds=20))
    assert service_deployments.of(*client(cloud), between) is None


@pytest.fixture
def waiting(shop: Shop) -> Shop:
    """A release of which both tenants' rollouts wait on a hook."""
    for number in (1, 2):
        shop.service(number, "prod").configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [PAUSE]}
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"paused": 2})
    assert ran.summary["resume"] == (
        "to go on: inv deploy.continue prod\nto go back: inv deploy.stop prod\nto follow either: inv deploy.wait prod"
    )
    return shop


@pytest.mark.waits
def test_continue_lets_them_go_on_and_wait_follows_them_to_their_end(waiting: Shop):
    ran = waiting.inv("deploy.continue", "prod")
    assert ran.code == 0
    assert "t1-prod/api: goes on from hook post-test-traffic-shift-" in ran.stdout
    assert ran.stdout.endswith("to follow: inv deploy.wait prod\n")
    assert waiting.inv("deploy.wait", "prod").code == 0
    assert waiting.inv("deploy.continue", "prod").stdout == (
        "t1-prod/api: no rollout waits on a hook\nt2-prod/api: no rollout waits on a hook\n"
    )


@pytest.mark.waits
def test_whoever_waits_for_a_paused_rollout_is_told_what_continues_it(waiting: Shop):
    ran = waiting.inv("deploy.wait", "prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"paused": 2})
    assert ran.summary["resume"] == (
        "to go on: inv deploy.continue prod\nto go back: inv deploy.stop prod\nto follow either: inv deploy.wait prod"
    )


@pytest.mark.waits
def test_a_wave_behind_a_paused_one_is_not_called_failed_and_not_forgotten(shop: Shop):
    shop.edit("envs/t2.toml", "region", "wave = 2\nregion")
    shop.service(1, "prod").configuration = {"strategy": "BLUE_GREEN", "lifecycleHooks": [PAUSE]}
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"paused": 1, "not attempted": 1})
    assert ran.summary["results"][1]["detail"] == "a target of an earlier wave waits on its hook"
    assert ran.summary["resume"].startswith("to go on: inv deploy.continue prod --tenant t1\n")
    assert ran.summary["resume"].endswith("\nthen, for the others: inv deploy.prod --tenant t2")


@pytest.mark.waits
def test_stop_goes_back_and_takes_no_lock(waiting: Shop):
    waiting.inv("lock.acquire", "prod")
    ran = waiting.inv("deploy.stop", "prod", "--tenant", "t1", "--json")
    assert (ran.code, json.loads(ran.stdout)[0]["did"]) == (0, "stopped; ECS takes it back to what ran before")
    again = waiting.inv("deploy.continue", "prod", "--tenant", "t2")
    assert again.stdout.endswith("to follow: inv deploy.wait prod --tenant t2\n")
    states = {number: waiting.service(number, "prod").history[0].status for number in (1, 2)}
    assert (states[1], states[2]) == ("ROLLBACK_REQUESTED", "IN_PROGRESS")


@pytest.mark.waits
def test_abort_leaves_it_where_it_stands(waiting: Shop):
    assert "t1-prod/api: stopped where it stands" in waiting.inv("deploy.stop", "prod", "--abort").stdout
    assert waiting.service(1, "prod").history[0].status == "STOP_REQUESTED"
    assert waiting.inv("deploy.stop", "prod").stdout.count("no rollout is under way") == 2


@pytest.mark.waits
def test_a_rollout_that_ecs_lists_late_is_looked_for_again(waiting: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(continue_stop, "_AGAIN_S", (0.01, 0.01))
    waiting.endpoint.cloud.list_lag_s, looks = 3600, []

    def fault(call: Call) -> None:
        if call.operation == "ListServiceDeployments":
            looks.append(call.account)
        if len(looks) == 3:  # two that find nothing make one look
            waiting.endpoint.cloud.list_lag_s = 0

    waiting.endpoint.fault = fault
    ran = waiting.inv("deploy.stop", "prod", "--tenant", "t1")
    assert (ran.code, "t1-prod/api: stopped; ECS takes it back" in ran.stdout) == (0, True)


@pytest.mark.waits
@pytest.mark.parametrize("task", ["deploy.continue", "deploy.stop"])
def test_a_rollout_that_ecs_never_lists_is_not_called_none(waiting: Shop, monkeypatch: pytest.MonkeyPatch, task: str):
    monkeypatch.setattr(continue_stop, "_AGAIN_S", (0.01, 0.01))
    waiting.endpoint.cloud.list_lag_s = 3600
    ran = waiting.inv(task, "prod", "--tenant", "t1")
    said = "t1-prod/api: its rollout is under way, but ECS lists no service deployment of it\n"
    assert (ran.code, said in ran.stdout) == (1, True), ran.stdout


@pytest.mark.waits
@pytest.mark.parametrize("task", ["deploy.continue", "deploy.stop"])
def test_a_dry_run_changes_nothing(waiting: Shop, task: str):
    waiting.endpoint.calls.clear()
    ran = waiting.inv(task, "prod", "--dry-run")
    assert (ran.code, "dry run: nothing was changed" in ran.stdout) == (0, True)
    assert not {"StopServiceDeployment", "ContinueServiceDeployment"} & set(waiting.endpoint.operations())


@pytest.mark.waits
def test_one_that_may_not_be_stopped_is_exit_1_and_the_other_is_stopped(waiting: Shop):
    waiting.refuse("StopServiceDeployment", "AccessDeniedException", tenant_account(2))
    ran = waiting.inv("deploy.stop", "prod")
    assert (ran.code, ran.stderr) == (1, "prod: 1 of 2 targets could not be reached\n    see above why\n")
    assert "t2-prod/api: StopServiceDeployment: AccessDeniedException" in ran.stdout
    assert waiting.service(1, "prod").history[0].status != "IN_PROGRESS"
