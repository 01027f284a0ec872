"""`inv deploy.wait`: rollouts that others began, followed to their end, with nothing changed by it."""

import signal
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploytasks.commands.wait import _promised, _under_way
from deploytasks.model import Result, Rollout
from deploytasks.rollout import finish
from tests import given
from tests.cloud import ecs_rollouts
from tests.cloud.accounts import AwsError, Call
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop

pytestmark = pytest.mark.waits


def started(shop: Shop, tier: str = "prod") -> None:
    """A release that CI did not wait for; its rollouts never end by themselves."""
    shop.endpoint.cloud.rollout_s = float("inf")
    assert shop.inv(f"deploy.{tier}", "--no-wait", "--force").code == 0
    shop.endpoint.calls.clear()


Fault = Callable[[Call], AwsError | None]


def end_once_seen(shop: Shop, *numbers: int, fault: Fault = lambda _call: None) -> None:
    """These tenants' rollouts are under way when they are first looked at, and over at the next look."""
    looks: Counter[str] = Counter()

    def watch(call: Call) -> AwsError | None:
        looks[call.account] += call.operation == "DescribeServices"
        for number in numbers:
            if looks[tenant_account(number)] == 2:
                shop.service(number, "prod").deployments[0].ends_at = 0.0
        return fault(call)

    shop.endpoint.fault = watch


def gives_up(shop: Shop, number: int, *, back: bool) -> None:
    """ECS gives the rollout up; with `back`, it has gone back to the one before."""
    service = shop.service(number, "prod")
    ours, before = service.deployments
    ours.state, ours.ends_at = "FAILED", float("inf")
    if back:
        ours.status, before.status, before.state = "ACTIVE", "PRIMARY", "COMPLETED"
        service.deployments = [before, ours]
        service.history[0].end("ROLLBACK_SUCCESSFUL", before.created_at, "tasks failed to start.")


def outcomes(ran: Ran) -> dict[str, str]:
    return {result["target"]: result["outcome"] for result in ran.summary["results"]}


def test_what_is_under_way_is_followed_to_its_end(shop: Shop):
    started(shop)
    end_once_seen(shop, 1, 2)
    ran = shop.inv("deploy.wait", "prod", "--json")
    assert (ran.code, outcomes(ran)) == (0, {"t1-prod/api": "deployed", "t2-prod/api": "deployed"})
    assert {result["evidence"] for result in ran.summary["results"]} == {"seen"}


def test_its_table_says_that_it_follows_and_names_no_roll_out_of_its_own(shop: Shop):
    started(shop)
    end_once_seen(shop, 1, 2)
    ran = shop.inv("deploy.wait", "prod")
    assert "\nfollow, 2 targets\n" in ran.stdout and "roll out" not in ran.stdout


def test_it_takes_no_lock_and_writes_nothing(shop: Shop):
    started(shop)
    shop.inv("lock.acquire", "prod")
    shop.endpoint.calls.clear()
    end_once_seen(shop, 1, 2)
    assert shop.inv("deploy.wait", "prod").code == 0
    assert shop.writes() == {}
    assert not {"GetParameter", "PutParameter", "DeleteParameter"} & set(shop.endpoint.operations())


@pytest.mark.quick
def test_nothing_under_way_is_unchanged_and_said(shop: Shop):
    ran = shop.inv("deploy.wait", "dev")
    assert ran.code == 0
    assert "t1-dev/api, t2-dev/api: no rollout is under way\n\n2 unchanged" in ran.stdout


def test_a_rollback_under_its_very_eyes_is_rolled_back_with_what_goes_on(shop: Shop):
    started(shop)
    end_once_seen(shop, 1)
    gives_up(shop, 2, back=True)
    ran = shop.inv("deploy.wait", "prod", "--json")
    assert (ran.code, outcomes(ran)) == (1, {"t1-prod/api": "deployed", "t2-prod/api": "rolled back"})
    assert ran.summary["resume"] == "to try again (with --force, where it runs already): inv deploy.prod --tenant t2"


