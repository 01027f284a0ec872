"""Bad days: odd answers, wrong accounts, locks that nobody can read, signals at the wrong moment."""

import json
import time

import pytest

from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop

pytestmark = pytest.mark.waits
LOCK = "/deploytasks/shop/prod/lock"


def lock_parameters(shop: Shop) -> dict[str, dict[str, object]]:
    return shop.endpoint.cloud.account(REGISTRY).parameters


@pytest.mark.parametrize("words", [["lock.acquire", "prod"], ["lock.status"], ["envs.bootstrap"], ["build"]])
def test_the_registrys_account_is_the_files_or_nothing_is_touched(shop: Shop, words: list[str]):
    shop.edit("envs/project.toml", f'account = "{REGISTRY}"', 'account = "999999999999"')
    ran = shop.inv(*words)
    assert ran.code == 2
    assert "the file says 999999999999" in ran.stderr
    assert set(shop.endpoint.operations()) == {"GetCallerIdentity"}


@pytest.mark.parametrize("value", ["", "{}", "no JSON", "[1]"])
def test_a_lock_that_nobody_can_read_is_still_a_lock_and_can_be_freed(shop: Shop, value: str):
    shop.inv("lock.acquire", "prod")
    lock_parameters(shop)[LOCK]["Value"] = value
    refused = shop.inv("release.prod")
    assert refused.code == 2
    assert "an unreadable lock record holds the lock" in refused.stderr
    assert shop.inv("lock.release", "prod", "--yes").code == 0
    assert not lock_parameters(shop)


def test_a_lock_that_cannot_be_released_hides_nothing_of_the_report(shop: Shop):
    shop.refuse("DeleteParameter", "AccessDeniedException")
    ran = shop.inv("deploy.prod", "--no-wait")
    assert ran.code == 0
    assert "2 started" in ran.stdout
    assert "inv lock.release prod frees it" in ran.stdout


def test_a_rollout_that_may_not_be_recorded_is_followed_all_the_same(shop: Shop):
    shop.inv("deploy.dev")
    shop.refuse("TagResource", "AccessDeniedException")
    ran = shop.inv("deploy.dev", "--force", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2})
    assert "could not be recorded" in ran.stdout


def test_every_complaint_of_what_was_looked_at_at_once_is_told(shop: Shop):
    shop.refuse("GetRepositoryPolicy", "ServerException")
    ran = shop.inv("tag.prod", "--commit", "f" * 40)
    assert ran.code == 2
    ran = shop.inv("deploy.prod", "--to", "f" * 40)
    assert ran.code == 2
    assert "commit fffffff is not in ECR" in ran.stderr and "GetRepositoryPolicy: ServerException" in ran.stderr


def test_an_image_of_an_uncommitted_tree_never_reaches_an_immutable_tier(shop: Shop):
    tags = shop.endpoint.cloud.account(REGISTRY).repositories["api"].tags
    dirty = f"{shop.commits['newer']}-dirty-12345678"
    tags[dirty] = tags.pop(shop.commits["newer"])
    ran = shop.inv("deploy.prod", "--to", dirty, "--override", "x")
    assert ran.code == 2
    assert "takes no image of an uncommitted tree" in ran.stderr


def test_an_address_of_aws_that_is_none_is_named(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost:4566")
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert "AWS_ENDPOINT_URL" in ran.stderr and "Traceback" not in ran.stderr


def test_a_time_that_somebody_wrote_by_hand_is_no_record(shop: Shop):
    shop.service(1, "prod").tags["deploytasks:at"] = "last friday"
    assert shop.inv("status").code == 0


def test_a_service_that_somebody_elses_controller_moves_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    from tests.cloud import ecs_rollouts

    as_it_is = ecs_rollouts.Service.serialise

    def external(self: ecs_rollouts.Service, *, with_tags: bool) -> str:
        members = json.loads(as_it_is(self, with_tags=with_tags))
        del members["taskDefinition"]
        return json.dumps(members | {"deploymentController": {"type": "EXTERNAL"}})

    monkeypatch.setattr(ecs_rollouts.Service, "serialise", external)
    ran = shop.inv("deploy.prod")
    assert ran.code == 2
    assert "t1-prod/api: its deployment controller is EXTERNAL" in ran.stderr


def test_an_interruption_before_the_service_was_touched_leaves_it_untouched(shop: Shop):
    shop.interrupt(lambda call: call.operation == "RegisterTaskDefinition", then=lambda: time.sleep(0.3))
    ran = shop.inv("deploy.prod")
    assert ran.code == 130
    assert shop.endpoint.calls[tenant_account(1), "UpdateService"] == 0
    assert shop.endpoint.calls[tenant_account(2), "UpdateService"] == 0
    assert "prod: interrupted: no tag was moved and no service touched\n    to go on: inv deploy.prod\n" in ran.stderr
    assert not lock_parameters(shop)
