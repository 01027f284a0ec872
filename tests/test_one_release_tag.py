"""One release has one tag over all its images, whatever commits they are of and wherever it died."""

import json
from collections.abc import Mapping

import pytest

from tests.cloud.accounts import AwsError, Call
from tests.commands import Ran, Shop
from tests.test_shared_image import PROXY, beside, images, repository

__all__ = ["beside"]
pytestmark = pytest.mark.waits
FORMER = "prod-20260203T040506Z"


@pytest.fixture
def staged(beside: Shop) -> Shop:
    """Prod runs one release of both images; staging names newer ones, `api` of a commit and `nginx` of the next."""
    assert beside.inv("release.prod").code == 0
    for name in ("api", "nginx"):
        stage(beside, name)
    return beside


def stage(shop: Shop, name: str) -> None:
    """Staging names an image of a new commit."""
    shop.git("commit", "-q", "--allow-empty", "-m", name)
    held = repository(shop, name)
    held.tags["staging"] = held.push(shop.git("rev-parse", "HEAD"), image=name).digest


def release(shop: Shop) -> Ran:
    return shop.inv("release.prod", "--override", "nothing runs in staging here")


def releases(shop: Shop) -> dict[str, set[str]]:
    """Image → its new release tags of prod."""
    held = {name: repository(shop, name).tags for name in ("api", "nginx")}
    return {name: {tag for tag in tags if tag.startswith("prod-") and tag != FORMER} for name, tags in held.items()}


def dies_at(shop: Shop, number: int) -> None:
    """The release dies at so many calls that put a tag."""
    put = 0

    def fault(call: Call) -> AwsError | None:
        nonlocal put
        put += call.operation == "PutImage"
        return AwsError("AccessDeniedException", "no") if call.operation == "PutImage" and put >= number else None

    shop.endpoint.fault = fault
    assert release(shop).code == 1
    shop.endpoint.fault = None


def named(shop: Shop) -> Mapping[str, str]:
    """Image → the digest that the tier's tag names, as definitions name it."""
    return {name: f"{name}@{repository(shop, name).tags['prod']}" for name in ("api", "nginx")}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_release_that_died_between_its_images_is_finished_under_its_tag_and_goes_back_whole(
    staged: Shop, number: int
):
    before = images(staged)
    dies_at(staged, number)
    assert release(staged).code == 0
    one, other = releases(staged).values()
    assert (len(one), one) == (1, other)
    assert images(staged) == {"api": named(staged)["api"], "proxy": named(staged)["nginx"]}
    assert staged.inv("release.rollback", "prod").code == 0
    assert images(staged) == before


def test_a_release_that_died_is_not_taken_up_where_its_tag_names_another_image_by_now(staged: Shop):
    dies_at(staged, 3)
    (spent,) = releases(staged)["nginx"]
    stage(staged, "nginx")
    ran = release(staged)
    assert ran.code == 0, ran.stderr
    for tags in releases(staged).values():
        assert len(tags) == 2 and min(tags) == spent
    assert images(staged)["proxy"] == f"nginx@{repository(staged, 'nginx').tags['staging']}"


def test_a_release_that_moves_a_used_image_alone_is_told_under_its_own_tag(beside: Shop):
    assert beside.inv("release.prod").code == 0
    stage(beside, "nginx")
    ran = beside.inv("release.prod", "--override", "x", "--json")
    (made,) = releases(beside)["nginx"]
    assert (ran.summary["release"], {each["release"] for each in ran.summary["results"]}) == (made, {made})
    assert ran.summary["outcomes"] == {"deployed": 2}


def test_a_target_that_went_back_to_before_an_image_was_used_does_not_run_it(beside: Shop):
    uses = '[images.nginx]\nrepository = "nginx"\n[services.api]\nuses = ["nginx"]\n'
    container = f'"containerDefinitions": [{PROXY}'
    beside.edit("envs/project.toml", uses, "[services.api]\n")
    beside.edit("templates/api.json.j2", container, '"containerDefinitions": [')
    assert beside.inv("release.prod").code == 0
    beside.edit("envs/project.toml", "[services.api]\n", uses)
    beside.edit("templates/api.json.j2", '"containerDefinitions": [', container)
    beside.commit()
    for name in ("api", "nginx"):
        stage(beside, name)
    assert release(beside).code == 0
    assert beside.inv("release.rollback", "prod").code == 0
    assert "proxy" not in images(beside)
    back, gone, *_ = json.loads(beside.inv("release.history", "prod", "--json").stdout)["releases"]
    assert (back["runs_in"], gone["runs_in"]) == (["t1-prod", "t2-prod"], [])


def test_of_a_release_of_two_commits_each_row_says_where_its_own_image_runs(staged: Shop):
    assert staged.inv("release.prod", "--override", "x").code == 0
    stage(staged, "nginx")
    assert staged.inv("release.prod", "--override", "x", "--tenant", "t2").code == 0
    rows = json.loads(staged.inv("release.history", "prod", "--json").stdout)["releases"]
    assert [(*row["digests"], row["runs_in"]) for row in rows[:3]] == [
        ("nginx", ["t2-prod"]),
        ("api", ["t1-prod", "t2-prod"]),
        ("nginx", ["t1-prod"]),
    ]
