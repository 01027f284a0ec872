"""A one-off task before a deploy runs once for an image, however its release ends and whatever ECS tells late."""

import json
from typing import Any

import pytest

from deploytasks.aws import follow_task
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_definitions import register
from tests.cloud.ecs_tasks import Script
from tests.cloud.world import tenant_account
from tests.commands import Ran, Shop

pytestmark = pytest.mark.waits
ACCOUNT = tenant_account(1)
AGAIN = ("--allow-older", "--override", "test")


@pytest.fixture
def migrating(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """Before each deploy of `api` its database is migrated."""
    monkeypatch.setattr(follow_task, "QUIET_S", 0.2)
    monkeypatch.setattr(follow_task, "POLL_S", 0.1)
    shop.edit("envs/project.toml", "[services.api]", '[services.api]\nbefore_deploy = [["./manage", "migrate"]]')
    return shop


def tasks(shop: Shop) -> list[Any]:
    return list(shop.endpoint.cloud.account(ACCOUNT).one_offs.values())


def unseen_once(shop: Shop, *words: str) -> Ran:
    """A release that begins its task and never learns how that ends."""
    shop.refuse("DescribeTasks", "AccessDeniedException")
    ran = shop.inv(*words)
    shop.endpoint.fault = None
    return ran


def foreign(shop: Shop, number: int) -> None:
    """Another tool registers so many revisions in the family."""
    account = shop.endpoint.cloud.account(ACCOUNT)
    (family,) = (name for name in account.families if name.endswith("t1-prod-api"))
    for _ in range(number):
        register(account, {"family": family, "containerDefinitions": [{"name": "other", "image": "x:1", "memory": 5}]})


@pytest.mark.parametrize("others", [0, 1, 25])
def test_a_task_that_ecs_lists_late_is_known_again_by_its_token(migrating: Shop, others: int):
    migrating.endpoint.cloud.list_lag_s = 60
    assert unseen_once(migrating, "release.prod").code == 1
    foreign(migrating, others)
    ran = migrating.inv("deploy.prod", "--json")
    assert (ran.code, len(tasks(migrating))) == (0, 1), ran.stderr
    assert ran.summary["outcomes"] == {"deployed": 2}


def test_a_token_that_was_used_with_another_request_leads_to_the_task_that_has_it(migrating: Shop):
    migrating.endpoint.cloud.list_lag_s = 60
    assert unseen_once(migrating, "release.prod").code == 1
    foreign(migrating, 1)  # so that the definition is registered anew: another revision asks with the same token
    assert migrating.inv("deploy.prod").code == 0
    (task,) = tasks(migrating)
    assert migrating.service(1, "prod").deployments[0].revision != task.revision.arn


def test_a_task_that_failed_is_run_again_with_another_token(migrating: Shop):
    migrating.endpoint.cloud.scripts = lambda _words: Script(exit=3)
    assert migrating.inv("release.prod").code == 1
    migrating.endpoint.cloud.scripts = None
    assert migrating.inv("deploy.prod").code == 0
    tokens = [one.ask["clientToken"] for one in tasks(migrating)]
    assert [token.rpartition("-")[2] for token in tokens] == ["1", "2"]
    assert len({token.rpartition("-")[0] for token in tokens}) == 1 and max(map(len, tokens)) <= 64


def test_a_task_that_failed_unseen_is_run_again_with_another_token(migrating: Shop):
    migrating.endpoint.cloud.scripts = lambda _words: Script(exit=3)
    assert unseen_once(migrating, "release.prod").code == 1
    migrating.endpoint.cloud.scripts = None
    assert migrating.inv("deploy.prod").code == 0
    assert len(tasks(migrating)) == 2


def test_a_failure_that_ecs_lists_late_is_reported_and_not_run_a_second_time(migrating: Shop):
    migrating.endpoint.cloud.list_lag_s = 60
    migrating.endpoint.cloud.scripts = lambda _words: Script(exit=3)
    assert unseen_once(migrating, "release.prod").code == 1
    migrating.endpoint.cloud.scripts = None
    ran = migrating.inv("deploy.prod")
    assert (ran.code, len(tasks(migrating))) == (1, 1)
    assert "step 1 of 1, ./manage migrate ended with exit code 3" in ran.stdout
    assert (migrating.inv("deploy.prod").code, len(tasks(migrating))) == (0, 2)


def test_that_a_task_cannot_be_recorded_is_said_before_it_runs(migrating: Shop):
    told_at: list[int] = []

    def fault(call: Call) -> AwsError | None:
        if call.operation == "TagResource" and call.account == ACCOUNT:
            told_at.append(len(tasks(migrating)))
            return AwsError("AccessDeniedException", "no")
        return None

    migrating.endpoint.fault = fault
    ran = migrating.inv("release.prod", "--json")
    lines = [json.loads(line) for line in ran.stdout.splitlines()]
    said = [line["message"] for line in lines if line.get("step") in ("record", "step") and "t1" in line["about"]]
    assert (told_at[0], len(tasks(migrating))) == (0, 1)
    assert said[0].startswith("step 1 of 1, ./manage migrate: it runs, but cannot be recorded, so that a release more")
    assert said[1].startswith("step 1 of 1, ./manage migrate: task ")


def test_a_record_that_could_not_be_written_for_another_reason_lets_no_task_run(migrating: Shop):
    migrating.refuse("TagResource", "InvalidParameterException")
    ran = migrating.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"], tasks(migrating)) == (1, {"failed": 2}, [])


def test_an_image_that_comes_back_by_a_release_is_not_migrated_again(migrating: Shop):
    for commit in ("older", "newer", "older"):
        assert migrating.inv("release.prod", "--commit", migrating.commits[commit], *AGAIN).code == 0
    assert len(tasks(migrating)) == 2


def test_a_command_run_by_hand_twice_on_purpose_runs_twice(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(follow_task, "QUIET_S", 0.1)
    for _ in range(2):
        assert shop.inv("deploy.run", "prod", "--tenant", "t1", "--service", "api", "--", "date").code == 0
    assert len({one.ask["clientToken"] for one in tasks(shop)}) == 2
