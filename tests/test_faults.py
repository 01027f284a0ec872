"""AWS on its bad days, and real commands that come through them: throttled, broken, cut off, silent, expired."""

import json
import re
import time
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from botocore.retries.standard import ExponentialBackoff

from deploytasks.aws import retries
from deploytasks.aws.assumed_roles import RoleKeys, Session
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop
from tests.faulty import Patient, outcomes
from tests.proxy import (
    BROKEN,
    DENIED,
    EXPIRED,
    NONSENSE,
    THROTTLED,
    Cut,
    Effect,
    Expire,
    Proxy,
    Rule,
    Say,
    Stale,
    Stall,
)

pytestmark = pytest.mark.waits
ONE, TWO = tenant_account(1), tenant_account(2)
DEPLOYED = {"t1-prod/api": "deployed", "t2-prod/api": "deployed"}
UNKNOWN = Say("ClientException", "TaskDefinition not found.")
NOWHERE = Say("ClientException", "Unable to describe task definition.")
CROWDED = Say("ClientException", "Too many concurrent attempts to create a new revision of the specified family.")


def said(ran: Ran, step: str) -> list[str]:
    lines = (json.loads(line) for line in ran.stdout.splitlines())
    return [line["message"] for line in lines if line.get("step") == step]


def started(shop: Shop, number: int, tier: str = "prod") -> int:
    """How many deployments the tenant's service was ever given after its first."""
    events = (json.loads(event)["message"] for event in shop.service(number, tier).events)
    return sum("has started" in event for event in events) - 1


def without_service(shop: Shop) -> None:
    """The second tenant has no service in prod, but there is a template for one."""
    request = {"cluster": "{{ cluster }}", "serviceName": "{{ service }}", "desiredCount": 2}
    (shop.root / "templates/api.service.json.j2").write_text(json.dumps(request))
    del shop.endpoint.cloud.account(TWO).clusters["t2-prod"].services["api"]


EVERY_CALL = (
    *("AssumeRole", "GetCallerIdentity", "PutParameter", "GetParameter", "DeleteParameter"),
    *("BatchGetImage", "DescribeImages", "GetRepositoryPolicy", "ListTagsForResource", "PutImage"),
    *("DescribeServices", "DescribeTaskDefinition", "RegisterTaskDefinition", "UpdateService"),
    *("ListTasks", "DescribeTasks"),
)


@pytest.mark.parametrize("effect", [THROTTLED, BROKEN, Cut("before"), Cut("after")])
def test_every_call_of_a_release_may_fail_twice(shop: Shop, proxy: Proxy, effect: Effect):
    del shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags["prod"]
    proxy.rules = tuple(Rule(effect, operation, times=2) for operation in EVERY_CALL)
    ran = shop.inv("release.prod", "--json")
    assert (ran.code, outcomes(ran)) == (0, DEPLOYED)
    assert set(EVERY_CALL) <= {each.call.operation for each in proxy.seen}
    assert (started(shop, 1), started(shop, 2)) == (1, 1)
    assert not shop.endpoint.cloud.account(REGISTRY).parameters


def test_what_fails_ten_times_is_told_of_one_tenant_and_costs_no_other(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(THROTTLED, "UpdateService", TWO),)
    ran = shop.inv("deploy.prod", "--json")
    assert (ran.code, outcomes(ran)) == (1, {**DEPLOYED, "t2-prod/api": "failed"})
    assert len(proxy.calls("UpdateService", TWO)) == 10
    detail = ran.summary["results"][1]["detail"]
    assert "run the same command again" in detail and not detail.startswith("t2-prod/api")
    assert started(shop, 2) == 0


