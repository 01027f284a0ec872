"""`--override`: the reason why a release was let past the gate is recorded before the release is, and shown with it."""

import json

import pytest

from tests.commands import REGISTRY, Shop
from tests.gates import runs_older, untried

__all__ = ["untried"]
pytestmark = pytest.mark.waits


def override_in_history(shop: Shop, tier: str = "prod") -> str | None:
    document = json.loads(shop.inv("release.history", tier, "--json").stdout)
    newest: str | None = document["releases"][0]["override"]
    return newest


def overrides_on_board(shop: Shop, tier: str = "prod") -> set[str | None]:
    return {cell["override"] for cell in json.loads(shop.inv("status", "--tier", tier, "--json").stdout)["cells"]}


def test_an_overridden_release_is_told_by_history_and_board(untried: Shop):
    runs_older(untried, 1, "staging")
    assert untried.inv("release.prod", "--override", "the shop is down", "--no-wait").code == 0
    assert override_in_history(untried) == "the shop is down"
    assert '--override "the shop is down"' in untried.inv("release.history", "prod").stdout
    assert overrides_on_board(untried) == {"the shop is down"}
    assert "released with --override: the shop is down" in untried.inv("status", "--tier", "prod").stdout


def test_a_tag_that_was_overridden_is_told_after_a_deploy_that_says_nothing_of_it(untried: Shop):
    runs_older(untried, 1, "staging")
    assert untried.inv("tag.prod", "--override", "the {{shop}} is down").code == 0
    assert override_in_history(untried) == "the {{shop}} is down"
    assert untried.inv("deploy.prod", "--no-wait").code == 0
    assert override_in_history(untried) == "the {{shop}} is down"
    assert overrides_on_board(untried) == {"the {{shop}} is down"}


def test_the_reason_is_on_record_before_the_release_is(untried: Shop):
    untried.refuse("PutImage", "AccessDeniedException")
    assert untried.inv("tag.prod", "--override", "the shop is down").code == 1
    untried.endpoint.fault = None
    untried.refuse("PutParameter", "AccessDeniedException")
    assert untried.inv("tag.prod", "--override", "again").code == 2
    recorded = untried.endpoint.cloud.account(REGISTRY).parameters
    (name,) = recorded
    assert name.startswith("/deploytasks/shop/prod/overrides/prod-2")


def test_nothing_is_recorded_where_nothing_is_minted(shop: Shop):
    assert shop.inv("release.prod", "--override", "just so", "--no-wait").code == 0
    assert not shop.endpoint.cloud.account(REGISTRY).parameters


def test_who_may_not_read_overrides_sees_the_rest_and_that_something_is_missing(untried: Shop):
    assert untried.inv("release.prod", "--no-wait").code == 0
    untried.refuse("GetParametersByPath", "AccessDeniedException")
    for words in (["status", "--tier", "prod"], ["release.history", "prod"]):
        ran = untried.inv(*words)
        assert ran.code == 0
        assert "why the gate was passed, holds and locks may be missing: " in ran.stdout


def test_more_overrides_than_a_page_holds_are_all_told(shop: Shop):
    for number in range(12):
        commit = shop.commits["older" if number % 2 else "newer"]
        assert shop.inv("tag.prod", "--commit", commit, "--allow-older", "--override", f"reason {number}").code == 0
    rows = json.loads(shop.inv("release.history", "prod", "--json").stdout)["releases"]
    assert [row["override"] for row in rows] == [*(f"reason {number}" for number in range(11, 0, -1)), None]


def test_a_rollout_without_a_reason_does_not_keep_the_one_before(shop: Shop):
    shop.inv(
        "deploy.dev", "--force", "--no-wait"
    )  # from now on the definition is the template's, and the service is recorded on
    shop.inv("deploy.dev", "--force", "--override", "the shop is down", "--no-wait")
    assert overrides_on_board(shop, "dev") == {"the shop is down"}
    shop.inv("deploy.dev", "--force", "--no-wait")
    assert overrides_on_board(shop, "dev") == {None}
