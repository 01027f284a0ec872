"""`inv deploy.run`: real command lines against an endpoint that runs tasks and keeps their logs."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from deploytasks import commands
from deploytasks.aws import follow_task
from deploytasks.aws.run_task import start
from deploytasks.errors import NotReady
from deploytasks.model import Event
from tests.cloud.logs import write_log
from tests.commands import Ran, Shop
from tests.hanging import HANGS_S
from tests.oneoffs import (
    ACCOUNT,
    GROUP,
    PREFIX,
    Clock,
    container,
    containers,
    ecs_client,
    logged,
    no_log,
    one_off,
    prepared,
    said,
    script,
    with_log,
)

ROOT = Path(__file__).resolve().parents[1]
RUN = ("deploy.run", "prod", "--tenant", "t1", "--service", "api")
pytestmark = pytest.mark.waits
Run = Callable[..., Ran]


@pytest.fixture
def run(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command as a person does, with what is given after the dashes."""
    with_log(shop, 1, 2)
    monkeypatch.setattr(follow_task, "POLL_S", 0.01)
    monkeypatch.setattr(follow_task, "QUIET_S", 0.05)

    def ran(*command: str, flags: Sequence[str] = RUN) -> Ran:
        monkeypatch.setattr(sys, "argv", ["inv", *flags, "--", *command])
        return shop.inv(*flags, "--", *command)

    return ran


@pytest.fixture
def clock(shop: Shop) -> Clock:
    clock = Clock()
    shop.endpoint.cloud.clock = clock
    return clock


def test_a_command_keeps_its_words_and_its_output_is_all_that_stdout_has(shop: Shop, run: Run):
    words = ["sh", "-c", "echo \"a  b\" '$HOME'", "", "--", "--tenant"]
    ran = run(*words)
    assert (ran.code, json.loads(ran.stdout)) == (0, words)
    assert f"t1-prod/api: started task {one_off(shop).arn[-32:]}: container api of shop-t1-prod-api:1" in ran.stderr


