"""`inv deploy.run` and `inv deploy.logs`: real command lines against an endpoint that runs tasks and keeps logs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.cloud import AwsError
from benchmarks.cloud_oneoff import Script
from benchmarks.cloud_small import write_log
from benchmarks.world import tenant_account
from deploytasks import journey
from deploytasks.errors import CommandFailed
from deploytasks.model import Logged, Told
from deploytasks.project.load import load
from tests.commands import WRITES, Ran, Shop

PACKAGE_ROOT = Path(__file__).resolve().parents[1]
RUN = ("deploy.run", "prod", "--tenant", "t1", "--service", "api")
GROUP, PREFIX = "/ecs/shop-t1-prod-api", "api/api/"


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Deploys once, so that the definition has a log; then runs commands given after the dashes."""
    assert shop.inv("deploy.prod").code == 0
    shop.endpoint.calls.clear()

    def ran(*command: str, flags: Sequence[str] = RUN) -> Ran:
        monkeypatch.setattr(sys, "argv", ["inv", *flags, "--", *command])
        return shop.inv(*flags, "--", *command)

    return ran


def script(shop: Shop, **given: object) -> None:
    shop.endpoint.cloud.scripts = lambda _command: Script(**given)  # type: ignore[arg-type]


pytestmark = pytest.mark.waits


def test_a_command_keeps_its_words_and_its_output_is_all_that_stdout_has(run):
    ran = run("sh", "-c", 'echo "a  b"')
    assert (ran.code, json.loads(ran.stdout)) == (0, ["sh", "-c", 'echo "a  b"'])
    assert "t1-prod/api: task " in ran.stderr and "shop-t1-prod-api:2 in cluster t1-prod" in ran.stderr


def test_the_commands_exit_code_is_ours(shop: Shop, run):
    script(shop, exit=3, lines=["no such table"])
    ran = run("./manage", "migrate")
    assert (ran.code, ran.stdout) == (3, "no such table\n")
    assert "the command ended with exit code 3" in ran.stderr


def test_a_task_that_never_started_ends_with_125_and_its_reason(shop: Shop, run):
    script(shop, exit=None, reason="CannotPullContainerError: not found")
    ran = run("true")
    assert ran.code == 125
    assert "the command never started: CannotPullContainerError: not found" in ran.stderr


def test_a_task_that_ecs_finds_no_place_for_ends_with_125(shop: Shop, run):
    shop.refuse("RunTask", "AccessDeniedException")
    ran = run("true")
    assert (ran.code, "RunTask: AccessDeniedException" in ran.stderr) == (125, True)


def test_it_runs_as_the_services_own_tasks_do_and_says_who_ran_it(shop: Shop, run):
    assert run("true").code == 0
    (task,) = shop.endpoint.cloud.account(tenant_account(1)).one_offs.values()
    assert task.ask["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]
    assert (task.ask["launchType"], task.ask["count"]) == ("FARGATE", 1)
    assert task.tags["deploytasks:project"] == "shop" and "@" in task.tags["deploytasks:by"].replace("=40", "@")


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("deploy.run", "prod"), "2 targets are meant, and a command runs in one\n    name one: --tenant"),
        (("deploy.run", "prd", "--tenant", "t1"), "there is no tier 'prd'"),
        (("deploy.run", "prod", "--tenant", ""), "--tenant: is empty"),
    ],
)
def test_what_is_not_one_target_is_refused_and_nothing_runs(shop: Shop, run, flags, complaint):
    ran = run("true", flags=flags)
    assert ran.code == 2
    assert complaint in ran.stderr
    assert "RunTask" not in shop.endpoint.operations()


def test_no_command_at_all_is_refused_with_an_example(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["inv", *RUN])
    ran = shop.inv(*RUN)
    assert ran.code == 2
    assert "give it after two dashes: inv deploy.run dev" in ran.stderr


def test_the_credentials_of_another_account_run_nothing(shop: Shop, run):
    shop.edit("envs/t1.toml", f'account = "{tenant_account(1)}"', 'account = "999999999999"')
    shop.edit("envs/t1.toml", f"iam::{tenant_account(1)}:role", "iam::999999999999:role")
    shop.refuse("AssumeRole", "AccessDenied")
    ran = run("true")
    assert (ran.code, "RunTask" in shop.endpoint.operations()) == (2, False)


def test_as_json_every_line_is_an_event_and_the_last_one_the_summary(shop: Shop, run):
    script(shop, exit=3, lines=["one", "two"])
    ran = run("x", flags=(*RUN, "--json"))
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [event["event"] for event in events] == ["log", "log", "summary"]
    assert (events[0]["message"], events[-1]["exit"], ran.code) == ("one", 3, 3)


def test_lines_that_come_after_the_end_are_told_too(shop: Shop, run):
    assert run("true").code == 0  # there is a log group now
    told: list[object] = []
    script(shop, exit=0)
    cloud = shop.endpoint.cloud.account(tenant_account(1))

    def late(_seconds: float) -> None:
        task = next(reversed(cloud.one_offs))
        if not any(stream.endswith(task) for _, stream in cloud.log_streams):
            write_log(cloud, GROUP, f"{PREFIX}{task}", "a last word")

    project = load(shop.root)
    target = next(each for each in project.targets if str(each) == "t1-prod/api")
    assert journey.run(project, target, ["true"], told.append, sleep=late).code == 0
    assert [event.message for event in told if isinstance(event, Logged)] == ["a last word"]


