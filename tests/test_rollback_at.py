"""`inv release.rollback TIER --at TIME`: each target gets the revision that it ran then, and the plan says who told."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from deploytasks import tags
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Ran, Shop
from tests.scenes import Scenes

pytestmark = pytest.mark.waits
LEVEL = 'env.LOG_LEVEL = "{}"'
LEVEL_AT_FIRST = {"dev": "debug", "prod": "warning"}
SAYS, RECORDED = "(ECS says that it ran then)", "(the newest that had begun by then)"


@dataclass(frozen=True, slots=True)
class Moment:
    """A time between two changes, and the revisions that ran then."""

    at: datetime
    revisions: list[str]


@dataclass
class Times:
    """A shop whose tier changes again and again, and the times between the changes."""

    shop: Shop
    scenes: Scenes
    tier: str = "prod"

    def have_run(self, *steps: str) -> list[Moment]:
        """One after the other these were rolled out: a commit, `older` or `newer`, or another LOG_LEVEL."""
        moments: list[Moment] = self.scenes.play(self.shop, f"{self.tier}: {steps}", lambda: self._run(steps))
        return moments

    def _run(self, steps: tuple[str, ...]) -> list[Moment]:
        *before, step = steps
        moments = self.have_run(*before) if before else []
        levels = [LEVEL_AT_FIRST[self.tier], *(each for each in before if each not in self.shop.commits)]
        at = self.release(step) if step in self.shop.commits else self.config(levels[-1], step)
        return [*moments, Moment(at, self.revisions())]

    def release(self, age: str) -> datetime:
        words = ["--commit", self.shop.commits[age], "--allow-older"]
        return self._after("release" if self.tier == "prod" else "tag", [*words, *self._gate()])

    def config(self, old: str, new: str) -> datetime:
        """Both tenants get another LOG_LEVEL, by a deploy of the same image."""
        for number in (1, 2):
            self.shop.edit(f"envs/t{number}.toml", LEVEL.format(old), LEVEL.format(new))
        return self._after("deploy", [])

    def _gate(self) -> list[str]:
        return ["--override", "test"] if self.tier == "prod" else [f"deploy.{self.tier}"]

    def _after(self, task: str, words: list[str]) -> datetime:
        ran = self.shop.inv(f"{task}.{self.tier}", *words)
        assert ran.code == 0, ran.stderr
        at = datetime.now(UTC)
        time.sleep(1 - at.microsecond / 1_000_000)  # release tags tell their time to the second
        return at

    def back(self, at: datetime, *words: str) -> Ran:
        return self.shop.inv("release.rollback", self.tier, "--at", at.isoformat(), *words)

    def revisions(self) -> list[str]:
        return [self.shop.service(number, self.tier).deployments[0].revision for number in (1, 2)]


@pytest.fixture
def prod(shop: Shop, scenes: Scenes) -> Times:
    return Times(shop, scenes)


@pytest.fixture
def dev(shop: Shop, scenes: Scenes) -> Times:
    return Times(shop, scenes, "dev")


def test_a_deploy_of_config_alone_is_undone(prod: Times):
    older, error = prod.have_run("older", "error")
    assert error.revisions != older.revisions
    ran = prod.back(older.at)
    assert ran.code == 0 and ran.stdout.count(SAYS) == 2, ran.stdout + ran.stderr
    assert prod.revisions() == older.revisions
    assert prod.shop.inv("deploy.prod").code == 2  # which is on hold


def test_of_several_deploys_of_config_the_one_that_stood_then_is_gone_back_to(prod: Times):
    _, error, _, _ = prod.have_run("older", "error", "info", "newer")
    assert prod.back(error.at).code == 0
    assert prod.revisions() == error.revisions
    assert prod.shop.tags()["prod"] == prod.shop.tags()[prod.shop.commits["older"]]


def not_served(shop: Shop) -> None:
    shop.endpoint.cloud.native = False


def denied(operation: str) -> Callable[[Shop], None]:
    return lambda shop: shop.refuse(operation, "AccessDeniedException")


def forgotten(shop: Shop) -> None:
    """ECS keeps 90 days of service deployments, and the last one before that time is older."""
    for number in (1, 2):
        shop.service(number, "prod").history[1:] = []


UNTOLD = {
    "not served": not_served,
    "may not list": denied("ListServiceDeployments"),
    "may not describe": denied("DescribeServiceRevisions"),
    "older than 90 days": forgotten,
}


@pytest.mark.parametrize("untold", UNTOLD.values(), ids=UNTOLD)
def test_where_ecs_does_not_tell_the_newest_revision_that_had_begun_is_taken(
    prod: Times, untold: Callable[[Shop], None]
):
    _, error, _ = prod.have_run("older", "error", "info")
    untold(prod.shop)
    ran = prod.back(error.at)
    assert ran.code == 0 and ran.stdout.count(RECORDED) == 2, ran.stdout + ran.stderr
    assert prod.revisions() == error.revisions


def test_deployments_that_failed_did_not_run_then(prod: Times):
    (older,) = prod.have_run("older")
    for number in (1, 2):
        configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        prod.shop.service(number, "prod").configuration = configuration
        prod.shop.edit(f"envs/t{number}.toml", LEVEL.format("warning"), LEVEL.format("broken"))
    prod.shop.endpoint.cloud.fates = lambda *_: Fate(death=Death(), trips_s=0)
    assert prod.shop.inv("deploy.prod").code == 1
    prod.shop.endpoint.cloud.fates, at = None, datetime.now(UTC)
    prod.release("newer")
    assert prod.back(at).code == 0
    assert prod.revisions() == older.revisions


def test_a_releases_own_time_means_that_release_with_its_first_definition(prod: Times):
    then, _, _ = prod.have_run("older", "error", "newer")
    named = prod.shop.tags()
    older = named[prod.shop.commits["older"]]
    release = max(tag for tag in named if tag.startswith("prod-") and named[tag] == older)
    ran = prod.back(tags.certified_at(release, "prod") or datetime.now(UTC))
    assert ran.code == 0, ran.stderr
    assert prod.revisions() == then.revisions


def test_a_tenant_that_had_stayed_behind_gets_what_it_ran_then(prod: Times):
    (older,) = prod.have_run("older")
    words = ["--tenant", "t1", "--override", "test", "--allow-older", "--commit", prod.shop.commits["newer"]]
    assert prod.shop.inv("release.prod", *words).code == 0
    at = datetime.now(UTC)
    ahead = prod.revisions()[0]
    assert prod.shop.inv("deploy.prod").code == 0
    prod.config("warning", "error")
    ran = prod.back(at, "--json")
    assert ran.code == 0, ran.stdout
    assert prod.revisions() == [ahead, older.revisions[1]]
    commits = prod.shop.commits
    assert [each["commit"] for each in ran.summary["results"]] == [commits["newer"], commits["older"]]
    assert prod.shop.tags()["prod"] == prod.shop.tags()[commits["newer"]]


def test_what_ran_then_and_is_in_ecr_no_more_is_refused_with_the_others(prod: Times):
    prod.have_run("older")
    words = ["--tenant", "t1", "--override", "test", "--allow-older", "--commit", prod.shop.commits["newer"]]
    assert prod.shop.inv("release.prod", *words).code == 0
    at = datetime.now(UTC)
    assert prod.shop.inv("deploy.prod").code == 0
    repository = prod.shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    gone = repository.tags[prod.shop.commits["older"]]
    repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != gone}
    del repository.images[gone]
    before = prod.shop.writes()
    ran = prod.back(at)
    assert (ran.code, prod.shop.writes()) == (2, before)
    assert "t2-prod/api: ECR does not hold the image of shop-t2-prod-api:2, which ran then\n" in ran.stderr


def test_a_definition_that_was_deleted_is_rendered_now_and_that_is_noted(prod: Times):
    older, _ = prod.have_run("older", "newer")

    def delete(call: Call) -> AwsError | None:
        deleted = call.operation == "DescribeTaskDefinition" and "shop-t2-prod-api:2" in call.ask["taskDefinition"]
        return AwsError("ClientException", "Unable to describe task definition.") if deleted else None

    prod.shop.endpoint.fault = delete
    ran = prod.back(older.at, "--json")
    assert ran.code == 0, ran.stdout
    planned = next(one for line in ran.stdout.splitlines() if (one := json.loads(line))["event"] == "planned")
    (note,) = [each for each in planned["plan"]["notes"] if each.startswith("rendered now from this checkout")]
    assert "t2-prod/api\nwhether that config is committed, or older than what runs, was not asked" in note


def test_where_the_definition_names_the_tiers_tag_the_image_follows_it_and_the_definition_is_of_then(dev: Times):
    _, info, _, _ = dev.have_run("older", "info", "error", "newer")
    ran = dev.back(info.at, "--json")
    assert ran.code == 0, ran.stdout
    older = dev.shop.tags()[dev.shop.commits["older"]]
    assert (dev.revisions(), dev.shop.tags()["dev"]) == (info.revisions, older)
    assert {each["digest"] for each in ran.summary["results"]} == {older}


def test_where_the_definition_names_the_tiers_tag_config_alone_is_undone(dev: Times):
    older, _ = dev.have_run("older", "info")
    ran = dev.back(older.at, "--tenant", "t1")
    assert ran.code == 0, ran.stderr
    assert dev.revisions()[0] == older.revisions[0] and dev.revisions()[1] != older.revisions[1]


def test_where_the_definition_names_the_tiers_tag_the_same_revision_is_rolled_out_anew(dev: Times):
    then, newer = dev.have_run("older", "newer")
    assert newer.revisions == then.revisions
    ran = dev.back(then.at, "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2}), ran.stdout
    older = dev.shop.tags()[dev.shop.commits["older"]]
    assert [dev.shop.service(number, "dev").deployments[0].digests["api"] for number in (1, 2)] == [older, older]


def test_the_release_before_has_its_own_definition_where_that_names_the_tiers_tag(dev: Times):
    _, info, _, _ = dev.have_run("older", "info", "newer", "error")
    ran = dev.shop.inv("release.rollback", "dev")
    assert ran.code == 0 and ran.stdout.count(SAYS) == 2, ran.stdout
    assert dev.revisions() == info.revisions


def test_the_same_time_again_is_unchanged(prod: Times):
    older, _ = prod.have_run("older", "error")
    assert prod.back(older.at).code == 0
    ran = prod.back(older.at, "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"unchanged": 2})


def test_one_that_was_stopped_half_way_goes_on_to_the_same_time(prod: Times):
    older, _ = prod.have_run("older", "error")
    prod.shop.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    ran = prod.back(older.at, "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"deployed": 1, "failed": 1})
    exact = older.at.isoformat().replace("+00:00", "Z")
    assert f"inv release.rollback prod --tenant t2 --at {exact}" in ran.summary["resume"]
    prod.shop.endpoint.fault = None
    ran = prod.shop.inv("release.rollback", "prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"unchanged": 1, "deployed": 1})
    assert prod.revisions() == older.revisions