def test_without_a_command_line_of_its_own_the_text_is_split_as_a_shell_would(shop: Shop, run: Run, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pytest", "--", "something", "else"])
    assert json.loads(shop.inv(*RUN, "--", "sh", "-c", "'echo a'").stdout) == ["sh", "-c", "echo a"]
    ran = shop.inv(*RUN, "--", "echo", "'a")
    assert (ran.code, "no words can be made of it: No closing quotation" in ran.stderr) == (2, True)


def test_it_runs_where_and_as_the_services_own_tasks_do_and_says_who_ran_it(shop: Shop, run: Run, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "jo")
    monkeypatch.setattr("platform.node", lambda: "desk.example")
    assert run("true").code == 0
    task = one_off(shop)
    assert {key: task.ask[key] for key in ("cluster", "count", "launchType", "platformVersion", "startedBy")} == {
        "cluster": "t1-prod",
        "count": 1,
        "launchType": "FARGATE",
        "platformVersion": "LATEST",
        "startedBy": "deploytasks/jo-desk-example",
    }
    assert task.ask["networkConfiguration"]["awsvpcConfiguration"]["subnets"] == ["subnet-1"]
    assert task.ask["overrides"] == {"containerOverrides": [{"name": "api", "command": ["true"]}]}
    assert task.revision.arn.endswith("task-definition/shop-t1-prod-api:1")
    assert task.tags == {"deploytasks:project": "shop", "deploytasks:by": "jo@desk.example"}


@pytest.mark.parametrize("names", [["api", "helper"], ["one", "two"], []])
def test_the_container_that_runs_our_image_runs_the_command(shop: Shop, names: list[str]):
    ours = container(shop)
    others = [{"name": "proxy", "image": "public.ecr.aws/envoy:1", "essential": True}]
    containers(shop)[:] = [*({**ours, "name": name} for name in names), *others]
    if "api" in names:
        assert prepared(shop).one_off.container == "api"
        return
    with pytest.raises(NotReady) as refused:
        prepared(shop)
    what = "2 containers of shop-t1-prod-api:1 run" if names else "no container of shop-t1-prod-api:1 runs"
    assert what in str(refused.value)
    assert ("call the one that runs commands api" if names else "inv deploy.prod brings it") in str(refused.value)


@pytest.mark.quick
def test_the_commands_exit_code_is_ours(shop: Shop, run: Run):
    script(shop, exit=3, lines=["no such table"])
    ran = run("./manage", "migrate")
    assert (ran.code, ran.stdout) == (3, "no such table\n")
    assert ran.stderr.endswith("t1-prod/api: the command ended with exit code 3\n")


def test_a_killed_command_ends_with_137_and_says_why(shop: Shop, run: Run):
    script(shop, exit=137, reason="OutOfMemoryError: Container killed due to memory usage")
    ran = run("./manage", "import")
    assert ran.code == 137
    assert "exit code 137: OutOfMemoryError: Container killed due to memory usage" in ran.stderr


def test_an_exit_code_that_no_process_can_have_never_becomes_success(shop: Shop, run: Run):
    script(shop, exit=256)
    assert run("some.exe").code == 255


def test_a_task_that_never_started_ends_with_125_and_its_reason(shop: Shop, run: Run):
    script(shop, exit=None, reason="CannotPullContainerError: not found")
    ran = run("true")
    assert ran.code == 125
    assert "the command never started: CannotPullContainerError: not found" in ran.stderr


def test_a_command_of_which_nobody_knows_how_it_ended_is_no_success_and_did_start(shop: Shop, run: Run):
    script(shop, exit=None, began=True, lines=["half of it"])
    ran = run("true")
    assert (ran.code, ran.stdout) == (1, "half of it\n")
    assert "how the command ended is not known: Essential container in task exited" in ran.stderr


def test_a_task_that_ecs_finds_no_place_for_ends_with_125(shop: Shop, run: Run):
    script(shop, refused="RESOURCE:MEMORY")
    ran = run("true")
    assert (ran.code, "t1-prod/api: RunTask: RESOURCE:MEMORY\n    run it again" in ran.stderr) == (125, True)


def test_a_role_that_may_run_no_task_ends_with_125_and_what_to_allow(shop: Shop, run: Run):
    shop.refuse("RunTask", "AccessDeniedException")
    ran = run("true")
    assert (ran.code, "allow RunTask to the role" in ran.stderr) == (125, True)


def test_a_task_that_can_no_longer_be_seen_is_no_command_that_never_started(shop: Shop, run: Run):
    script(shop, lasts_s=600)
    shop.refuse("DescribeTasks", "AccessDeniedException")
    ran = run("true")
    assert ran.code == 1
    assert "can no longer be seen, and goes on: DescribeTasks: AccessDeniedException" in ran.stderr
    assert f"aws ecs stop-task --cluster t1-prod --task {one_off(shop).arn[-32:]} ends it" in ran.stderr


def test_its_end_is_the_commands_and_not_the_tasks_whose_network_is_still_taken_down(shop: Shop, clock: Clock):
    script(shop, exit=4, lasts_s=10, lingers_s=60)
    assert commands.run(prepared(shop), clock=clock, sleep=clock.sleep).code == 4
    assert clock.passed_s < 20


def test_a_task_that_would_go_on_without_its_command_is_stopped(shop: Shop, clock: Clock):
    container(shop)["essential"] = False
    script(shop, exit=0, lasts_s=10, lingers_s=float("inf"))
    assert commands.run(prepared(shop), clock=clock, sleep=clock.sleep).code == 0
    assert one_off(shop).stopped == "the command of this one-off task has ended"


def test_lines_that_come_after_the_end_are_told_too_and_each_once(shop: Shop, clock: Clock):
    with_log(shop, 1)
    script(shop, lines=["a first word"])
    told: list[Event] = []
    account = shop.endpoint.cloud.account(ACCOUNT)
    words = {2.0: "late", 4.0: "later", 60.0: "too late"}
    for second, word in words.items():
        clock.at[second] = lambda word=word: write_log(account, GROUP, f"{PREFIX}{one_off(shop).arn[-32:]}", word)
    assert commands.run(prepared(shop), told.append, clock=clock, sleep=clock.sleep).code == 0
    assert logged(told) == ["a first word", "late", "later"]


def test_piped_output_is_exactly_what_the_command_wrote(shop: Shop, run: Run):
    script(shop, lines=["  {", "", '\t"a": "\x1b[1mé\u200b"  ', "two\nlines"])
    assert run("true").stdout == '  {\n\n\t"a": "\x1b[1mé\u200b"  \ntwo\nlines\n'


def test_secrets_of_the_running_definition_and_of_the_settings_are_kept_back(shop: Shop, run: Run):
    shop.edit("envs/t1.toml", "[env]", '[env]\nADMIN_PASSWORD = "hunter22"')
    container(shop)["environment"] = [{"name": "API_KEY", "value": "k-123456"}]
    script(shop, exit=1, lines=["hunter22 and k-123456"], reason="k-123456 was refused")
    ran = run("env")
    assert ran.stdout == "*** and ***\n"
    assert "exit code 1: *** was refused" in ran.stderr


def test_other_containers_of_the_task_are_not_heard(shop: Shop, clock: Clock):
    with_log(shop, 1)
    containers(shop).append({**container(shop), "name": "proxy", "image": "envoy:1"})
    told: list[Event] = []
    account = shop.endpoint.cloud.account(ACCOUNT)
    clock.at[0.0] = lambda: write_log(account, GROUP, f"api/proxy/{one_off(shop).arn[-32:]}", "proxied")
    commands.run(prepared(shop, "ours"), told.append, clock=clock, sleep=clock.sleep)
    assert logged(told) == ['["ours"]']


def test_a_definition_that_logs_elsewhere_still_tells_its_exit_code(shop: Shop, clock: Clock):
    script(shop, exit=4)
    told: list[Event] = []
    assert commands.run(prepared(shop), told.append, clock=clock, sleep=clock.sleep).code == 4
    assert clock.passed_s == 0
    assert any("its log can't be shown: its definition sends it elsewhere" in message for message in said(told))


def test_a_log_that_may_not_be_read_is_said_once_and_the_exit_code_told(shop: Shop, run: Run):
    script(shop, exit=5, lasts_s=0.5)
    shop.refuse("FilterLogEvents", "AccessDeniedException")
    ran = run("true")
    assert (ran.code, ran.stderr.count("its log can't be shown: ")) == (5, 1)
    assert "\n    allow FilterLogEvents to the role" in ran.stderr


def test_a_log_group_that_never_came_is_said_at_the_end(shop: Shop, run: Run):
    script(shop, lines=[])
    ran = run("true")
    assert (ran.code, ran.stderr.count("The specified log group does not exist")) == (0, 1)


def test_as_json_every_line_is_an_event_and_the_last_one_the_summary(shop: Shop, run: Run):
    script(shop, exit=3, lines=["one", "two"])
    ran = run("x", flags=(*RUN, "--json"))
    events = [json.loads(line) for line in ran.stdout.splitlines()]
    assert [event["event"] for event in events if event["event"] != "told"] == ["log", "log", "summary"]
    assert next(event["message"] for event in events if event["event"] == "log") == "one"
    assert (ran.summary["exit_code"], ran.summary["exit"], ran.summary["lines"], ran.code) == (3, 3, 2, 3)


def test_as_json_a_refusal_ends_with_a_summary_too(shop: Shop, run: Run):
    shop.refuse("DescribeServices", "AccessDeniedException")
    ran = run("x", flags=(*RUN, "--json"))
    assert (ran.code, ran.summary["event"], ran.summary["exit"]) == (2, "summary", 2)
    assert "AccessDeniedException" in ran.summary["error"]


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (("deploy.run", "prod"), "2 targets are meant, and a command runs in one\n    name one, such as --tenant t1;"),
        (("deploy.run", "prod", "--tenant", "t1,t2"), "there are t1-prod/api, t2-prod/api"),
        (("deploy.run", "prd", "--tenant", "t1"), "there is no tier 'prd'"),
        (("deploy.run", "prod", "--tenant", ""), "--tenant: is empty"),
        (("deploy.run", "prod", "--tenant", "t1", "--service", "web"), "there is no service 'web'"),
    ],
)
def test_what_is_not_one_target_is_refused_and_nobody_is_asked(shop: Shop, run: Run, flags, complaint):
    ran = run("true", flags=flags)
    assert ran.code == 2
    assert complaint in ran.stderr
    assert not shop.endpoint.operations()


