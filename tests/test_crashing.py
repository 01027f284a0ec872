"""The board says what keeps dying after its rollout completed, and what another controller deploys."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploytasks.model import Deployment
from deploytasks.rules.soak import crash_loop
from tests.cloud.ecs_fates import Death, Fate
from tests.commands import Shop

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
ENDED = NOW - timedelta(minutes=50)


def died(*minutes_ago: int, code: str = "EssentialContainerExited") -> list[dict[str, Any]]:
    return [
        {
            "taskArn": f"x/{ago}",
            "startedBy": "ecs-svc/1",
            "stopCode": code,
            "stoppedReason": "said why",
            "stoppedAt": NOW - timedelta(minutes=ago),
            "containers": [{"name": "api", "exitCode": 1}],
        }
        for ago in minutes_ago
    ]


@pytest.mark.parametrize(
    ("stopped", "running", "expected"),
    [
        ([], 1, ""),
        (died(1), 2, ""),
        (died(1), 1, "1 task died (crashed: exit 1, said why)"),
        (died(1, 2), 2, "2 tasks died (crashed: exit 1, said why)"),
        (died(40), 1, "1 task died (crashed: exit 1, said why)"),
        (died(40, 41), 2, ""),
        (died(1, 40), 2, ""),
        (died(55, 56), 1, ""),
        (died(1, 2, code="SpotInterruption"), 1, ""),
    ],
)
def test_it_crashes_where_tasks_died_that_are_missing_or_died_one_after_the_other(
    stopped: Any, running: int, expected: str
):
    primary = Deployment("ecs-svc/1", "PRIMARY", "COMPLETED", "arn", 2, running, ended_at=ENDED)
    assert crash_loop(stopped, primary, desired=2, now=NOW) == expected


def board(shop: Shop) -> dict[str, Any]:
    cells = json.loads(shop.inv("status", "--json").stdout)["cells"]
    return {cell["target"]: cell for cell in cells}


@pytest.mark.parametrize("restarts", [True, False])
def test_the_board_marks_what_dies_again_and_again(shop: Shop, restarts: bool):
    assert shop.inv("deploy.prod").code == 0
    ours = shop.service(1, "prod").deployments[0]
    ours.fate = Fate(death=Death(reason="out of luck"), sick_s=1, restarts=restarts)
    shop.endpoint.cloud.clock = lambda: time.time() + 60
    asked = shop.endpoint.operations()
    seen = board(shop)
    more = shop.endpoint.operations()
    assert "crashing" in seen["t1-prod/api"]["marks"]
    assert "tasks died (crashed: exit 1, out of luck)" in seen["t1-prod/api"]["crashing"]
    assert "crashing" not in seen["t2-prod/api"]["marks"]
    assert (more - asked)["ListTasks"] == 6 + 1  # the stopped ones of this target alone
    assert "t1-prod/api crashing: " in shop.inv("status").stdout


@pytest.mark.parametrize("controller", ["CODE_DEPLOY", "EXTERNAL"])
def test_a_service_of_another_controller_is_not_missing(shop: Shop, controller: str):
    shop.service(1, "prod").controller = controller
    seen = board(shop)["t1-prod/api"]
    assert (seen["standing"], seen["marks"]) == (f"deployed by {controller}", [])
    said = shop.inv("status").stdout
    assert f"deployed by {controller}" in said and "missing" not in said
    ran = shop.inv("deploy.wait", "prod", "--tenant", "t1")
    assert (ran.code, f"its deployment controller is {controller}" in ran.stdout) == (1, True)
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 2
    assert shop.inv("deploy.diff", "prod", "--tenant", "t1").code in (1, 2)
    assert shop.inv("status", "--check").code == 3


@pytest.mark.waits
def test_whoever_waits_where_tasks_are_missing_is_told(shop: Shop):
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 0
    ours = shop.service(1, "prod").deployments[0]
    ours.running, ours.pending = 0, 0
    before = shop.writes()
    ran = shop.inv("deploy.wait", "prod", "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"unhealthy": 1})
    assert ran.summary["results"][0]["detail"] == "0 of 2 tasks run"
    assert shop.writes() == before


@pytest.mark.waits
def test_a_release_of_what_runs_already_and_not_at_all_is_no_success(shop: Shop):
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 0
    ours = shop.service(1, "prod").deployments[0]
    ours.running, ours.pending = 0, 0
    ran = shop.inv("deploy.prod", "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"unhealthy": 1})
    assert ran.summary["resume"].endswith("to try this one again: inv deploy.prod --tenant t1")


@pytest.mark.waits
def test_whoever_waits_soaks_and_reports_and_restores_nothing(shop: Shop):
    shop.soak("2s")
    shop.endpoint.cloud.fates = lambda *_: Fate(lasts_s=2.0, death=Death(lines=["no database"]), sick_s=0, every_s=1)
    assert shop.inv("deploy.prod", "--tenant", "t1", "--no-wait", "--force").code == 0
    before = shop.writes()
    ran = shop.inv("deploy.wait", "prod", "--tenant", "t1", "--json")
    assert (ran.code, ran.summary["outcomes"]) == (1, {"unhealthy": 1})
    assert ran.summary["results"][0]["detail"].startswith("in the soak: ")
    assert shop.writes() == before
