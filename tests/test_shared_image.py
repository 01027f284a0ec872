"""One image that several services run, and a service that runs several images: tagged, gated and shown once."""

import json
import re
from datetime import UTC, datetime
from threading import Event
from typing import Any

import pytest

from tests.cloud.ecr import Repository
from tests.cloud.world import TIERS, tenant_account
from tests.commands import REGISTRY, Shop
from tests.gates import runs_older

pytestmark = pytest.mark.waits


PROXY = '{"name": "proxy", "image": {{ images.nginx | tojson }}, "essential": false},'


@pytest.fixture
def two(shop: Shop) -> Shop:
    """Two services of one image in every environment."""
    shop.add_running_service("worker")
    return shop


@pytest.fixture
def beside(shop: Shop) -> Shop:
    """`api` runs a container of its own image and one of the image `nginx`, which has the same commits and tags."""
    account = shop.endpoint.cloud.account(REGISTRY)
    api = account.repositories["api"]
    nginx = Repository("nginx", account, excluded=TIERS, marks=dict(api.marks))
    nginx.policy = api.policy
    account.repositories["nginx"] = nginx
    digests = {api.tags[commit]: nginx.push(commit, image="nginx").digest for commit in shop.commits.values()}
    nginx.tags |= {tag: digests[digest] for tag, digest in api.tags.items()}
    shop.edit(
        "envs/project.toml",
        "[services.api]\n",
        '[images.nginx]\nrepository = "nginx"\n[services.api]\nuses = ["nginx"]\n',
    )
    shop.edit("templates/api.json.j2", '"containerDefinitions": [', f'"containerDefinitions": [{PROXY}')
    return shop


def deployed(shop: Shop, tier: str) -> None:
    """The tier runs both images of the newer commit, as its tags name them."""
    ran = shop.inv(f"deploy.{tier}")
    assert ran.code == 0, ran.stderr


def images(shop: Shop, tier: str = "prod", number: int = 1) -> dict[str, str]:
    """Container → the image that the running definition of `api` names."""
    listed = revision(shop, tier, number).members["containerDefinitions"]
    return {each["name"]: each["image"].rpartition("/")[2] for each in listed}


def revision(shop: Shop, tier: str = "prod", number: int = 1) -> Any:
    """The revision that `api` runs."""
    families = shop.endpoint.cloud.account(tenant_account(number)).families
    arn = shop.service(number, tier).deployments[0].revision
    return next(one for one in families[f"shop-t{number}-{tier}-api"] if one.arn == arn)


def repository(shop: Shop, name: str) -> Any:
    return shop.endpoint.cloud.account(REGISTRY).repositories[name]


def test_one_tag_step_brings_both_services_of_an_image(two: Shop):
    planned = two.inv("release.prod", "--dry-run", "--json").summary
    assert [(step["image"], step["moved"]) for step in planned["tags"]] == [("api", False)]
    ran = two.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 4})
    assert {result["service"] for result in ran.summary["results"]} == {"api", "worker"}


def test_the_registry_is_asked_no_more_for_two_services_than_for_one(shop: Shop):
    shop.inv("deploy.prod", "--dry-run")
    one = {name: count for name, count in shop.endpoint.operations().items() if "Image" in name}
    shop.add_running_service("worker")
    shop.commit()
    shop.endpoint.calls.clear()
    shop.inv("deploy.prod", "--dry-run")
    assert {name: count for name, count in shop.endpoint.operations().items() if "Image" in name} == one


def test_both_services_must_run_the_image_in_the_tier_before(two: Shop):
    account = two.endpoint.cloud.account(tenant_account(1))
    newest = account.families["shop-t1-staging-worker"][-1].members["containerDefinitions"][0]
    newest["image"] = newest["image"].partition("@")[0] + "@" + two.tags()[two.commits["older"]]
    ran = two.inv("release.prod", "--commit", two.commits["newer"], "--allow-older")
    repository(two, "api").tags = {tag: digest for tag, digest in two.tags().items() if not tag.startswith("prod-")}
    ran = two.inv("release.prod", "--commit", two.commits["newer"], "--allow-older")
    assert (ran.code, "t1-staging/worker: it runs " in ran.stderr) == (2, True), ran.stderr
    assert "t1-staging/api" not in ran.stderr


def test_a_release_of_one_service_moves_the_image_and_names_the_services_that_stay_behind(two: Shop):
    runs_older(two, 1, "dev")
    ran = two.inv("release.dev", "--commit", two.commits["older"], "--allow-older", "--service", "api")
    assert ran.code == 0, ran.stderr
    assert "stay behind until `inv deploy.dev`: t1-dev/worker, t2-dev/worker" in ran.stdout + ran.stderr