@pytest.mark.parametrize("words", [[], ["--"], ["--", ""], ["--", " ", "x"]])
def test_no_command_at_all_is_refused_with_an_example(shop: Shop, monkeypatch: pytest.MonkeyPatch, words: list[str]):
    monkeypatch.setattr(sys, "argv", ["inv", *RUN, *words])
    ran = shop.inv(*RUN, *words)
    assert (ran.code, shop.writes()) == (2, {})
    assert "give it after two dashes: inv deploy.run prod --tenant T --service S -- ./manage migrate" in ran.stderr


def test_the_credentials_of_another_account_run_nothing(shop: Shop, run: Run):
    shop.edit("envs/t1.toml", f'role = "arn:aws:iam::{ACCOUNT}:role/deploy"\n', "")
    ran = run("true")
    assert ran.code == 2
    assert f"the credentials belong to account 012345678922, the file says {ACCOUNT}" in ran.stderr
    assert set(shop.endpoint.operations()) == {"GetCallerIdentity"}


def test_a_service_that_is_not_there_is_refused(shop: Shop, run: Run):
    shop.endpoint.cloud.account(ACCOUNT).clusters["t1-prod"].services.clear()
    ran = run("true")
    assert ran.code == 2
    assert "there is no ECS service api in cluster t1-prod\n    inv deploy.prod makes it" in ran.stderr