def test_that_aws_does_not_get_through_is_said_after_a_few_seconds(shop: Shop, proxy: Proxy):
    proxy.rules = (
        Rule(THROTTLED, "DescribeServices", TWO, times=4),
        Rule(Cut(), "RegisterTaskDefinition", ONE, times=7),
    )
    told = said(shop.inv("deploy.prod", "--json"), "aws")
    assert told == [
        f"account {TWO}: DescribeServices failed (ThrottlingException); asking again",
        f"account {ONE}: RegisterTaskDefinition failed (ConnectionClosedError); asking again",
    ]


def test_an_answer_that_came_at_the_sixth_attempt_is_not_called_missing(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(THROTTLED, "DescribeServices", TWO, times=5),)
    told = said(shop.inv("deploy.prod", "--json"), "aws")
    assert told == [f"account {TWO}: DescribeServices failed (ThrottlingException); asking again"]


def test_a_tenant_that_lets_nobody_in_is_refused_before_anybody_is_written_to(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(DENIED, account=TWO),)
    ran = shop.inv("release.prod")
    assert ran.code == 2
    assert f"t2-prod: account {TWO}: AssumeRole: AccessDeniedException" in ran.stderr
    assert shop.writes() == {}


def test_whose_cluster_cannot_be_seen_is_said_though_its_name_does_not_tell(shop: Shop):
    shop.edit("envs/t2.toml", 'cluster = "{tenant}-{tier}"', 'cluster = "shared-{tier}"')
    assert "t2-prod: cluster shared-prod: DescribeServices: ClusterNotFoundException" in shop.inv("deploy.prod").stderr


