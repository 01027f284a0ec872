"""`--only-behind` and `--only-failed`: which targets are taken, what is said of the others, and that none hinders."""

import os
import signal
import time

import pytest
from msgspec import defstruct

from deploytasks import flags
from deploytasks.commands.selection import SELECTING, Selecting
from deploytasks.flags import FLAGS, Flag
from deploytasks.model import Options
from tests.cloud.accounts import Call
from tests.cloud.ecs_rollouts import tell
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop

pytestmark = pytest.mark.waits
BEHIND, FAILED = "--only-behind", "--only-failed"


@pytest.fixture
def half(shop: Shop) -> Shop:
    """The first tenant runs what prod names, the second is behind."""
    assert shop.inv("release.prod", "--tenant", "t1", "--no-wait").code == 0
    assert shop.inv("status", "--tier", "prod").code == 0  # time passes at the endpoint only where somebody looks
    return shop


def rolled_back(shop: Shop, number: int, tier: str = "prod") -> None:
    """ECS gave up the tenant's last rollout and went back to what runs."""
    message = "(service api) (deployment ecs-svc/9) deployment failed: tasks failed to start."
    tell(shop.service(number, tier), message, time.time(), 1)


def taken(ran: Ran) -> dict[str, str]:
    """Which tenants' targets the command took, and what it did to each."""
    return {each["tenant"]: each["outcome"] for each in ran.summary["results"]}


def test_only_behind_takes_who_does_not_run_it_and_counts_the_others(half: Shop):
    ran = half.inv("deploy.prod", BEHIND, "--no-wait", "--json")
    assert (ran.code, taken(ran)) == (0, {"t2": "started"})
    newer = half.commits["newer"][:7]
    assert ran.summary["notes"][0] == f"left out by --only-behind: 1 target on {newer} already"


def test_a_definition_that_drifted_is_not_behind(half: Shop):
    half.edit("envs/t1.toml", 'FEATURE_INVOICES = "off"', 'FEATURE_INVOICES = "on"')
    assert taken(half.inv("deploy.prod", BEHIND, "--no-wait", "--json")) == {"t2": "started"}
    assert taken(half.inv("deploy.prod", "--no-wait", "--json"))["t1"] == "started"


def test_where_nobody_is_behind_there_is_nothing_to_do(half: Shop):
    half.inv("deploy.prod", "--no-wait")
    half.inv("status")
    before = half.writes()
    for task in ("deploy.prod", "release.prod"):
        ran = half.inv(task, BEHIND)
        assert ran.code == 0
        assert "nothing to do" in ran.stdout and "left out by --only-behind: 2 targets" in ran.stdout
    assert half.writes() == before
    assert not half.endpoint.cloud.account(REGISTRY).parameters


def test_a_rollout_under_way_is_behind_and_followed(half: Shop):
    half.endpoint.cloud.rollout_s = 3600.0
    assert half.inv("deploy.prod", "--no-wait").code == 0
    looks: list[Call] = []

    def end_at_the_second_look(call: Call) -> None:
        if call.operation == "DescribeServices" and call.account == tenant_account(2):
            looks.append(call)
            half.service(2, "prod").deployments[0].ends_at = 0.0 if len(looks) > 1 else float("inf")

    half.endpoint.fault = end_at_the_second_look
    ran = half.inv("deploy.prod", BEHIND, "--json")
    assert (ran.code, taken(ran)) == (0, {"t2": "deployed"})
    assert half.endpoint.calls[tenant_account(2), "UpdateService"] == 1


def test_a_release_that_nobody_is_behind_of_still_moves_its_tag(half: Shop):
    half.inv("deploy.prod", "--no-wait")
    half.inv("status")
    named = half.endpoint.cloud.account(REGISTRY).repositories["api"].tags
    named["prod"] = named[half.commits["older"]]
    ran = half.inv("release.prod", BEHIND, "--json")
    assert (ran.code, ran.summary["results"]) == (0, [])
    assert half.tags()["prod"] == half.tags()[half.commits["newer"]]


def test_its_gate_looks_at_those_left_out_as_well(half: Shop):
    half.inv("deploy.prod", "--no-wait")
    half.inv("status")
    named = half.endpoint.cloud.account(REGISTRY).repositories["api"].tags
    older = named[half.commits["older"]]
    for tag in [tag for tag in named if tag == "prod" or tag.startswith("prod-")]:
        named[tag] = older
    half.service(1, "staging").deployments[0].state = "FAILED"
    ran = half.inv("release.prod", BEHIND)
    assert ran.code == 2
    assert "t1-staging/api: its last rollout failed" in ran.stderr


@pytest.mark.parametrize("how", ["rolled back", "failed"])
def test_only_failed_takes_whose_last_rollout_was_given_up(half: Shop, how: str):
    if how == "failed":
        half.service(2, "prod").deployments[0].state = "FAILED"
    else:
        rolled_back(half, 2)
    ran = half.inv("deploy.prod", FAILED, "--no-wait", "--json")
    assert (ran.code, taken(ran)) == (0, {"t2": "started"})
    assert ran.summary["notes"][0] == "left out by --only-failed: 1 target without a failed rollout"


