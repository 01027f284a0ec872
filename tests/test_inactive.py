"""A revision that somebody deregistered: wherever it would be used, a copy is registered and used instead."""

import json
from typing import Any

import pytest

from deploytasks.rules.plan import Candidate
from deploytasks.rules.plan import rollout as planned
from tests import given
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.world import tenant_account
from tests.commands import Shop
from tests.rollouts import TIER, carry_out, fated, rollout, service


def deregister(shop: Shop, number: int, tier: str = "prod") -> str:
    """Nobody may begin anything with the revision that the tenant's service runs; return its ARN."""
    account = shop.endpoint.cloud.account(tenant_account(number))
    running = shop.service(number, tier).deployments[0].revision
    for family in account.families.values():
        for revision in family:
            if revision.arn == running:
                revision.members["status"] = "INACTIVE"
    return running


def runs(shop: Shop, number: int, tier: str = "prod") -> Any:
    """Return the revision that the tenant's service runs."""
    account = shop.endpoint.cloud.account(tenant_account(number))
    arn = shop.service(number, tier).deployments[0].revision
    return next(one for family in account.families.values() for one in family if one.arn == arn)


@pytest.mark.parametrize(
    ("state", "force", "status", "action", "registers"),
    [
        ("COMPLETED", True, "INACTIVE", "update", True),
        ("FAILED", False, "INACTIVE", "update", True),
        ("COMPLETED", False, "INACTIVE", "nothing", False),
        ("IN_PROGRESS", False, "INACTIVE", "follow", False),
        ("COMPLETED", True, "ACTIVE", "force", False),
    ],
)
def test_a_forced_deployment_of_a_revision_that_is_inactive_registers_a_copy(
    state: str, force: bool, status: str, action: str, registers: bool
):
    named = f"{given.HOST}/api@{given.NEW_DIGEST}"
    ran = given.live(given.deployment(state), runs=named)
    live = given.replace(ran, definition={**(ran.definition or {}), "status": status})
    candidate = Candidate(given.target(), given.desired(), {"api": named}, live, same=True, request={"family": "x"})
    found = planned(candidate, force=force)
    assert (found.action, found.request is not None) == (action, registers)


def test_force_rolls_out_a_copy(shop: Shop):
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 0
    before = deregister(shop, 1)
    ran = shop.inv("deploy.prod", "--tenant", "t1", "--force", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 1})
    assert runs(shop, 1).arn != before
    assert runs(shop, 1).tags["deploytasks:project"] == "shop" and "deploytasks:at" in runs(shop, 1).tags
    again = shop.inv("deploy.prod", "--tenant", "t1", "--json")
    assert again.summary["outcomes"] == {"unchanged": 1}


def test_a_new_image_under_the_same_tag_rolls_out_a_copy(shop: Shop):
    assert shop.inv("release.dev", "--commit", shop.commits["older"], "--allow-older", "--tenant", "t1").code == 0
    before = deregister(shop, 1, "dev")
    ran = shop.inv("release.dev", "--commit", shop.commits["newer"], "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 1}), ran.stderr
    assert runs(shop, 1, "dev").arn != before


def test_nothing_is_done_about_one_that_runs_well(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    deregister(shop, 1)
    assert shop.inv("deploy.prod", "--json").summary["outcomes"] == {"unchanged": 2}


def test_a_failing_rollout_goes_back_to_a_copy(cloud, clock):
    ran = service(cloud, 1).deployments[0].revision
    (revision,) = (one for one in cloud.cloud.account(tenant_account(1)).families["shop-t1-prod-api"])
    revision.members["status"] = "INACTIVE"
    revision.tags |= {"deploytasks:project": "shop", "deploytasks:ended": "failed", "team": "shop"}
    cloud.cloud.native = False
    fated(cloud, {1: Fate(death=Death())})
    (result,), _ = carry_out(cloud, clock, (rollout(cloud, 1),), tier=given.replace(TIER, timeout_s=60))
    copy = cloud.cloud.account(tenant_account(1)).families["shop-t1-prod-api"][-1]
    assert (result.outcome, service(cloud, 1).deployments[0].revision) == ("rolled back", copy.arn)
    assert copy.arn != ran and copy.members["containerDefinitions"] == revision.members["containerDefinitions"]
    assert copy.tags["deploytasks:project"] == "shop" and "deploytasks:ended" not in copy.tags
    assert copy.tags["team"] == "shop"


def test_a_rollback_to_a_deregistered_revision_registers_a_copy(shop: Shop):
    for commit in ("older", "newer"):
        words = ("--commit", shop.commits[commit], "--allow-older", "--override", "x", "--tenant", "t1")
        assert shop.inv("release.prod", *words).code == 0
        if commit == "older":
            first = runs(shop, 1)
    first.members["status"] = "INACTIVE"
    ran = shop.inv("release.rollback", "prod", "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 1}), ran.stderr
    copy = runs(shop, 1)
    assert copy.arn != first.arn and copy.members["status"] == "ACTIVE"
    assert copy.images == first.images
    planned_reason = next(json.loads(line) for line in ran.stdout.splitlines() if '"planned"' in line)
    assert "a copy is registered, since that revision is inactive" in str(planned_reason)


@pytest.mark.waits
def test_a_one_off_task_runs_a_copy_and_registers_it_once(shop: Shop):
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 0
    before = deregister(shop, 1)
    for _ in range(2):
        ran = shop.inv("deploy.run", "prod", "--tenant", "t1", "--", "./migrate")
        assert ran.code == 0, ran.stderr
    tasks = shop.endpoint.cloud.account(tenant_account(1)).one_offs.values()
    (revision,) = {task.revision.arn for task in tasks}
    assert revision != before
    assert "is inactive: shop-t1-prod-api:" in ran.stderr
    copy = next(task.revision for task in tasks)
    assert "deploytasks:at" not in copy.tags


def test_the_board_says_inactive_and_nothing_drifts(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    deregister(shop, 1)
    board = json.loads(shop.inv("status", "--json").stdout)
    marks = {cell["target"]: cell["marks"] for cell in board["cells"] if cell["tier"] == "prod"}
    assert marks["t1-prod/api"] == ["inactive"]
    assert "inactive" not in marks["t2-prod/api"]