def test_a_rollout_that_failed_before_anybody_waited_is_failed(shop: Shop):
    started(shop)
    gives_up(shop, 1, back=False)
    gives_up(shop, 2, back=False)
    ran = shop.inv("deploy.wait", "prod", "--json")
    assert (ran.code, outcomes(ran)) == (1, {"t1-prod/api": "failed", "t2-prod/api": "failed"})
    assert "failed" in ran.summary["results"][0]["detail"]


def test_a_rollback_that_ecs_has_cleared_away_is_never_green(shop: Shop):
    started(shop)
    service = shop.service(1, "prod")
    lost, before = service.deployments
    before.status, before.state = "PRIMARY", "COMPLETED"
    service.deployments = [before]
    said = f"(service api) (deployment {lost.id}) deployment failed: tasks failed to start."
    ecs_rollouts.tell(service, said, before.created_at + 60, 1)
    end_once_seen(shop, 2)
    ran = shop.inv("deploy.wait", "prod", "--json")
    assert (ran.code, outcomes(ran)["t1-prod/api"]) == (1, "rolled back")
    assert ran.summary["results"][0]["detail"] == "tasks failed to start."


def test_a_target_that_cannot_be_seen_is_reported_and_the_others_are_followed(shop: Shop):
    started(shop)
    end_once_seen(shop, 1, fault=lambda call: _denied(call, "DescribeServices", tenant_account(2)))
    ran = shop.inv("deploy.wait", "prod", "--json")
    assert (ran.code, outcomes(ran)) == (1, {"t1-prod/api": "deployed", "t2-prod/api": "failed"})
    what, to_do = ran.summary["results"][1]["detail"].splitlines()
    assert what.endswith("DescribeServices: AccessDeniedException: no") and to_do.startswith("allow DescribeServices")
    assert ran.summary["resume"] == "to go on: inv deploy.wait prod --tenant t2"


def test_a_service_that_is_not_there_is_no_success(shop: Shop):
    account = shop.endpoint.cloud.account(tenant_account(1))
    del account.clusters["t1-dev"].services["api"]
    ran = shop.inv("deploy.wait", "dev")
    assert ran.code == 1
    assert "t1-dev/api failed: there is no ECS service api in cluster t1-dev" in ran.stdout
    assert "nothing to do" not in ran.stdout


def test_the_tiers_timeout_ends_the_waiting_and_the_rollout_goes_on(shop: Shop):
    shop.edit("envs/project.toml", "[tiers.prod]", '[tiers.prod]\ntimeout = "1s"')
    started(shop)
    ran = shop.inv("deploy.wait", "prod")
    assert ran.code == 1
    assert "timed out: not finished after 1 s; it goes on at AWS" in ran.stdout
    assert "to go on: inv deploy.wait prod\n" in ran.stderr


def test_flags_choose_whom_to_wait_for(shop: Shop):
    started(shop)
    end_once_seen(shop, 1)
    assert list(outcomes(shop.inv("deploy.wait", "prod", "--tenant", "t1", "--json"))) == ["t1-prod/api"]
    assert list(outcomes(shop.inv("deploy.wait", "prod", "--exclude", "t2", "--json"))) == ["t1-prod/api"]


def test_ctrl_c_names_what_goes_on_and_how_to_wait_again(shop: Shop):
    started(shop)
    looks: Counter[str] = Counter()

    def is_second_look(call: Call) -> bool:
        looks[call.account] += call.operation == "DescribeServices"
        return looks[call.account] == 2

    shop.interrupt(is_second_look)
    ran = shop.inv("deploy.wait", "prod")
    assert ran.code == 130
    assert "t1-prod/api: interrupted: its rollout goes on at AWS" in ran.stderr
    assert "to go on: inv deploy.wait prod\n" in ran.stderr


def test_a_tests_signal_is_sent_once_and_to_no_other_than_a_command(shop: Shop):
    received: list[str] = []
    before = signal.signal(signal.SIGINT, lambda *_: received.append("pytest"))
    try:
        shop.interrupt(lambda _call: True)
        fault = shop.endpoint.fault
        assert fault is not None
        fault(Call("1", "ecs", "DescribeServices"))
        signal.signal(signal.SIGINT, lambda *_: received.append("a command"))
        fault(Call("1", "ecs", "DescribeServices"))
        fault(Call("1", "ecs", "DescribeServices"))
    finally:
        signal.signal(signal.SIGINT, before)
    assert received == ["a command"]


