"""The tasks that only look, and what happens to one that is stopped in the middle."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.world import tenant_account
from tests.commands import REGISTRY, WRITES, Shop

pytestmark = pytest.mark.waits
PACKAGE_ROOT = Path(__file__).resolve().parents[1]


def board(shop: Shop, *words: str) -> dict[str, dict[str, object]]:
    ran = shop.inv("status", "--json", *words)
    assert ran.code == 0, ran.stderr
    return {cell["target"]: cell for cell in json.loads(ran.stdout)["cells"]}


def test_the_board_tells_of_every_target_what_its_tasks_run(shop: Shop):
    cells = board(shop)
    assert len(cells) == 6
    prod = cells["t1-prod/api"]
    assert (prod["commit"], prod["running"], prod["desired"]) == (shop.commits["older"], 2, 2)
    assert (prod["evidence"], prod["state"]) == ("seen", "steady")
    assert cells["t2-dev/api"]["release"] == "dev-20260203T040506Z"


def test_looking_changes_nothing(shop: Shop):
    for words in (["status"], ["tag.list"], ["lock.status"], ["envs.list"], ["envs.show", "t1-prod"]):
        assert shop.inv(*words).code == 0
    assert not WRITES & set(shop.endpoint.operations())


def test_a_tenant_whose_credentials_fail_is_one_cell_that_says_so(shop: Shop):
    shop.refuse("DescribeServices", "ExpiredTokenException", tenant_account(2))
    cells = board(shop)
    assert cells["t1-prod/api"]["state"] == "steady"
    assert "ExpiredTokenException" in str(cells["t2-prod/api"]["complaint"])


def test_the_board_does_without_the_registry(shop: Shop):
    shop.refuse("BatchGetImage", "AccessDeniedException", REGISTRY)
    assert board(shop)["t1-prod/api"]["running"] == 2


def test_the_board_can_be_narrowed(shop: Shop):
    assert set(board(shop, "--tenant", "t1", "--tier", "dev,prod")) == {"t1-dev/api", "t1-prod/api"}
    assert set(board(shop, "--exclude", "t1", "--tier", "dev")) == {"t2-dev/api"}
    assert "did you mean 'prod'?" in shop.inv("status", "--tier", "prd").stderr


def test_the_list_of_images_has_all_tags_and_where_each_runs(shop: Shop):
    (shelf,) = json.loads(shop.inv("tag.list", "--json").stdout)
    runs = {image["commits"][0]: set(image["runs_in"]) for image in shelf["images"]}
    assert runs[shop.commits["older"]] == {"t1-prod", "t2-prod"}
    assert runs[shop.commits["newer"]] == {"t1-dev", "t2-dev", "t1-staging", "t2-staging"}


def test_a_rendered_definition_is_json_for_a_program(shop: Shop):
    rendered = json.loads(shop.inv("envs.render", "t1-prod").stdout)
    assert rendered["family"] == "shop-t1-prod-api"
    assert rendered["containerDefinitions"][0]["image"].endswith("/api@sha256:" + "0" * 64)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_release_names_what_goes_on_frees_the_lock_and_exits_130(shop: Shop, number: signal.Signals):
    shop.endpoint.cloud.rollout_s = 60
    process = subprocess.Popen(
        [sys.executable, "-m", "invoke", "deploy.prod", "--json"],
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        deadline = time.monotonic() + 30
        while shop.endpoint.operations()["UpdateService"] < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "t1-prod/api: interrupted: its rollout goes on at AWS" in stderr
    assert "to go on: inv deploy.prod" in stderr
    assert not shop.endpoint.cloud.account(REGISTRY).parameters


def test_what_was_left_under_way_is_followed_and_not_started_again(shop: Shop):
    shop.endpoint.cloud.rollout_s = 3
    assert shop.inv("deploy.prod", "--no-wait").code == 0
    before = shop.writes()
    ran = shop.inv("deploy.prod", "--json")
    assert ran.summary["outcomes"] == {"deployed": 2}
    assert shop.writes() == before
