"""`inv release.rollback`: which release it goes back to, how, and that the tier stays there."""

import json
from datetime import UTC, datetime

import pytest

from deploytasks import tags
from tests.cloud.accounts import AwsError, Call
from tests.cloud.ecs_fates import Death, Fate
from tests.cloud.world import tenant_account
from tests.commands import WRITES, Shop
from tests.scenes import Scenes

pytestmark = pytest.mark.waits


@pytest.fixture
def released(shop: Shop, scenes: Scenes) -> Shop:
    """Both tenants run the newer commit in prod, after the older one, each released as a whole."""

    def release_both() -> None:
        for commit in ("older", "newer"):
            ran = shop.inv("release.prod", "--commit", shop.commits[commit], "--allow-older", "--override", "test")
            assert ran.code == 0, ran.stderr

    scenes.play(shop, "older and newer released", release_both)
    return shop


@pytest.mark.quick
def test_it_goes_back_to_the_release_before_with_the_definition_of_then(released: Shop):
    registered = released.endpoint.operations()["RegisterTaskDefinition"]
    ran = released.inv("release.rollback", "prod", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.summary["outcomes"] == {"deployed": 2}
    assert {result["commit"] for result in ran.summary["results"]} == {released.commits["older"]}
    assert released.endpoint.operations()["RegisterTaskDefinition"] == registered
    assert released.tags()["prod"] == released.tags()[released.commits["older"]]


def test_what_is_new_in_envs_and_was_never_released_does_not_hinder_it(released: Shop):
    released.add_service("proxy")  # without a repository, an ECS service and an image
    released.add_job()
    released.endpoint.cloud.account(tenant_account(2)).missing.add("schedule")  # its role
    ran = released.inv("release.rollback", "prod", "--json")
    assert ran.code == 0, ran.stderr
    assert ran.summary["outcomes"] == {"deployed": 2}
    assert {result["commit"] for result in ran.summary["results"]} == {released.commits["older"]}
    assert "left out, since never released in prod: t1-prod/nightly, t1-prod/proxy, t2-prod/nightly" in ran.stdout


def test_what_was_released_before_its_service_was_deleted_is_not_left_out(released: Shop):
    account = released.endpoint.cloud.account(tenant_account(1))
    del account.clusters["t1-prod"].services["api"]
    ran = released.inv("release.rollback", "prod")
    assert "left out" not in ran.stdout
    assert (ran.code, "t1-prod/api" in ran.stderr) == (2, True), ran.stderr


def test_the_tier_is_held_until_somebody_lifts_it(released: Shop):
    assert released.inv("release.rollback", "prod").code == 0
    ran = released.inv("release.prod")
    assert ran.code == 2 and "rolled back from" in ran.stderr and "inv lock.release prod" in ran.stderr
    assert "prod: on hold: no other commit until inv lock.release prod\n" in released.inv("lock.status").stdout
    assert released.inv("deploy.prod").code == 0
    assert released.inv("lock.release", "prod", "--yes").code == 0
    assert released.inv("release.prod").code == 0


def test_the_board_tells_of_a_hold(released: Shop):
    released.inv("release.rollback", "prod")
    told = "prod: on hold: no other commit until inv lock.release prod ("
    assert told in released.inv("status").stdout
    page = released.root / "board.html"
    (hold,) = json.loads(released.inv("status", "--tier", "prod", "--html", str(page), "--json").stdout)["holds"]
    assert (hold["tier"], hold["command"]) == ("prod", "release.rollback prod")
    assert told in page.read_text()
    assert released.inv("status", "--tier", "dev", "--json").stdout.count('"holds": []') == 1


def test_a_hold_that_may_not_be_put_is_a_refusal_before_any_change(released: Shop):
    def deny(call: Call) -> AwsError | None:
        denied = call.operation == "PutParameter" and str(call.ask["Name"]).endswith("/hold")
        return AwsError("AccessDeniedException", "no") if denied else None

    released.endpoint.fault = deny
    released.endpoint.calls.clear()
    ran = released.inv("release.rollback", "prod")
    assert (ran.code, released.writes()) == (2, {}), ran.stderr


def test_a_dry_run_of_it_changes_nothing(released: Shop):
    released.endpoint.calls.clear()
    ran = released.inv("release.rollback", "prod", "--dry-run")
    assert ran.code == 0 and "back to shop-t1-prod-api:" in ran.stdout
    assert not WRITES & set(released.endpoint.operations())


def test_without_a_release_before_it_is_refused(shop: Shop):
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, ran.stderr.startswith("prod: there is no release before")) == (2, True)
    assert shop.writes() == {} and shop.inv("lock.status").stdout.count("free") == 3