def test_a_tier_that_is_not_there_is_refused(shop: Shop):
    ran = shop.inv("deploy.wait", "prodd")
    assert (ran.code, ran.stderr.splitlines()[:2]) == (
        2,
        ["tier: there is no tier 'prodd'", "    did you mean 'prod'?"],
    )


def test_tasks_that_run_another_digest_than_the_definition_pins_are_a_failure(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
):
    started(shop)
    end_once_seen(shop, 1, 2)
    as_it_is = ecs_rollouts.Task.describe

    def other(self: Any, cluster_arn: str) -> dict[str, Any]:
        seen = as_it_is(self, cluster_arn)
        return {**seen, "containers": [{**each, "imageDigest": "sha256:" + "9" * 64} for each in seen["containers"]]}

    monkeypatch.setattr(ecs_rollouts.Task, "describe", other)
    ran = shop.inv("deploy.wait", "prod")
    assert ran.code == 1
    assert "its tasks run sha256:9999" in ran.stdout and "and not sha256:" in ran.stdout


def test_where_the_registry_may_not_be_read_nothing_is_compared_and_that_is_said(shop: Shop):
    started(shop)
    end_once_seen(shop, 1, 2, fault=lambda call: _denied(call, "BatchGetImage", REGISTRY))
    ran = shop.inv("deploy.wait", "prod")
    assert ran.code == 0
    assert "is compared with nothing: ECR api" in ran.stdout


def _denied(call: Call, operation: str, account: str) -> AwsError | None:
    return AwsError("AccessDeniedException", "no") if (call.operation, call.account) == (operation, account) else None


def test_a_service_born_completed_without_its_tasks_is_still_under_way():
    newborn = given.deployment(running=0, is_born=True)
    assert _under_way(given.live(newborn)) == newborn
    assert _under_way(given.live(given.deployment())) is None


def test_while_ecs_goes_back_it_is_the_deployment_given_up_that_is_followed():
    back = given.deployment("IN_PROGRESS")
    lost = given.deployment("FAILED", "ACTIVE", id="ecs-svc/2")
    assert _under_way(given.live(back, lost, failure="tasks failed to start")) == lost


def test_a_new_attempt_is_followed_though_the_one_before_failed():
    again = given.deployment("IN_PROGRESS", id="ecs-svc/3")
    lost = given.deployment("FAILED", "ACTIVE", id="ecs-svc/2")
    assert _under_way(given.live(again, lost)) == again


@pytest.mark.parametrize(("age", "promised"), [(timedelta(minutes=1), given.OLD_DIGEST), (timedelta(hours=1), "")])
def test_only_a_record_of_this_rollout_promises_a_digest(age: timedelta, promised: str):
    began = datetime(2026, 1, 2, tzinfo=UTC)
    definition = given.definition(f"{given.HOST}/api:dev") | {"registeredAt": began - age}
    record = {"digest": given.OLD_DIGEST}
    live = given.live(given.deployment("IN_PROGRESS", created_at=began), definition=definition, revision_tags=record)
    assert _promised(live, "api") == promised


def test_an_image_without_a_digest_is_matched_by_whatever_runs():
    result = Result(given.target(), "deployed")
    rollout = Rollout(given.target(), "follow", "", given.desired(digest=None, image=None), {"api": ""})
    container = {"name": "api", "image": f"{given.HOST}/api:prod", "imageDigest": given.NEW_DIGEST}
    seen = finish._compared(result, rollout, [{"containers": [container]}])
    assert (seen.outcome, seen.digest, seen.evidence) == ("deployed", given.NEW_DIGEST, "seen")
    blind = finish._compared(result, rollout, ())
    assert (blind.outcome, blind.digest, blind.evidence) == ("deployed", None, None)
