"""The tasks that only look, and what happens to one that is stopped in the middle."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from tests.cloud.world import tenant_account
from tests.commands import REGISTRY, WRITES, Shop
from tests.hanging import HANGS_S, until

pytestmark = pytest.mark.waits
PACKAGE_ROOT = Path(__file__).resolve().parents[1]


def board(shop: Shop, *words: str) -> dict[str, dict[str, object]]:
    ran = shop.inv("status", "--json", *words)
    assert ran.code == 0, ran.stderr
    return {cell["target"]: cell for cell in json.loads(ran.stdout)["cells"]}


@pytest.mark.quick
def test_the_board_tells_of_every_target_what_its_tasks_run(shop: Shop):
    cells = board(shop)
    assert len(cells) == 6
    prod = cells["t1-prod/api"]
    assert (prod["commit"], prod["running"], prod["desired"]) == (shop.commits["older"], 2, 2)
    assert (prod["evidence"], prod["standing"]) == ("seen", "completed")
    assert cells["t2-dev/api"]["release"] == "dev-20260203T040506Z"


def test_looking_changes_nothing(shop: Shop):
    for words in (["status"], ["tag.list"], ["lock.status"], ["envs.list"], ["envs.show", "t1-prod"]):
        assert shop.inv(*words).code == 0
    assert not WRITES & set(shop.endpoint.operations())


def test_a_tenant_whose_credentials_fail_is_one_cell_that_says_so(shop: Shop):
    shop.refuse("DescribeServices", "ExpiredTokenException", tenant_account(2))
    cells = board(shop)
    assert cells["t1-prod/api"]["standing"] == "completed"
    assert "ExpiredTokenException" in str(cells["t2-prod/api"]["complaint"])


def test_the_board_does_without_the_registry(shop: Shop):
    shop.refuse("DescribeImages", "AccessDeniedException", REGISTRY)
    ran = shop.inv("status", "--json")
    assert ran.code == 0
    assert json.loads(ran.stdout)["cells"][0]["running"] == 2
    assert "the registry could not be read" in ran.stdout
    assert shop.inv("status", "--check").code == 1


def test_a_service_without_a_repository_blanks_no_other_service(shop: Shop):
    shop.add_service("worker")
    cells = board(shop)
    assert cells["t1-prod/api"]["commit"] == shop.commits["older"]
    assert "behind" in cells["t1-prod/api"]["marks"]
    (note,) = json.loads(shop.inv("status", "--json").stdout)["notes"]
    assert note.startswith("worker: the registry could not be read") and "RepositoryNotFound" in note
    listed = shop.inv("tag.list")
    assert listed.code == 0 and "not read" in listed.stdout and shop.commits["older"][:7] in listed.stdout


def test_a_page_that_cannot_be_written_costs_no_board(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    ran = shop.inv("status", "--html", f"{'b' * 300}.html")
    assert (ran.code, ran.stdout) == (2, "") and "File name too long" in ran.stderr
    assert shop.inv("status", "--html", f"{'b' * 250}.html").code == 0
    (shop.root / "pages").mkdir()
    monkeypatch.setattr(Path, "replace", refuse)
    ran = shop.inv("status", "--html", "pages/b.html")
    assert ran.code == 1 and "t1" in ran.stdout
    assert "pages/b.html: it could not be written: No space left on device" in ran.stderr
    assert not list((shop.root / "pages").iterdir())


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "is empty"),
        ("-", "stdout has the board itself already"),
        (".", ". is a folder"),
        ("no/such/b.html", "there is no folder no/such"),
    ],
)
def test_a_page_that_has_no_place_is_refused_before_anybody_is_asked(shop: Shop, name: str, why: str):
    ran = shop.inv("status", "--html", name)
    assert (ran.code, ran.stdout) == (2, "") and not shop.endpoint.operations()
    assert ran.stderr == f"--html: {why}\n    name a file: --html board.html\n"


@pytest.mark.parametrize("since", ["999999999h", "99999999999999h", "87601h", "٣h"])
def test_a_length_of_time_that_nobody_means_is_refused(shop: Shop, since: str):
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1", "--service", "api", "--since", since)
    assert ran.code == 2 and "is not a length of time from 1s to ten years" in ran.stderr


def test_after_a_release_nothing_deserves_a_second_look(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    ran = shop.inv("status", "--tier", "prod", "--check")
    assert ran.code == 0, ran.stdout
    cell = board(shop, "--tier", "prod")["t1-prod/api"]
    assert (cell["subject"], cell["marks"], cell["standing"]) == ("Next", [], "completed")
    assert "@" in str(cell["by"]) and str(cell["certified_at"]).endswith("Z")


def test_the_check_ends_with_3_on_any_mark_and_says_which(shop: Shop):
    ran = shop.inv("status", "--tier", "prod", "--check")
    assert ran.code == 3
    assert "status: 2 targets: 0 as wanted, 2 behind, 2 drifted, 2 foreign" in ran.stderr
    prod = board(shop)["t1-prod/api"]
    assert ({"behind", "foreign", "drifted"}, ["revision"]) == (set(prod["marks"]), prod["foreign"])
    assert "\nt1-prod/api, t2-prod/api foreign: no release of this project registered the revision\n" in ran.stdout


def test_the_check_never_passes_what_it_could_not_see(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    shop.refuse("DescribeTasks", "AccessDeniedException", tenant_account(2))
    ran = shop.inv("status", "--tier", "prod", "--check")
    assert (ran.code, "1 of 2 targets could not be seen" in ran.stderr) == (1, True)


@pytest.mark.parametrize("task", ["status", "deploy.diff prod", "deploy.wait prod", "release.history prod", "tag.list"])
@pytest.mark.parametrize("as_json", [True, False])
def test_aws_out_of_reach_is_a_failure_that_is_said_within_seconds(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, task: str, as_json: bool
):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    began = time.monotonic()
    ran = shop.inv(*task.split(), *["--json"] * as_json)
    assert ran.code == 1
    assert "Could not connect to the endpoint URL" in ran.stdout + ran.stderr
    assert "check the network, `region` in envs/ and AWS_ENDPOINT_URL" in ran.stdout + ran.stderr
    assert time.monotonic() - began < 60


def test_a_board_on_which_nothing_could_be_seen_is_a_failure(shop: Shop):
    shop.refuse("DescribeServices", "AccessDeniedException")
    ran = shop.inv("status")
    assert ran.code == 1
    assert "6 of 6 targets could not be seen" in ran.stderr and "AccessDeniedException" in ran.stdout


def test_a_changed_setting_is_drift_until_it_is_deployed(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    shop.edit("envs/t1.toml", "cpu = 1024", "cpu = 2048")
    shop.edit("envs/t1.toml", "memory = 2048", "memory = 4096")
    cells = board(shop, "--tier", "prod")
    assert (cells["t1-prod/api"]["marks"], cells["t2-prod/api"]["marks"]) == (["drifted"], [])


def test_a_template_that_cannot_be_rendered_here_costs_the_judgement_of_drift_alone(shop: Shop):
    shop.edit("templates/api.json.j2", '"cpu"', '"pidMode": "{{ env_var("NOWHERE_SET") }}", "cpu"')
    ran = shop.inv("status")
    assert ran.code == 0
    assert "drift could not be judged" in ran.stdout and "NOWHERE_SET" in ran.stdout


def test_the_board_as_a_page_is_written_whole_or_not_at_all(shop: Shop):
    assert shop.inv("status", "--html", "board.html").code == 0
    assert (shop.root / "board.html").read_text().lower().startswith("<!doctype html>")
    ran = shop.inv("status", "--html", "nowhere/board.html")
    assert (ran.code, ran.stdout) == (2, "")
    assert shop.inv("status", "--html", "").code == 2
    assert [path.name for path in shop.root.glob(".board*")] == []


def test_the_board_can_be_narrowed(shop: Shop):
    assert set(board(shop, "--tenant", "t1", "--tier", "dev,prod")) == {"t1-dev/api", "t1-prod/api"}
    assert set(board(shop, "--exclude", "t1", "--tier", "dev")) == {"t2-dev/api"}
    assert "did you mean 'prod'?" in shop.inv("status", "--tier", "prd").stderr


def test_the_list_of_images_has_all_tags_and_where_each_runs(shop: Shop):
    (listing,) = json.loads(shop.inv("tag.list", "--json").stdout)
    runs = {image["commits"][0]: set(image["runs_in"]) for image in listing["images"]}
    assert runs[shop.commits["older"]] == {"t1-prod", "t2-prod"}
    assert runs[shop.commits["newer"]] == {"t1-dev", "t2-dev", "t1-staging", "t2-staging"}


def test_a_rendered_definition_is_json_for_a_program(shop: Shop):
    rendered = json.loads(shop.inv("envs.render", "t1-prod").stdout)
    assert rendered["family"] == "shop-t1-prod-api"
    assert rendered["containerDefinitions"][0]["image"].endswith("/api@sha256:" + "0" * 64)


def calls_of(shop: Shop, number: int) -> int:
    return sum(count for (account, _), count in list(shop.endpoint.calls.items()) if account == tenant_account(number))


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
        until(lambda: shop.endpoint.operations()["UpdateService"] == 2)
        calls = [calls_of(shop, number) for number in (1, 2)]
        until(lambda: all(calls_of(shop, number) > calls[number - 1] for number in (1, 2)))  # each has its answer
        process.send_signal(number)
        _, stderr = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130
    assert "Traceback" not in stderr
    assert "t1-prod/api: interrupted: its rollout goes on at AWS" in stderr
    assert "to go on: inv deploy.prod" in stderr
    assert not shop.endpoint.cloud.account(REGISTRY).parameters


@pytest.mark.parametrize("words", [["status"], ["envs.check"], ["deploy.prod"], ["release.history", "prod"]])
def test_a_task_that_is_stopped_while_it_still_reads_its_files_exits_130_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, words: list[str]
):
    read, mine = tomllib.loads, signal.getsignal(signal.SIGTERM)

    def stopped(text: str) -> object:
        if signal.getsignal(signal.SIGTERM) is not mine:
            os.kill(os.getpid(), signal.SIGTERM)
        return read(text)

    monkeypatch.setattr(tomllib, "loads", stopped)
    ran = shop.inv(*words)
    assert (ran.code, "inv: interrupted" in ran.stderr) == (130, True)


def test_what_was_left_under_way_is_followed_and_not_started_again(shop: Shop):
    shop.endpoint.cloud.rollout_s = 600
    assert shop.inv("deploy.prod", "--no-wait").code == 0
    shop.rolls_out_until_followed()
    before = shop.writes()
    ran = shop.inv("deploy.prod", "--json")
    assert ran.summary["outcomes"] == {"deployed": 2}
    assert shop.writes() == before


@pytest.mark.parametrize("flags", [["--exclude", "t1,t2"], ["--tenant", "t1", "--exclude", "t1"]])
@pytest.mark.parametrize("more", [[], ["--check"], ["--json"]])
def test_flags_that_leave_no_target_are_refused(shop: Shop, flags: list[str], more: list[str]):
    ran = shop.inv("status", *flags, *more)
    assert (ran.code, ran.stdout) == (2, "")
    assert f"status: no target of any environment is left by {' '.join(flags)}" in ran.stderr


def test_who_does_not_wait_sees_the_new_deployments_tasks_and_what_follows_them(shop: Shop):
    ran = shop.inv("deploy.prod", "--no-wait", "--force", "--tenant", "t1", "--json")
    (result,) = ran.summary["results"]
    assert (result["outcome"], result["running"], result["desired"]) == ("started", 0, 2)
    assert ran.summary["notes"] == ["not waited for; to follow: inv deploy.wait prod --tenant t1"]


def test_a_commit_that_is_not_there_is_a_complaint_of_the_flag_that_named_it(shop: Shop):
    ran = shop.inv("deploy.prod", "--to", "abcdef1")
    assert ran.code == 2
    assert ran.stderr.startswith("--to: no commit is called 'abcdef1' here")