def test_again_it_goes_further_back_and_never_to_what_it_fled_from(released: Shop):
    assert released.inv("release.rollback", "prod").code == 0
    ran = released.inv("release.rollback", "prod")
    assert ran.code == 2 and "no release before" in ran.stderr, ran.stdout


def test_one_that_was_killed_half_way_goes_on_to_the_same_release(released: Shop):
    released.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    ran = released.inv("release.rollback", "prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"deployed": 1, "failed": 1})
    assert "inv release.rollback prod --tenant t2 --to prod-" in ran.summary["resume"]
    released.endpoint.fault = None
    ran = released.inv("release.rollback", "prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"unchanged": 1, "deployed": 1})
    assert {result["commit"] for result in ran.summary["results"]} == {released.commits["older"]}


@pytest.mark.parametrize("given", [["--to", "older"], ["--to", "release"], ["--at", "now"]])
def test_it_goes_where_it_is_told(released: Shop, given: list[str]):
    named = released.tags()
    older = named[released.commits["older"]]
    first = min(tag for tag in named if tag.startswith("prod-") and named[tag] == older)
    at = (tags.certified_at(first, "prod") or datetime.now(UTC)).isoformat()
    words = {"older": released.commits["older"], "release": first, "now": at}
    ran = released.inv("release.rollback", "prod", given[0], words[given[1]], "--json")
    assert ran.code == 0, ran.stderr
    assert {result["commit"] for result in ran.summary["results"]} == {released.commits["older"]}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--to", "prod-20200101T000000Z"], "prod: there is no prod-20200101T000000Z in ECR"),
        (["--at", "2020-01-01"], "prod: there was no release at 2020-01-01T00:00:00Z"),
        (["--at", "noon"], "--at: 'noon' is not a valid time"),
        (["--to", "0" * 40], "api: commit 0000000 is not in ECR"),
    ],
)
def test_what_is_not_there_is_refused(shop: Shop, words: list[str], complaint: str):
    ran = shop.inv("release.rollback", "prod", *words)
    assert (ran.code, ran.stderr.startswith(complaint)) == (2, True), ran.stderr
    assert shop.writes() == {}


def test_a_hold_at_a_commit_names_it_once_and_short(released: Shop):
    assert released.inv("release.rollback", "prod", "--to", released.commits["older"]).code == 0
    older, newer = (released.commits[age][:7] for age in ("older", "newer"))
    assert f"reason   rolled back from {newer} to {older}\n" in released.inv("lock.status").stdout