def test_both_services_go_back_together(two: Shop):
    assert two.inv("release.prod").code == 0
    older = two.commits["older"]
    assert two.inv("release.prod", "--commit", older, "--allow-older", "--override", "x").code == 0
    ran = two.inv("release.rollback", "prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 4}), ran.stderr
    assert len([step for step in ran.summary["tags"] if step["moved"]]) == 1


def test_an_image_is_listed_once_with_every_environment_that_runs_it(two: Shop):
    (listing,) = json.loads(two.inv("tag.list", "--json").stdout)
    assert listing["image"] == "api"
    newest = next(each for each in listing["images"] if two.commits["newer"] in each["commits"])
    assert newest["runs_in"] == ["t1-dev", "t1-staging", "t2-dev", "t2-staging"]


def test_a_service_that_runs_two_images_is_brought_to_both(beside: Shop):
    ran = beside.inv("release.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2}), ran.stderr
    named, api, nginx = images(beside), repository(beside, "api").tags, repository(beside, "nginx").tags
    assert named == {"proxy": f"nginx@{nginx['prod']}", "api": f"api@{api['prod']}"}
    assert revision(beside).tags["deploytasks:digest"] == api["prod"]
    assert revision(beside).tags["deploytasks:digest.nginx"] == nginx["prod"]
    again = beside.inv("release.prod", "--json")
    assert (again.code, again.summary["outcomes"]) == (0, {"unchanged": 2})


def test_where_a_used_image_alone_moves_its_services_are_rolled_out(beside: Shop):
    assert beside.inv("release.prod").code == 0
    older = beside.commits["older"]
    assert beside.inv("tag.prod", "--image", "nginx", "--commit", older, "--allow-older", "--override", "x").code == 0
    cells = json.loads(beside.inv("status", "--tier", "prod", "--json").stdout)["cells"]
    assert {tuple(cell["marks"]) for cell in cells} == {("behind",)}
    assert {cell["uses"][0]["wanted"] for cell in cells} == {older}
    ran = beside.inv("deploy.prod", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 2}), ran.stderr
    assert images(beside)["proxy"] == f"nginx@{repository(beside, 'nginx').tags[older]}"
    back = beside.inv("release.rollback", "prod", "--json")
    assert (back.code, back.summary["outcomes"]) == (0, {"deployed": 2}), back.stderr
    assert images(beside)["proxy"] == f"nginx@{repository(beside, 'nginx').tags[beside.commits['newer']]}"
    assert [step["image"] for step in back.summary["tags"] if step["moved"]] == ["nginx"]


def test_where_the_definition_names_the_tags_a_used_images_move_forces_a_deployment(beside: Shop):
    deployed(beside, "dev")
    assert images(beside, "dev") == {"proxy": "nginx:dev", "api": "api:dev"}
    older = beside.commits["older"]
    assert beside.inv("tag.dev", "--image", "nginx", "--commit", older, "--allow-older").code == 0
    lines = map(json.loads, beside.inv("deploy.dev", "--json", "--dry-run").stdout.splitlines())
    (plan,) = (line["plan"] for line in lines if line["event"] == "planned")
    assert {each["action"] for wave in plan["waves"] for each in wave} == {"force"}
    assert beside.inv("deploy.dev", "--json").summary["outcomes"] == {"deployed": 2}
    assert beside.inv("deploy.dev", "--json").summary["outcomes"] == {"unchanged": 2}


def test_the_gate_asks_for_each_image_that_a_service_runs(beside: Shop):
    deployed(beside, "staging")
    older = beside.commits["older"]
    nginx = repository(beside, "nginx")
    nginx.tags = {tag: digest for tag, digest in nginx.tags.items() if not tag.startswith("prod")}
    ran = beside.inv("tag.prod", "--image", "nginx", "--commit", older)
    assert ran.code == 2
    assert f"t1-staging/api: it runs {beside.commits['newer'][:7]}, so {older[:7]} may not go to prod" in ran.stderr


def test_an_image_that_a_template_names_and_no_list_is_refused_with_the_known_ones(shop: Shop):
    shop.edit("templates/api.json.j2", "{{ image | tojson }}", "{{ images.nginx | tojson }}")
    ran = shop.inv("envs.check")
    assert ran.code == 2
    assert "'nginx' is not set" in ran.stderr and "known: api" in ran.stderr


def test_what_ran_at_a_time_is_restored_with_every_image_of_then(beside: Shop):
    assert beside.inv("release.prod").code == 0
    at = datetime.now(UTC)
    Event().wait(1 - at.microsecond / 1_000_000)  # release tags tell their time to the second
    older = beside.commits["older"]
    assert beside.inv("tag.prod", "--image", "nginx", "--commit", older, "--allow-older", "--override", "x").code == 0
    assert beside.inv("deploy.prod").code == 0
    ran = beside.inv("release.rollback", "prod", "--at", at.isoformat(), "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (0, {"deployed": 1}), ran.stderr
    newer, nginx = beside.commits["newer"], repository(beside, "nginx").tags
    assert [images(beside, "prod", number)["proxy"] for number in (1, 2)] == [
        f"nginx@{nginx[newer]}",
        f"nginx@{nginx[older]}",
    ]


@pytest.mark.parametrize(
    ("words", "built"),
    [
        ("build", "api nginx"),
        ("build.all --image nginx", "nginx"),
        ("build.nginx", "nginx"),
        ("build.api build.nginx", "api nginx"),
        ("build.nginx build build.nginx", "nginx api nginx"),
    ],
)
def test_an_images_own_task_builds_that_image_alone_and_several_stand_on_a_line(beside: Shop, words: str, built: str):
    """Invoke leaves out a task that is named twice."""
    commit = beside.commits["newer"]
    ran = beside.inv(*re.sub(r"(build[.\w]*)", rf"\1 --commit {commit}", words).split())
    assert ran.code == 0, ran.stderr
    assert re.findall(r"(\w+) +\w+ is already in ECR", ran.stdout) == built.split()


DIFFERS = "the service template differs; it is read only where the service does not exist yet"


def write_service_template(shop: Shop, service: str, text: str) -> None:
    (shop.root / f"templates/{service}.service.json.j2").write_text(text)


@pytest.mark.parametrize("words", ["deploy.diff prod", "deploy.prod --dry-run", "release.prod --dry-run"])
def test_each_service_of_an_image_is_compared_with_its_own_service_template(two: Shop, words: str):
    write_service_template(two, "api", '{"enableECSManagedTags": true}')
    write_service_template(two, "worker", '{"desiredCount": 7, "enableExecuteCommand": true}')
    said = two.inv(*words.split()).stdout
    assert f"t1-prod/api, t2-prod/api: {DIFFERS}: enableECSManagedTags\n" in said
    assert f"t1-prod/worker, t2-prod/worker: {DIFFERS}: enableExecuteCommand\n" in said
    assert "t1-prod/worker, t2-prod/worker: desiredCount is 7 in the service template and 2 live" in said
    assert said.count(DIFFERS) == 2


def test_equal_differences_of_several_services_are_told_together(two: Shop):
    for service in ("api", "worker"):
        write_service_template(two, service, '{"enableECSManagedTags": true}')
    said = two.inv("deploy.prod", "--dry-run").stdout
    assert f"t1-prod/api, t1-prod/worker, t2-prod/api, t2-prod/worker: {DIFFERS}: enableECSManagedTags\n" in said


def test_a_service_selected_alone_is_compared_alone(two: Shop):
    for service in ("api", "worker"):
        write_service_template(two, service, '{"enableECSManagedTags": true}')
    for words in (["deploy.diff", "prod"], ["deploy.prod", "--dry-run"]):
        said = two.inv(*words, "--service", "worker").stdout
        assert f"t1-prod/worker, t2-prod/worker: {DIFFERS}: enableECSManagedTags\n" in said
        assert said.count(DIFFERS) == 1


def test_a_service_template_sees_the_images_that_its_service_uses(beside: Shop):
    proxy = '{"tags": [{"key": "proxy", "value": {{ images.nginx.partition("@")[0] | tojson }}}]}'
    write_service_template(beside, "api", proxy)
    for words in (["deploy.diff", "prod"], ["deploy.prod", "--dry-run"]):
        ran = beside.inv(*words)
        assert f"t1-prod/api, t2-prod/api: {DIFFERS}: tags\n" in ran.stdout, ran.stdout + ran.stderr
    for number in (1, 2):
        host = f"{REGISTRY}.dkr.ecr.us-east-1.amazonaws.com"
        beside.service(number, "prod").tags["proxy"] = f"{host}/nginx"
    assert DIFFERS not in beside.inv("deploy.diff", "prod").stdout


def test_a_used_image_that_the_tier_does_not_name_hides_no_other_service(beside: Shop):
    beside.add_running_service("worker")
    beside.edit("templates/worker.json.j2", PROXY, "")
    write_service_template(beside, "worker", '{"enableECSManagedTags": true}')
    del repository(beside, "nginx").tags["prod"]
    ran = beside.inv("deploy.diff", "prod")
    assert f"t1-prod/worker, t2-prod/worker: {DIFFERS}: enableECSManagedTags\n" in ran.stdout
    assert (ran.code, "nginx: prod names no image yet" in ran.stdout + ran.stderr) == (1, True)


@pytest.mark.parametrize("pin", ["digest", "tag"])
def test_a_service_whose_images_were_released_at_different_times_has_not_drifted(beside: Shop, pin: str):
    beside.edit("envs/project.toml", "[tiers.prod]", f'[tiers.prod]\npin = "{pin}"')
    named = '"tags": [{"key": "release", "value": "{{ release }}"}], "containerDefinitions":'
    beside.edit("templates/api.json.j2", '"containerDefinitions":', named)
    assert beside.inv("release.prod", "--allow-dirty").code == 0
    older = beside.commits["older"]
    assert beside.inv("tag.prod", "--image", "nginx", "--commit", older, "--allow-older", "--override", "x").code == 0
    assert beside.inv("deploy.prod", "--allow-dirty").code == 0
    assert revision(beside).tags["release"] == revision(beside).tags["deploytasks:release"]
    cells = json.loads(beside.inv("status", "--tier", "prod", "--json").stdout)["cells"]
    assert {tuple(cell["marks"]) for cell in cells} == {()}
    assert beside.inv("deploy.prod", "--json", "--allow-dirty").summary["outcomes"] == {"unchanged": 2}