def test_a_task_that_cannot_be_seen_for_a_while_is_waited_for_and_then_given_up(shop: Shop, run):
    project = load(shop.root)
    target = next(each for each in project.targets if str(each) == "t1-prod/api")
    left = iter([AwsError("AccessDeniedException", "for now")] * 3)
    shop.endpoint.fault = lambda call: next(left, None) if call.operation == "DescribeTasks" else None
    assert journey.run(project, target, ["true"], sleep=lambda _s: None).code == 0
    shop.refuse("DescribeTasks", "AccessDeniedException")
    with pytest.raises(CommandFailed, match="can no longer be seen, and goes on"):
        journey.run(project, target, ["true"], sleep=lambda _s: None)


def test_a_definition_that_logs_elsewhere_still_tells_its_exit_code(shop: Shop):
    project, told = load(shop.root), []
    script(shop, exit=4)
    target = next(each for each in project.targets if str(each) == "t1-prod/api")
    exited = journey.run(project, target, ["true"], told.append, sleep=lambda _s: None)
    assert exited.code == 4
    assert any("its log can't be shown" in event.message for event in told if isinstance(event, Told))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_command_stops_its_task(shop: Shop, run, number: signal.Signals):
    script(shop, lasts_s=600)
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", *RUN, "--", "sleep", "600"],
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 30
        while "DescribeTasks" not in shop.endpoint.operations() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130, stderr
    assert "was told to stop" in stderr and "Traceback" not in stderr
    (task,) = shop.endpoint.cloud.account(tenant_account(1)).one_offs.values()
    assert task.stopped == "stopped by the person who ran it"


# --- deploy.logs -----------------------------------------------------------------------------------------------------


def wrote(shop: Shop, number: int, *lines: str) -> None:
    account = shop.endpoint.cloud.account(tenant_account(number))
    for line in lines:
        write_log(account, f"/ecs/shop-t{number}-prod-api", f"api/api/task{number}", line)


def test_recent_lines_of_all_targets_are_shown_with_where_they_come_from(shop: Shop, run):
    wrote(shop, 1, "started", "took an order")
    wrote(shop, 2, "started")
    ran = shop.inv("deploy.logs", "prod")
    assert ran.code == 0
    assert sorted(line[10:] for line in ran.stdout.splitlines()) == [
        "t1-prod/api  task1 api | started",
        "t1-prod/api  task1 api | took an order",
        "t2-prod/api  task2 api | started",
    ]
    assert not WRITES & set(shop.endpoint.operations())


def test_lines_that_are_too_old_are_left_out_and_it_is_said_how_to_see_more(shop: Shop, run):
    wrote(shop, 1, "long ago")
    wrote(shop, 2, "long ago")
    for account in (1, 2):
        streams = shop.endpoint.cloud.account(tenant_account(account)).log_streams
        hour_ago = int((datetime.now(UTC) - timedelta(hours=1)).timestamp() * 1000)
        streams.update({key: [(hour_ago, line) for _, line in lines] for key, lines in streams.items()})
    ran = shop.inv("deploy.logs", "prod")
    assert (ran.code, ran.stdout, "--since 2h looks further back" in ran.stderr) == (0, "", True)
    assert shop.inv("deploy.logs", "prod", "--since", "2h").stdout.count("long ago") == 2


def test_a_log_that_cannot_be_read_hides_nothing_of_the_others(shop: Shop, run):
    wrote(shop, 1, "started")
    ran = shop.inv("deploy.logs", "prod")
    assert ran.code == 1
    assert "t1-prod/api" in ran.stdout
    assert "t2-prod/api: log group /ecs/shop-t2-prod-api: FilterLogEvents: ResourceNotFoundException" in ran.stderr


def test_a_definition_without_a_log_in_cloudwatch_is_said(shop: Shop):
    ran = shop.inv("deploy.logs", "dev")
    assert ran.code == 1
    assert "t1-dev/api: no container of its definition writes to CloudWatch Logs" in ran.stderr


def test_a_length_of_time_that_is_none_is_refused(shop: Shop):
    ran = shop.inv("deploy.logs", "prod", "--since", "3x")
    assert (ran.code, "--since: '3x' is no length of time" in ran.stderr) == (2, True)


def test_log_lines_as_json(shop: Shop, run):
    wrote(shop, 1, "started")
    events = [
        json.loads(line) for line in shop.inv("deploy.logs", "prod", "--tenant", "t1", "--json").stdout.splitlines()
    ]
    assert [event["event"] for event in events] == ["log", "summary"]
    assert (events[0]["target"], events[0]["message"], events[1]["lines"]) == ("t1-prod/api", "started", 1)


def test_secrets_of_the_definition_never_reach_the_terminal(shop: Shop):
    shop.edit("envs/t1.toml", "[env]", '[env]\nADMIN_PASSWORD = "hunter22"')
    assert shop.inv("deploy.prod", "--tenant", "t1").code == 0
    wrote(shop, 1, "signing in with hunter22")
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1")
    assert "signing in with ***" in ran.stdout and "hunter22" not in ran.stdout + ran.stderr


def test_following_tells_each_line_once_the_late_ones_too(shop: Shop, run):
    wrote(shop, 1, "one")
    project = load(shop.root)
    watched = journey.watch(project, [each for each in project.targets if str(each) == "t1-prod/api"])
    told: list[str] = []
    account = shop.endpoint.cloud.account(tenant_account(1))
    looks = iter(["two", "late", "stop"])

    def meanwhile(_seconds: float) -> None:
        match next(looks):
            case "two":
                wrote(shop, 1, "two")
            case "late":
                (stream,) = (lines for (group, _), lines in account.log_streams.items() if group == GROUP)
                stream.append((stream[-1][0] - 5000, "late"))
            case _:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        journey.logs(
            watched, timedelta(minutes=10), lambda line: told.append(line.message), follow=True, sleep=meanwhile
        )
    assert told == ["one", "two", "late"]