def test_one_tenant_goes_back_and_the_tag_stays(released: Shop):
    named = released.tags()["prod"]
    ran = released.inv("release.rollback", "prod", "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 1})
    assert released.tags()["prod"] == named


def test_a_release_whose_every_rollout_failed_is_passed_over_and_that_is_said(shop: Shop):
    for commit, dies in (("older", False), ("newer", True)):
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
        for number in (1, 2):
            shop.service(number, "prod").configuration = breaker
        shop.endpoint.cloud.fates = (lambda *_: Fate(death=Death(), trips_s=0)) if dies else None
        words = ["--commit", shop.commits[commit], "--allow-older", "--override", "test"]
        assert shop.inv("release.prod", *words).code == (1 if dies else 0)
    shop.endpoint.cloud.fates = None
    failed = shop.tags()["prod"]
    shop.inv("lock.release", "prod", "--yes")
    ran = shop.inv("release.rollback", "prod", "--json")
    assert ran.code == 0, ran.stderr
    assert failed != shop.tags()["prod"] == shop.tags()[shop.commits["older"]]


@pytest.mark.parametrize("tenants", [(1,), (1, 2)])
def test_of_a_releases_revisions_it_takes_the_one_that_ran_and_not_a_later_one_that_failed(
    shop: Shop, tenants: tuple[int, ...]
):
    def log_levels(old: str, new: str) -> None:
        for number in tenants:
            shop.edit(f"envs/t{number}.toml", f'env.LOG_LEVEL = "{old}"', f'env.LOG_LEVEL = "{new}"')

    words = ["--allow-older", "--override", "test"]
    for number in (1, 2):
        shop.service(number, "prod").configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": True}}
    assert shop.inv("release.prod", "--commit", shop.commits["older"], *words).code == 0
    ran = [shop.service(number, "prod").deployments[0].revision for number in (1, 2)]
    log_levels("warning", "broken")
    shop.endpoint.cloud.fates = lambda *_: Fate(death=Death(), trips_s=0)
    assert shop.inv("deploy.prod").code == 1
    shop.endpoint.cloud.fates = None
    log_levels("broken", "warning")
    assert shop.inv("release.prod", "--commit", shop.commits["newer"], *words).code == 0
    assert shop.inv("release.rollback", "prod").code == 0
    assert [shop.service(number, "prod").deployments[0].revision for number in (1, 2)] == ran


def test_a_rollout_that_nobody_could_see_the_end_of_is_no_failed_one(shop: Shop):
    def blind(call: Call) -> AwsError | None:
        began = shop.endpoint.operations()["UpdateService"]
        return AwsError("AccessDeniedException", "") if began and call.operation == "DescribeServices" else None

    words = ["--allow-older", "--override", "test"]
    shop.endpoint.fault = blind
    assert shop.inv("release.prod", "--commit", shop.commits["older"], *words).code == 1
    shop.endpoint.fault = None
    assert shop.inv("release.prod", "--commit", shop.commits["newer"], *words).code == 0
    assert shop.inv("release.rollback", "prod").code == 0
    assert shop.tags()["prod"] == shop.tags()[shop.commits["older"]]


def test_a_release_that_was_restored_after_its_timeout_is_passed_over(shop: Shop):
    shop.endpoint.cloud.native = False
    shop.edit("envs/project.toml", "[tiers.prod]", '[tiers.prod]\ntimeout = "1s"')
    older, newer = shop.commits["older"], shop.commits["newer"]
    words = ["--allow-older", "--override", "test", "--json"]
    left = [Fate(death=Death()), Fate(death=Death())]
    shop.endpoint.cloud.fates = lambda *_: left.pop() if left else Fate()
    assert shop.inv("release.prod", "--commit", older, *words).summary["outcomes"] == {"rolled back": 2}
    assert shop.inv("release.prod", "--commit", newer, *words).code == 0
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, "is skipped: its rollouts failed" in ran.stdout) == (2, True), ran.stdout


def test_a_release_that_ecs_refused_to_roll_out_is_passed_over(shop: Shop):
    words = ["--allow-older", "--override", "test"]
    shop.refuse("UpdateService", "AccessDeniedException")
    assert shop.inv("release.prod", "--commit", shop.commits["older"], *words).code == 1
    shop.endpoint.fault = None
    assert shop.inv("release.prod", "--commit", shop.commits["newer"], *words).code == 0
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, "is skipped: its rollouts failed" in ran.stdout) == (2, True), ran.stdout