def test_registrations_that_meet_are_tried_again(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(CROWDED, "RegisterTaskDefinition", ONE, times=2),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED


@pytest.mark.parametrize("answer", [UNKNOWN, NOWHERE])
def test_a_revision_that_ecs_does_not_know_yet_is_used_a_little_later(shop: Shop, proxy: Proxy, answer: Say):
    proxy.rules = (Rule(answer, "UpdateService", ONE, times=2),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    assert (started(shop, 1), len(proxy.calls("UpdateService", ONE))) == (1, 3)


def test_a_revision_that_ecs_does_not_know_and_we_did_not_register_is_told_at_once(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(NOWHERE, "DescribeTaskDefinition", ONE),)
    ran = shop.inv("deploy.prod")
    assert (ran.code, len(proxy.calls("DescribeTaskDefinition", ONE))) == (2, 2)  # the newest, and the running one
    assert "t1-prod/api: DescribeTaskDefinition: ClientException: Unable to describe task definition." in ran.stderr


def test_a_fresh_revision_that_never_comes_to_be_known_is_given_up_after_seconds(
    shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    naps: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time.sleep", naps.append)
    proxy.rules = (Rule(UNKNOWN, "UpdateService", ONE),)
    ran = shop.inv("deploy.prod", "--json")
    assert outcomes(ran)["t1-prod/api"] == "failed"
    assert 5 < sum(naps) < 15


@pytest.mark.parametrize("times", [1, 3])
def test_a_look_that_does_not_see_our_deployment_yet_is_no_end_of_it(shop: Shop, proxy: Proxy, times: int):
    proxy.rules = (Rule(Stale(), "DescribeServices", ONE, skip=2, times=times),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED


@pytest.mark.parametrize("times", [1, 3])
def test_a_look_that_does_not_see_our_new_service_yet_is_no_end_of_it(shop: Shop, proxy: Proxy, times: int):
    without_service(shop)
    proxy.rules = (Rule(Stale(), "DescribeServices", TWO, skip=1, times=times),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED


def test_an_update_whose_answer_gets_lost_begins_one_deployment_which_is_followed(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(Cut("after"), "UpdateService", times=2),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    assert (started(shop, 1), started(shop, 2)) == (1, 1)


@pytest.mark.parametrize("effect", [Cut("before"), Cut("after"), NONSENSE["HTML"], NONSENSE["cut in its middle"]])
def test_a_forced_deployment_whose_answer_gets_lost_is_not_begun_twice(shop: Shop, proxy: Proxy, effect: Any):
    shop.inv("deploy.dev")
    proxy.rules = (Rule(effect, "UpdateService", ONE, times=2),)
    ran = shop.inv("deploy.dev", "--force", "--json")
    assert outcomes(ran) == {"t1-dev/api": "deployed", "t2-dev/api": "deployed"}
    assert (started(shop, 1, "dev"), started(shop, 2, "dev")) == (2, 2)


def test_a_service_whose_making_gets_no_answer_is_followed_all_the_same(shop: Shop, proxy: Proxy):
    without_service(shop)
    proxy.rules = (Rule(Cut("after"), "CreateService", times=1),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    assert (started(shop, 2), len(proxy.calls("CreateService"))) == (0, 2)


def test_a_one_off_task_whose_start_gets_no_answer_runs_once(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(Cut("after"), "RunTask", times=2),)
    ran = shop.inv("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "date")
    assert ran.code == 0
    assert (len(proxy.calls("RunTask")), len(shop.endpoint.cloud.account(ONE).one_offs)) == (3, 1)


def an_hour_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first keys of each role were fetched then."""
    make = RoleKeys.__init__

    def made(keys: RoleKeys, assume: Callable[[], Session]) -> None:
        make(keys, assume)
        keys._opened_at -= 3600

    monkeypatch.setattr(RoleKeys, "__init__", made)


@pytest.mark.parametrize("operation", ["DescribeServices", "RegisterTaskDefinition", "UpdateService", "ListTasks"])
def test_keys_that_aws_calls_expired_in_mid_run_are_fetched_anew(
    shop: Shop, proxy: Proxy, operation: str, monkeypatch: pytest.MonkeyPatch
):
    an_hour_ago(monkeypatch)
    proxy.rules = (Rule(Expire(), operation, TWO, times=1),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    assert (len(proxy.calls("AssumeRole", ONE)), len(proxy.calls("AssumeRole", TWO))) == (1, 2)


def test_keys_that_stay_expired_are_told_with_what_to_do(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(EXPIRED, "DescribeServices", TWO),)
    ran = shop.inv("deploy.prod")
    assert (ran.code, len(proxy.calls("DescribeServices", TWO))) == (2, 3)
    assert "ExpiredTokenException" in ran.stderr and "sign in again, e.g. aws sso login" in ran.stderr


def test_our_own_keys_cannot_be_fetched_anew_and_that_is_told_at_once(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(EXPIRED, "PutParameter"),)
    ran = shop.inv("deploy.prod")
    assert (ran.code, len(proxy.calls("PutParameter"))) == (2, 1)
    assert "sign in again" in ran.stderr and shop.writes() == {}


def test_a_rollout_outlives_the_sessions_of_its_roles(shop: Shop, proxy: Proxy):
    shop.endpoint.cloud.session_s, shop.endpoint.cloud.rollout_s = 2, 4
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    for account in (ONE, TWO):
        followed = [seen.token for seen in proxy.calls("DescribeServices", account)]
        assert len(proxy.calls("AssumeRole", account)) >= 3
        assert len(set(followed)) >= 3


def test_a_session_that_cannot_be_renewed_serves_to_its_end_without_a_stop(shop: Shop, proxy: Proxy):
    shop.endpoint.cloud.session_s, shop.endpoint.cloud.rollout_s = 14, 9
    proxy.rules = (Rule(DENIED, "AssumeRole", ONE, skip=1),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    assert len(proxy.calls("AssumeRole", ONE)) == 2


def test_a_rollout_is_followed_to_its_end_though_no_session_could_be_had_for_a_while(
    shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(ExponentialBackoff._DEFAULT_BACKOFF_CONFIG, "non_throttling_base_scale", 0.001)
    shop.endpoint.cloud.session_s, shop.endpoint.cloud.rollout_s = 6, 8
    proxy.rules = (Rule(BROKEN, "AssumeRole", ONE, skip=1, times=46),)
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    assert len(proxy.calls("AssumeRole", ONE)) > 47


def test_a_question_has_less_time_than_a_write(shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(retries, "QUESTION_TIMEOUT_S", 0.3)
    proxy.rules = (Rule(Stall(0.6), "RegisterTaskDefinition", TWO), Rule(Stall(0.6), "UpdateService", TWO))
    assert outcomes(shop.inv("deploy.prod", "--json")) == DEPLOYED
    proxy.rules = (Rule(Stall(0.6), "DescribeServices", TWO),)
    assert shop.inv("deploy.prod").code == 2


@pytest.mark.parametrize("operation", ["AssumeRole", "DescribeServices"])
def test_a_tenant_that_never_answers_is_refused_by_name_in_bounded_time(
    shop: Shop, proxy: Proxy, patient: Patient, operation: str
):
    patient(0.5)
    proxy.rules = (Rule(Stall(), operation, TWO),)
    began = time.monotonic()
    ran = shop.inv("deploy.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert re.search("t2-prod: .*Read timeout on endpoint URL", ran.stderr)
    assert "check the network" in ran.stderr
    assert len(proxy.calls(operation, TWO)) == retries.ATTEMPTS_IN_SILENCE
    assert time.monotonic() - began < 120


def test_a_tenant_whose_connections_are_all_cut_is_refused_by_name(shop: Shop, proxy: Proxy):
    proxy.rules = (Rule(Cut(), account=TWO),)
    ran = shop.inv("release.prod")
    assert (ran.code, shop.writes()) == (2, {})
    assert re.search("t2-prod: .*Connection was closed before", ran.stderr)
    assert len(proxy.calls("AssumeRole", TWO)) == 7


def test_silence_is_told_while_it_lasts(shop: Shop, proxy: Proxy, patient: Patient):
    patient(0.5)
    proxy.rules = (Rule(Stall(), "DescribeServices", TWO, times=1), Rule(Stall(), "AssumeRole", ONE, times=1))
    ran = shop.inv("deploy.prod", "--json")
    assert outcomes(ran) == DEPLOYED
    # On a busy machine other calls may be silent for half a second too.
    assert {
        f"arn:aws:iam::{ONE}:role/deploy: AssumeRole has no answer yet; asking again",
        f"account {TWO}: DescribeServices has no answer yet; asking again",
    } <= set(said(ran, "aws"))


def took(proxy: Proxy, accounts: Iterable[str]) -> float:
    """Seconds from the first registration to the last call about any of the accounts."""
    return max(proxy.calls(account=each)[-1].at for each in accounts) - proxy.calls("RegisterTaskDefinition")[0].at


@pytest.mark.parametrize("shop", [6], indirect=True)
def test_while_some_tenants_are_dead_the_others_finish_in_the_time_they_would_have_taken(
    shop: Shop, proxy: Proxy, patient: Patient, monkeypatch: pytest.MonkeyPatch
):
    patient(4)
    monkeypatch.setattr(retries, "ATTEMPTS_IN_SILENCE", 2)
    shop.endpoint.cloud.rollout_s = 3
    alive = [tenant_account(number) for number in (1, 4, 5, 6)]
    assert set(outcomes(shop.inv("deploy.prod", "--json")).values()) == {"deployed"}
    undisturbed = took(proxy, alive)
    shop.endpoint.reset()
    shop.endpoint.cloud.rollout_s = 3
    proxy.seen.clear()
    proxy.rules = (
        Rule(Stall(), "UpdateService", TWO),
        Rule(Stall(), "DescribeServices", tenant_account(3), skip=2, times=2),
    )
    ran = shop.inv("deploy.prod", "--json")
    assert [*outcomes(ran).values()] == ["deployed", "failed", *["deployed"] * 4]
    assert took(proxy, alive) < undisturbed + 5