def test_where_none_failed_there_is_nothing_to_do(half: Shop):
    ran = half.inv("deploy.prod", FAILED)
    assert ran.code == 0
    assert "nothing to do" in ran.stdout
    assert "left out by --only-failed: 2 targets without a failed rollout" in ran.stdout


def test_both_together_take_those_of_which_either_is_true(half: Shop):
    rolled_back(half, 1)
    ran = half.inv("deploy.prod", BEHIND, FAILED, "--force", "--no-wait", "--json")
    assert taken(ran) == {"t1": "started", "t2": "started"}
    half.inv("status")
    ran = half.inv("deploy.prod", BEHIND, FAILED)
    newer = half.commits["newer"][:7]
    said = f"left out by --only-behind --only-failed: 2 targets on {newer} already and without a failed rollout"
    assert said in ran.stdout


def test_what_speaks_against_those_left_out_refuses_nothing(half: Shop):
    half.service(1, "prod").tags["deploytasks:project"] = "bakery"
    repository = half.endpoint.cloud.account(REGISTRY).repositories["api"]
    repository.policy = repository.policy.replace(f"arn:aws:iam::{tenant_account(1)}:root", "arn:aws:iam::9:root")
    half.edit("envs/t1.toml", "cpu = 1024", "cpu = 1000")
    half.edit("envs/t2.toml", "cluster =", "wave = 2\ncluster =")
    assert half.inv("deploy.prod", "--no-wait").code == 2
    ran = half.inv("deploy.prod", BEHIND, "--no-wait", "--json")
    assert (ran.code, taken(ran)) == (0, {"t2": "started"}), ran.stderr


@pytest.mark.parametrize("flag", [BEHIND, FAILED])
def test_who_cannot_be_seen_is_neither_behind_nor_fine(half: Shop, flag: str):
    half.refuse("DescribeServices", "AccessDeniedException", tenant_account(1))
    ran = half.inv("deploy.prod", flag)
    assert ran.code == 2
    assert "AccessDeniedException" in ran.stderr


def test_a_service_that_is_not_there_is_behind_and_did_not_fail(half: Shop):
    del half.endpoint.cloud.account(tenant_account(2)).clusters["t2-prod"].services["api"]
    ran = half.inv("deploy.prod", BEHIND)
    assert ran.code == 2 and "t2-prod/api: there is no ECS service api" in ran.stderr
    assert half.inv("deploy.prod", FAILED).code == 0


def test_the_command_that_goes_on_keeps_the_flag(half: Shop):
    half.refuse("UpdateService", "AccessDeniedException")
    ran = half.inv("deploy.prod", BEHIND, "--no-wait")
    assert ran.code == 1
    assert ran.stderr.endswith("to go on: inv deploy.prod --tenant t2 --no-wait --only-behind\n")


def test_what_goes_on_after_only_failed_means_those_that_were_begun_too(half: Shop):
    rolled_back(half, 2)
    half.refuse("UpdateService", "AccessDeniedException")
    ran = half.inv("release.prod", FAILED, "--no-wait")
    assert ran.stderr.endswith("to go on: inv deploy.prod --tenant t2 --no-wait --only-behind --only-failed\n")


def test_an_interruption_of_only_failed_names_the_tenants_that_it_took(half: Shop):
    rolled_back(half, 2)

    def interrupt(call: Call) -> None:
        if call.operation == "UpdateService":
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.2)

    half.endpoint.fault = interrupt
    ran = half.inv("deploy.prod", FAILED)
    assert ran.code == 130
    assert "to go on: inv deploy.prod --tenant t2 --only-behind --only-failed" in ran.stderr


def test_a_selecting_flag_that_is_added_selects_is_told_of_and_goes_with_no_shard(
    half: Shop, monkeypatch: pytest.MonkeyPatch
):
    row = Flag("only-first", "only the first tenant", "deploy.TIER", default=False, whole=True)
    selecting = Selecting(lambda live, *_: live.target.environment.tenant == "t1", "that should run {commits}")
    monkeypatch.setattr(flags, "FLAGS", (*FLAGS, row))
    monkeypatch.setitem(SELECTING, row.name, selecting)
    options = defstruct("Options", [("only_first", bool, False)], bases=(Options,), frozen=True)
    monkeypatch.setattr("deploytasks.model.Options", options)
    ran = half.inv("deploy.prod", "--only-first", "--no-wait", "--json")
    assert (ran.code, taken(ran)) == (0, {"t1": "unchanged"})
    assert ran.summary["notes"][0] == f"left out by --only-first: 1 target that should run {half.commits['newer'][:7]}"
    refused = half.inv("deploy.prod", "--only-first", "--shard", "1/2")
    assert (refused.code, "--shard: goes with no --only-first: " in refused.stderr) == (2, True), refused


def test_every_flag_that_selects_by_what_runs_is_for_a_whole_tier():
    assert {*SELECTING} <= {flag.name for flag in FLAGS if flag.whole}
