"""A rollback that was not seen to its end is taken up by the next one, which goes no further back."""

import json
from datetime import UTC, datetime

import pytest

from tests.cloud.accounts import Call
from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, Shop
from tests.scenes import Scenes

pytestmark = pytest.mark.waits


@pytest.fixture
def released(shop: Shop, scenes: Scenes) -> Shop:
    """Prod ran three images, one after the other: A, B and C."""
    shop.commits = scenes.play(shop, "A, B and C released", lambda: release_three(shop))
    return shop


def release_three(shop: Shop) -> dict[str, str]:
    repository = shop.endpoint.cloud.account(REGISTRY).repositories["api"]
    newest = repository.store(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {}}))
    commits = {"A": shop.commits["newer"], "B": shop.commits["older"], "C": shop.git("rev-parse", "HEAD")}
    repository.tags[commits["C"]] = newest.digest
    for commit in commits.values():
        ran = shop.inv("release.prod", "--commit", commit, "--allow-older", "--override", "test")
        assert ran.code == 0, ran.stderr
    return commits


MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def interrupted(shop: Shop, *words: str) -> None:
    """The rollback is stopped once AWS rolls out, so that nobody hears of its end."""
    began = shop.endpoint.operations()["UpdateService"]
    shop.interrupt(lambda call: shop.endpoint.operations()["UpdateService"] > began and call.operation == "ListTasks")
    ran = shop.inv("release.rollback", "prod", *words)
    shop.endpoint.fault = None
    assert ran.code == 130, ran.stdout + ran.stderr


def outcomes(shop: Shop, *words: str) -> tuple[int, dict[str, int]]:
    ran = shop.inv("release.rollback", "prod", *words, "--json")
    return ran.code, ran.summary.get("outcomes", {})


def commits(shop: Shop) -> list[str]:
    """What both tenants run in prod, by their letters."""
    letters = {shop.tags()[commit]: letter for letter, commit in shop.commits.items()}
    return [letters[shop.service(number, "prod").deployments[0].digests["api"]] for number in (1, 2)]


def hold(shop: Shop) -> dict[str, object]:
    told: dict[str, object] = json.loads(shop.inv("lock.status", "--json").stdout)[-1]["hold"]
    return told


def test_what_aws_finished_by_itself_is_unchanged_and_then_it_goes_further_back(released: Shop):
    interrupted(released)
    assert outcomes(released) == (0, {"unchanged": 2})
    assert commits(released) == ["B", "B"]
    assert outcomes(released) == (0, {"deployed": 2})
    assert commits(released) == ["A", "A"]


def test_where_there_is_no_release_further_back_it_is_no_refusal(released: Shop):
    assert outcomes(released) == (0, {"deployed": 2})
    interrupted(released)
    assert outcomes(released) == (0, {"unchanged": 2})
    assert commits(released) == ["A", "A"]


def test_of_some_tenants_it_is_taken_up_too(released: Shop):
    interrupted(released, "--tenant", "t1")
    assert hold(released)["unfinished"][0]["tenants"] == ["t1"]
    assert outcomes(released, "--tenant", "t1") == (0, {"unchanged": 1})
    assert commits(released) == ["B", "C"]
    assert hold(released)["unfinished"] == []
    assert outcomes(released, "--tenant", "t1") == (0, {"deployed": 1})
    assert commits(released) == ["A", "C"]


@pytest.mark.parametrize("given", ["commit", "release"])
def test_one_to_a_named_place_is_taken_up_by_the_bare_command(released: Shop, given: str):
    first = released.commits["A"]
    named = max(tag for tag, digest in released.tags().items() if digest == released.tags()[first] and "prod-" in tag)
    interrupted(released, "--to", first if given == "commit" else named)
    assert outcomes(released) == (0, {"unchanged": 2})
    assert commits(released) == ["A", "A"]


def test_one_to_a_time_is_taken_up_by_the_bare_command_with_the_definition_of_then(released: Shop):
    at = datetime.now(UTC).isoformat()
    then = [released.service(number, "prod").deployments[0].revision for number in (1, 2)]
    for number in (1, 2):
        released.edit(f"envs/t{number}.toml", 'env.LOG_LEVEL = "warning"', 'env.LOG_LEVEL = "error"')
    assert released.inv("deploy.prod").code == 0
    interrupted(released, "--at", at)
    assert outcomes(released) == (0, {"unchanged": 2})
    assert [released.service(number, "prod").deployments[0].revision for number in (1, 2)] == then
    assert commits(released) == ["C", "C"]


def test_what_failed_of_it_stays_unfinished_whatever_another_tenant_does_meanwhile(released: Shop):
    released.refuse("UpdateService", "AccessDeniedException", tenant_account(2))
    assert outcomes(released) == (1, {"deployed": 1, "failed": 1})
    assert [each["tenants"] for each in hold(released)["unfinished"]] == [["t2"]]
    released.endpoint.fault = None
    assert outcomes(released, "--tenant", "t1", "--to", released.commits["A"]) == (0, {"deployed": 1})
    assert outcomes(released, "--tenant", "t2") == (0, {"deployed": 1})
    assert commits(released) == ["A", "B"]
    assert hold(released)["unfinished"] == []


def test_two_unfinished_ones_to_different_places_are_not_mixed(released: Shop):
    interrupted(released, "--tenant", "t1")
    interrupted(released, "--tenant", "t2", "--to", released.commits["A"])
    before = released.writes()
    ran = released.inv("release.rollback", "prod")
    assert (ran.code, released.writes()) == (2, before)
    assert ran.stderr.startswith("prod: several rollbacks of prod were not finished: to ")
    assert f"inv release.rollback prod --tenant t2 --to {released.commits['A']}" in ran.stderr
    assert outcomes(released, "--tenant", "t1") == (0, {"unchanged": 1})
    assert outcomes(released) == (0, {"unchanged": 1, "deployed": 1})
    assert commits(released) == ["A", "A"]


def test_the_lock_tells_that_a_rollback_was_not_finished(released: Shop):
    interrupted(released, "--tenant", "t1")
    assert "unfinished  the rollback to prod-" in released.inv("lock.status").stdout


def test_a_hold_that_was_lifted_while_it_went_on_is_not_put_again(released: Shop):
    parameters = released.endpoint.cloud.account(REGISTRY).parameters

    def lift(call: Call) -> None:
        if call.operation == "UpdateService":
            parameters.pop("/deploytasks/shop/prod/hold", None)

    released.endpoint.fault = lift
    assert released.inv("release.rollback", "prod").code == 0
    assert "/deploytasks/shop/prod/hold" not in parameters