def test_a_release_that_failed_at_first_and_then_ran_is_gone_back_to(shop: Shop):
    for number in (1, 2):
        shop.service(number, "prod").configuration = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
    words = ["--allow-older", "--override", "test"]
    shop.endpoint.cloud.fates = lambda *_: Fate(death=Death(), trips_s=0)
    assert shop.inv("release.prod", "--commit", shop.commits["older"], *words, "--no-restore").code == 1
    shop.endpoint.cloud.fates = None
    assert shop.inv("deploy.prod").code == 0
    assert shop.inv("release.prod", "--commit", shop.commits["newer"], *words).code == 0
    ran = shop.inv("release.rollback", "prod", "--json")
    assert ran.code == 0, ran.stderr
    assert shop.tags()["prod"] == shop.tags()[shop.commits["older"]]


def test_a_revision_that_failed_when_it_was_rolled_out_anew_is_rolled_out_once_more(released: Shop):
    for number in (1, 2):
        breaker = {"deploymentCircuitBreaker": {"enable": True, "rollback": False}}
        released.service(number, "prod").configuration = breaker
    released.endpoint.cloud.fates = lambda *_: Fate(death=Death(), trips_s=0)
    assert released.inv("deploy.prod", "--force", "--no-restore").code == 1
    released.endpoint.cloud.fates = None
    ran = released.inv("release.rollback", "prod", "--to", released.commits["newer"], "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2}), ran.stdout


def test_a_mutable_tier_moves_its_tag_to_the_older_commit_and_rolls_it_out(shop: Shop):
    for commit in ("older", "newer"):
        assert shop.inv("tag.dev", "--commit", shop.commits[commit], "--allow-older", "deploy.dev").code == 0
    ran = shop.inv("release.rollback", "dev", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2})
    older = shop.tags()[shop.commits["older"]]
    assert shop.tags()["dev"] == older
    assert {result["digest"] for result in ran.summary["results"]} == {older}


def test_a_target_without_a_revision_of_then_is_rendered_now_and_that_is_said(released: Shop):
    family = released.endpoint.cloud.account(tenant_account(2)).families["shop-t2-prod-api"]
    for revision in family[:-1]:
        revision.tags.clear()
    ran = released.inv("release.rollback", "prod")
    assert ran.code == 0, ran.stderr
    assert "rendered now: no revision of then carries the release" in ran.stdout
    assert "back to shop-t1-prod-api:" in ran.stdout


def test_an_image_that_is_gone_is_refused_before_any_change(released: Shop):
    repository = released.endpoint.cloud.account("012345678922").repositories["api"]
    gone = repository.tags[released.commits["older"]]
    repository.tags = {tag: digest for tag, digest in repository.tags.items() if digest != gone}
    del repository.images[gone]
    before = released.writes()
    ran = released.inv("release.rollback", "prod")
    assert (ran.code, ran.stderr.startswith("prod: there is no release before")) == (2, True)
    assert released.writes() == before


def test_a_rollback_mints_a_release_tag_as_every_tag_step_does(released: Shop):
    def minted() -> set[str]:
        return {tag for tag in released.tags() if tag.startswith("prod-")}

    before = minted()
    assert released.inv("release.rollback", "prod").code == 0
    (tag,) = minted() - before
    assert tag > max(before) and released.tags()[tag] == released.tags()[released.commits["older"]]


def test_a_tenant_that_was_taken_back_alone_is_kept_from_every_release_and_deploy(released: Shop):
    assert released.inv("release.rollback", "prod", "--tenant", "t1").code == 0
    for task in ("release.prod", "deploy.prod"):
        ran = released.inv(task)
        assert ran.code == 2, ran.stdout
        assert (
            "holds t1 since" in ran.stderr
            and "leave them out: --exclude t1; to go on all the same, end the hold first:" in ran.stderr
        )
    assert released.inv("deploy.prod", "--exclude", "t1", "--json").summary["outcomes"] == {"unchanged": 1}
    assert released.inv("release.rollback", "prod", "--tenant", "t2").code == 0
    assert "holds t1, t2 since" in released.inv("deploy.prod").stderr
    assert released.inv("lock.release", "prod", "--yes").code == 0
    assert released.inv("deploy.prod", "--json").summary["outcomes"] == {"deployed": 2}