@pytest.mark.parametrize("words", [(*RUN, "--dry-run"), ("--dry", *RUN)])
def test_a_dry_run_starts_nothing_and_says_what_it_would(shop: Shop, run: Run, words: tuple[str, ...]):
    ran = run("rm", "-r", "/", flags=words)
    assert (ran.code, ran.stdout, shop.writes()) == (0, "", {})
    assert "nothing was started; it would run in container api of shop-t1-prod-api:1 in cluster t1-prod" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_command_stops_its_task(shop: Shop, number: signal.Signals):
    with_log(shop, 1)
    script(shop, lasts_s=600, lines=["at work"])
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", *RUN, "--", "sleep", "600"],
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "at work\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=HANGS_S)
    assert process.returncode == 130, stderr
    assert stderr.endswith(f"t1-prod/api: interrupted; task {one_off(shop).arn[-32:]} was stopped\n")
    assert "Traceback" not in stderr
    assert one_off(shop).stopped == "stopped by the person who ran it"


def test_an_interruption_while_ecs_starts_the_task_stops_it(shop: Shop, run: Run):
    script(shop, lasts_s=600)
    shop.interrupt(lambda call: call.operation == "RunTask", then=lambda: time.sleep(0.3))
    ran = run("sleep", "600")
    assert (ran.code, ran.stderr.endswith("was stopped\n")) == (130, True)
    assert one_off(shop).stopped


def interrupted_while_refused(shop: Shop, run: Run, operation: str) -> Ran:
    """A long command interrupted at the first look at its task, from when on the operation is denied."""

    script(shop, lasts_s=600)
    shop.interrupt(
        lambda call: call.operation == "DescribeTasks", then=lambda: shop.refuse(operation, "AccessDeniedException")
    )
    return run("sleep", "600")


def test_a_task_that_may_not_be_stopped_is_said_to_go_on(shop: Shop, run: Run):
    ran = interrupted_while_refused(shop, run, "StopTask")
    assert ran.code == 130
    assert "could not be stopped, and goes on: StopTask: AccessDeniedException" in ran.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_after_the_commands_end_leaves_it_its_exit_code(shop: Shop, run: Run, number: signal.Signals):
    script(shop, exit=3, lines=["no such table"])
    shop.interrupt(lambda call: call.operation == "FilterLogEvents", number)
    ran = run("./manage", "migrate")
    assert (ran.code, ran.stdout, one_off(shop).stopped) == (3, "no such table\n", "")
    assert ran.stderr.endswith(
        "t1-prod/api: interrupted; the command had ended by then, and its late lines are not waited for\n"
        "t1-prod/api: the command ended with exit code 3\n"
    )
    assert "StopTask" not in shop.endpoint.operations()


def test_an_interruption_while_late_lines_are_awaited_ends_the_wait(shop: Shop, clock: Clock):
    with_log(shop, 1)
    script(shop, exit=0, lines=["done"])
    told: list[Event] = []

    def interrupted() -> None:
        raise KeyboardInterrupt

    clock.at[2.0] = interrupted
    assert commands.run(prepared(shop), told.append, clock=clock, sleep=clock.sleep).code == 0
    assert (logged(told), clock.passed_s) == (["done"], 2.0)
    assert "the command had ended by then" in said(told)[-1]


def test_an_interruption_after_the_commands_end_still_stops_what_would_go_on_without_it(shop: Shop, clock: Clock):
    container(shop)["essential"] = False
    script(shop, exit=4, lingers_s=float("inf"))
    client, ready = ecs_client(shop), prepared(shop)
    running = start(client, ready.one_off, ready.author, {})
    resources = follow_task.FollowResources(client, lambda _event: None, clock, clock.sleep)
    ended = follow_task.Following(resources, running, no_log(shop)).already_over()
    client.close()
    assert ended is not None and ended.code == 4
    assert one_off(shop).stopped == "the command of this one-off task has ended"


def test_an_interruption_when_the_task_cannot_be_seen_stops_it(shop: Shop, run: Run):
    ran = interrupted_while_refused(shop, run, "DescribeTasks")
    assert (ran.code, bool(one_off(shop).stopped)) == (130, True)
