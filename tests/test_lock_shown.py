"""Who holds a tier's lock stands where people look before they release: in a dry run's plan and on the board."""

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from deploytasks.aws.parameters import written
from deploytasks.model import LockState
from tests.commands import REGISTRY, Shop

LOCK = "/deploytasks/shop/prod/lock"
ANN = LockState("prod", "ann@desk", "2026-11-23T12:00:00Z", "release.prod", machine="elsewhere", pid=1, token="t")


def put(shop: Shop, state: LockState, taken_at: float | None = None, beaten_at: float | None = None) -> None:
    """The lock is there, and its holder's heartbeat, written at these times by SSM's clock."""
    beat = f"/deploytasks/shop/prod/heartbeats/{state.token}"
    for name, value, at in ((LOCK, written(state), taken_at), (beat, "now", beaten_at)):
        written_at = {"LastModifiedDate": at} if at else {}
        if name == LOCK or at:
            shop.endpoint.cloud.account(REGISTRY).parameters[name] = {
                **{"Name": name, "Type": "String", "Version": 1, "Value": value},
                **written_at,
            }


def planned(text: str) -> list[str]:
    """The notes of the plan among the JSON lines."""
    events = [json.loads(line) for line in text.splitlines()]
    notes: list[str] = next(event["plan"]["notes"] for event in events if event["event"] == "planned")
    return notes


def test_the_status_shows_when_the_holder_last_gave_a_sign_of_life(shop: Shop):
    put(shop, ANN)
    assert "alive at" not in shop.inv("lock.status").stdout  # SSM named no time
    put(shop, ANN, taken_at=1_767_323_045, beaten_at=1_767_323_347)
    assert "alive at  2026-01-02T03:09:07Z\n" in shop.inv("lock.status").stdout
    put(shop, replace(ANN, pid=0), taken_at=1_767_323_045)
    assert "alive at" not in shop.inv("lock.status").stdout  # no process holds it


@pytest.mark.parametrize("task", ["release.prod", "deploy.prod", "tag.prod"])
def test_the_plan_of_a_dry_run_says_that_the_tier_is_locked_by_hand(shop: Shop, task: str):
    shop.inv("lock.acquire", "prod", "--reason", "a frozen week")
    ran = shop.inv(task, "--dry-run")
    assert ran.code == 0, ran.stderr
    assert " (lock.acquire), because a frozen week\nwithout --dry-run this would be refused; " in ran.stdout
    (note,) = planned(shop.inv(task, "--dry-run", "--json").stdout)
    assert note.startswith("prod: ") and "because a frozen week" in note


def test_the_plan_of_a_rollbacks_dry_run_says_so_too(shop: Shop):
    for commit in ("older", "newer"):
        shop.inv("release.prod", "--commit", shop.commits[commit], "--allow-older", "--override", "test")
    put(shop, ANN)
    ran = shop.inv("release.rollback", "prod", "--dry-run")
    assert (ran.code, "prod: ann@desk holds the lock since" in ran.stdout) == (0, True)


def test_the_plan_of_a_matrix_says_so_too(shop: Shop):
    put(shop, ANN)
    ran = shop.inv("release.matrix", "prod", "--shards", "2", "--dry-run")
    assert (ran.code, "prod: ann@desk holds the lock since" in ran.stderr) == (0, True)


def test_a_dry_run_that_would_wait_says_how_long(shop: Shop):
    put(shop, ANN)
    said = shop.inv("deploy.prod", "--dry-run", "--lock-wait", "15m").stdout
    assert "without --dry-run this would wait for it, up to 15m\n" in said


def test_a_lock_under_which_the_command_may_work_is_no_obstacle(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    shop.inv("lock.acquire", "prod")
    assert "holds the lock" not in shop.inv("deploy.prod", "--dry-run").stdout


def test_a_plan_without_a_lock_has_no_note(shop: Shop):
    assert planned(shop.inv("deploy.prod", "--dry-run", "--json").stdout) == []


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (ANN, "prod: locked by ann@desk since 2026-11-23T12:00:00Z (release.prod)"),
        (
            replace(ANN, command="lock.acquire", reason="a frozen week", pid=0, machine=""),
            "prod: locked by ann@desk since 2026-11-23T12:00:00Z (lock.acquire): a frozen week",
        ),
    ],
)
def test_the_board_says_who_holds_a_lock_in_text_json_and_on_the_page(
    shop: Shop, tmp_path: Path, state: LockState, said: str
):
    put(shop, state)
    page = tmp_path / "board.html"
    assert f"{said}\n" in shop.inv("status", "--html", str(page)).stdout
    assert f"locked</span> {said}</li>" in page.read_text()
    (lock,) = json.loads(shop.inv("status", "--json").stdout)["locks"]
    assert (lock["tier"], lock["by"], lock["reason"]) == ("prod", "ann@desk", state.reason or None)
    assert "token" not in lock


def test_a_lock_is_nothing_that_a_check_complains_of(shop: Shop):
    assert shop.inv("deploy.prod").code == 0
    before = shop.inv("status", "--check", "--tier", "prod").code
    put(shop, ANN)
    assert shop.inv("status", "--check", "--tier", "prod").code == before