def test_a_held_tier_takes_no_other_commit_by_a_deploy_either(released: Shop):
    newer = released.tags()["prod"]
    assert released.inv("release.rollback", "prod").code == 0
    ran = released.inv("deploy.prod", "--to", released.commits["newer"])
    assert (ran.code, "holds it since" in ran.stderr) == (2, True)
    assert released.inv("deploy.prod", "--to", released.commits["older"], "--json").code == 0
    assert released.tags()["prod"] != newer


def test_after_a_rollback_to_a_commit_that_was_never_released_none_goes_forward_again(shop: Shop):
    """The tier ran the newer commit alone; the older one was never tagged there."""
    older = shop.tags()[shop.commits["older"]]
    repository = shop.endpoint.cloud.account("012345678922").repositories["api"]
    repository.tags = {
        tag: each for tag, each in repository.tags.items() if not (tag.startswith("prod-") and each == older)
    }
    assert shop.inv("release.prod").code == 0
    assert shop.inv("release.rollback", "prod", "--to", shop.commits["older"]).code == 0
    ran = shop.inv("release.rollback", "prod")
    assert (ran.code, "no release before" in ran.stderr) == (2, True), ran.stdout
    assert shop.tags()["prod"] == older


def test_where_there_is_nothing_to_go_back_the_tier_is_not_held(released: Shop):
    commit = released.commits["newer"]
    ran = released.inv("release.rollback", "prod", "--to", commit, "--json")
    assert (ran.code, ran.summary["outcomes"], ran.summary["notes"]) == (0, {"unchanged": 2}, [])
    assert "on hold" not in released.inv("lock.status").stdout


def test_a_time_to_come_is_refused(shop: Shop):
    ran = shop.inv("release.rollback", "prod", "--at", "2999-01-01")
    assert (ran.code, ran.stderr.splitlines()[0]) == (2, "--at: '2999-01-01' lies in the future")


@pytest.mark.parametrize("at", ["0001-01-01T00:00+14:00", "9999-12-31T23:59-12:00", "12:00", ""])
def test_what_is_no_time_is_refused(shop: Shop, at: str):
    ran = shop.inv("release.rollback", "prod", "--at", at)
    assert (ran.code, ran.stderr.splitlines()[0]) == (2, f"--at: '{at}' is not a valid time")


def test_what_a_hold_of_some_tenants_keeps_away_is_told_as_it_is(released: Shop):
    dry = released.inv("release.rollback", "prod", "--tenant", "t2", "--dry-run", "--json").summary["notes"]
    assert dry[0].startswith("of prod, t2 would be on hold: ")
    told = released.inv("release.rollback", "prod", "--tenant", "t2", "--json").summary["notes"]
    assert told == [
        "of prod, t2 is on hold: nothing else is released or deployed there until inv lock.release prod",
        "the tag prod stays where it is: after that, inv deploy.prod brings these targets forward again",
    ]
    assert "prod: t2 on hold: no other commit until inv lock.release prod\n" in released.inv("lock.status").stdout
    assert released.inv("deploy.prod").code == 2
    assert released.inv("deploy.prod", "--exclude", "t2").code == 0


def test_a_release_and_a_time_are_not_both_taken(shop: Shop):
    ran = shop.inv("release.rollback", "prod", "--to", "older", "--at", "2026-11-23")
    assert (ran.code, ran.stderr.splitlines()[0]) == (2, "--at: can't be combined with --to")


def test_where_definitions_name_the_tier_tag_some_targets_cannot_go_back_alone(shop: Shop):
    assert shop.inv("tag.dev", "--commit", shop.commits["older"], "--allow-older").code == 0
    assert shop.inv("deploy.dev").code == 0
    before = shop.writes()
    ran = shop.inv("release.rollback", "dev", "--tenant", "t1")
    assert (ran.code, shop.writes()) == (2, before)
    assert ran.stderr.startswith(
        "dev: the definitions name api:dev, which all tenants and services share, so some of them can't go back alone\n"
        "    take all back: inv release.rollback dev\n"
    )
