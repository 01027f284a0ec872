"""`inv deploy.logs`: real command lines against an endpoint that keeps the logs of tasks, in pages as AWS's."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.config import Config

from deploytasks import commands
from deploytasks.aws import session
from deploytasks.aws.logs import Source, Tail
from deploytasks.commands.logs import POLL_S, watch
from deploytasks.config.load import load
from deploytasks.errors import Interrupted
from deploytasks.model import Event, Logged
from deploytasks.report.log import Log
from tests.cloud.accounts import AwsError, Call
from tests.cloud.world import tenant_account
from tests.commands import WRITES, Shop
from tests.given import target as given_target
from tests.hanging import HANGS_S, until
from tests.oneoffs import container, containers, logged, said, target, with_log, writes

ROOT = Path(__file__).resolve().parents[1]
MINUTES_10 = timedelta(minutes=10)


@pytest.fixture(autouse=True)
def _with_log(shop: Shop) -> None:
    with_log(shop, 1, 2)


@pytest.mark.quick
def test_recent_lines_of_all_targets_are_merged_by_time_with_where_they_come_from(shop: Shop):
    writes(shop, "took an order", task="0123456789abcdef", ago_s=20)
    writes(shop, "started", number=2, task="fedcba9876543210", ago_s=30)
    writes(shop, "sent it", task="0123456789abcdef", ago_s=10)
    ran = shop.inv("deploy.logs", "prod")
    assert (ran.code, ran.stderr) == (0, "")
    assert [line[10:] for line in ran.stdout.splitlines()] == [
        "t2-prod/api  fedcba98 api | started",
        "t1-prod/api  01234567 api | took an order",
        "t1-prod/api  01234567 api | sent it",
    ]
    assert not WRITES & set(shop.endpoint.operations())


def test_every_page_is_read_an_empty_one_is_not_the_last(shop: Shop):
    writes(shop, *(f"line {n}" for n in range(250)), ago_s=60)
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1")
    assert [line.rpartition("| ")[2] for line in ran.stdout.splitlines()] == [f"line {n}" for n in range(250)]
    assert shop.endpoint.calls[tenant_account(1), "FilterLogEvents"] == 4


def test_flags_choose_the_targets(shop: Shop):
    writes(shop, "one")
    writes(shop, "two", number=2)
    assert "t1-prod" not in shop.inv("deploy.logs", "prod", "--exclude", "t1").stdout
    assert "t2-prod" not in shop.inv("deploy.logs", "prod", "--tenant", "t1", "--service", "api").stdout


def test_lines_that_are_too_old_are_left_out_and_it_is_said_how_to_see_more(shop: Shop):
    writes(shop, "long ago", ago_s=3600)
    writes(shop, "long ago", number=2, ago_s=3600)
    ran = shop.inv("deploy.logs", "prod")
    assert (ran.code, ran.stdout) == (0, "")
    assert "deploy.logs prod: no line in that time; --since 1h looks further back" in ran.stderr
    assert shop.inv("deploy.logs", "prod", "--since", "1h30m").stdout.count("long ago") == 2


@pytest.mark.parametrize("since", ["3x", "", "10", "0s", "-5m"])
def test_a_length_of_time_that_is_none_is_refused(shop: Shop, since: str):
    ran = shop.inv("deploy.logs", "prod", f"--since={since}")
    assert (ran.code, f"--since: '{since}' is not a length of time" in ran.stderr) == (2, True)
    assert not shop.endpoint.operations()


def test_a_tier_that_is_not_there_is_refused(shop: Shop):
    ran = shop.inv("deploy.logs", "prd")
    assert (ran.code, "there is no tier 'prd'\n    did you mean 'prod'?" in ran.stderr) == (2, True)


def refuse_one(shop: Shop, code: str) -> None:
    shop.refuse("FilterLogEvents", code, tenant_account(2))


def test_a_log_that_may_not_be_read_is_said_once_and_hides_nothing_of_the_others(shop: Shop):
    containers(shop, 2).append({**container(shop, 2), "name": "api2"})
    writes(shop, "started")
    refuse_one(shop, "AccessDeniedException")
    ran = shop.inv("deploy.logs", "prod")
    assert (ran.code, ran.stdout.count("| started")) == (1, 1)
    what = "t2-prod/api: log group /ecs/shop-t2-prod-api can't be read: FilterLogEvents: AccessDeniedException"
    assert ran.stderr.count(what) == 1
    assert "\n    allow FilterLogEvents to the role" in ran.stderr
    assert ran.stderr.endswith("deploy.logs prod: not every log could be read: t2-prod/api\n")


def test_a_log_group_that_is_not_there_is_said(shop: Shop):
    writes(shop, "started")
    ran = shop.inv("deploy.logs", "prod")
    assert (ran.code, ran.stdout.count("| started")) == (1, 1)
    assert "t2-prod/api: there is no log group /ecs/shop-t2-prod-api\n    it comes with the first line" in ran.stderr


def test_a_definition_without_a_log_in_cloudwatch_is_said(shop: Shop):
    ran = shop.inv("deploy.logs", "dev")
    assert ran.code == 1
    assert "t1-dev/api: no container of its definition writes to CloudWatch Logs" in ran.stderr


def test_single_containers_that_write_elsewhere_are_said_and_are_no_failure(shop: Shop):
    containers(shop).append({"name": "proxy", "image": "envoy:1", "logConfiguration": {"logDriver": "json-file"}})
    writes(shop, "started")
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1")
    assert (ran.code, ran.stdout.count("| started")) == (0, 1)
    assert ran.stderr == "t1-prod/api: without the lines of proxy, which writes elsewhere than to CloudWatch Logs\n"


def test_a_service_that_is_not_there_is_said(shop: Shop):
    shop.endpoint.cloud.account(tenant_account(1)).clusters["t1-prod"].services.clear()
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1")
    assert (ran.code, "t1-prod/api: there is no ECS service api in cluster t1-prod" in ran.stderr) == (1, True)


def test_a_log_in_another_region_is_read_there(shop: Shop):
    container(shop)["logConfiguration"]["options"]["awslogs-region"] = "eu-west-1"
    watched = watch(load(shop.root), [target(shop)])
    assert watched.clients.of("logs", watched.sources[0].access).meta.region_name == "eu-west-1"


def test_as_json_every_line_is_an_event_and_the_last_one_the_summary(shop: Shop):
    writes(shop, "started", task="0123456789abcdef")
    ran = shop.inv("deploy.logs", "prod", "--json")
    told, line, summary = map(json.loads, ran.stdout.splitlines())
    assert (told["event"], told["about"]) == ("told", "t2-prod/api")
    shown = {key: line[key] for key in ("event", "target", "task", "container", "message")}
    assert shown == {
        "event": "log",
        "target": "t1-prod/api",
        "task": "0123456789abcdef",
        "container": "api",
        "message": "started",
    }
    assert (summary["event"], summary["lines"], summary["exit"], len(summary["complaints"])) == ("summary", 1, 1, 1)
    assert ran.code == 1


def test_secrets_of_the_running_definition_never_reach_the_terminal(shop: Shop):
    container(shop)["environment"] = [{"name": "ADMIN_PASSWORD", "value": "hunter22"}]
    writes(shop, "signing in with hunter22")
    ran = shop.inv("deploy.logs", "prod", "--tenant", "t1")
    assert "signing in with ***" in ran.stdout
    assert "hunter22" not in ran.stdout + ran.stderr + shop.inv("deploy.logs", "prod", "--json").stdout


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO(), "a\x1b[2Jb\n"), (Terminal(), "ab\n")])
def test_bare_lines_are_exact_in_a_pipe_and_harmless_on_a_terminal(stream: io.StringIO, shown: str):
    log = Log("deploy.run prod", stream, io.StringIO(), "bare")
    log(Logged(given_target(), "1", "api", "a\x1b[2Jb", datetime.now(UTC)))
    assert stream.getvalue() == shown


def test_what_a_terminal_would_obey_is_taken_out_of_stamped_lines_and_words():
    out, aside = io.StringIO(), io.StringIO()
    log = Log("deploy.logs prod", out, aside, "stamped", width=12)
    log(Logged(given_target(), "0123456789", "api", "one\x1b[2J\ntwo", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)))
    assert out.getvalue() == (
        "03:04:05  prod/api      01234567 api | one\n03:04:05  prod/api      01234567 api | two\n"
    )


class Following:
    """Follows t1 and t2 in prod; `meanwhile` happens, one by one, while it waits, and then somebody stops it."""

    def __init__(self, shop: Shop, *meanwhile: Callable[[], None]) -> None:
        self._shop, self.meanwhile = shop, iter(meanwhile)
        self.told: list[Event] = []
        self.slept: list[float] = []

    def run(self) -> None:
        project = load(self._shop.root)
        watched = watch(project, [each for each in project.targets if each.environment.tier == "prod"])
        with pytest.raises(Interrupted):
            commands.logs(watched, MINUTES_10, self.told.append, follow=lambda: True, sleep=self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        happens = next(self.meanwhile, None)
        if happens is None:
            raise KeyboardInterrupt
        happens()


def test_following_tells_each_line_once_new_tasks_late_and_simultaneous_ones_too(shop: Shop):
    writes(shop, "one")
    writes(shop, "two", number=2)
    following = Following(
        shop,
        lambda: writes(shop, "new task", task="task2"),
        lambda: writes(shop, "late", ago_s=20),
        lambda: writes(shop, "same", "same", task="task3"),
        lambda: None,
    )
    following.run()
    assert logged(following.told) == ["one", "two", "new task", "late", "same", "same"]
    assert set(following.slept) == {POLL_S}


def test_a_group_that_comes_while_it_is_followed_is_heard(shop: Shop):
    writes(shop, "one")
    following = Following(shop, lambda: None, lambda: writes(shop, "at last", number=2))
    following.run()
    assert logged(following.told) == ["one", "at last"]
    assert len(said(following.told)) == 1


def throttled(shop: Shop) -> Callable[[], None]:
    def begin() -> None:
        shop.refuse("FilterLogEvents", "ThrottlingException", tenant_account(2))

    return begin


def test_throttling_is_told_once_and_no_line_is_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "CONFIG", session.CONFIG.merge(Config(retries={"total_max_attempts": 1})))
    writes(shop, "one")
    writes(shop, "two", number=2)

    def meanwhile() -> None:
        writes(shop, "three")
        writes(shop, "four", number=2)

    def over() -> None:
        shop.endpoint.fault = None

    following = Following(shop, throttled(shop), meanwhile, lambda: None, over, lambda: None)
    following.run()
    assert logged(following.told) == ["one", "two", "three", "four"]
    (message,) = said(following.told)
    assert "does not answer; asking again: FilterLogEvents: ThrottlingException" in message


def test_a_log_that_may_not_be_read_is_asked_once_and_the_others_go_on(shop: Shop):
    writes(shop, "one")
    refuse_one(shop, "AccessDeniedException")
    following = Following(shop, lambda: writes(shop, "two"), lambda: None)
    following.run()
    assert logged(following.told) == ["one", "two"]
    assert shop.endpoint.calls[tenant_account(2), "FilterLogEvents"] == 1


def test_following_ends_where_nothing_is_left_that_could_be_read(shop: Shop):
    shop.refuse("FilterLogEvents", "AccessDeniedException")
    ran = shop.inv("deploy.logs", "prod", "--follow")
    assert (ran.code, ran.stderr.count("can't be read")) == (1, 2)


@pytest.mark.waits
def test_an_account_that_answers_late_keeps_no_others_lines_back(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    module = sys.modules["deploytasks.commands.logs"]
    monkeypatch.setattr(module, "_FIRST_S", 0.3)
    monkeypatch.setattr(module, "POLL_S", 0.3)
    writes(shop, "one")
    writes(shop, "held back", number=2)
    throttled(shop)()  # botocore asks again, longer and longer, up to ten times

    def once_told(following: Following, *steps: tuple[str, Callable[[], None]]) -> Iterator[Callable[[], None]]:
        for line, then in steps:
            while line not in logged(following.told):
                yield lambda: None
            yield then

    following = Following(shop)
    following.meanwhile = once_told(following, ("one", lambda: writes(shop, "two")), ("two", lambda: None))
    following.run()
    shop.endpoint.fault = None
    assert (logged(following.told), said(following.told)) == (["one", "two"], [])


class Pages:
    """CloudWatch's paginator over what it is given."""

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []
        self.asked: list[int] = []

    def get_paginator(self, _operation: str) -> "Pages":
        return self

    def paginate(self, **ask: object) -> Iterator[dict[str, object]]:
        self.asked.append(int(str(ask["startTime"])))
        yield {"events": [event for event in self.events if int(str(event["timestamp"])) >= self.asked[-1]]}

    def add(self, at_s: float, message: str) -> None:
        event = {"timestamp": int(at_s * 1000), "logStreamName": "api/api/1", "message": message}
        self.events.append({**event, "eventId": str(len(self.events))})


def tail_of(pages: Pages, now: float) -> Tail:
    source = Source(given_target(), "api", "/ecs/shop", "api/api/", given_target().access)
    return Tail(pages, source, datetime.fromtimestamp(now - 600, UTC), clock=lambda: now)


def test_a_container_whose_clock_is_ahead_hides_no_line_of_the_others():
    pages, now = Pages(), 1_800_000_000.0
    tail = tail_of(pages, now)
    pages.add(now + 3600, "from the future")
    assert [line.message for line in tail.read()] == ["from the future"]
    pages.add(now, "from now")
    assert [line.message for line in tail.read()] == ["from now"]


def test_what_was_read_is_forgotten_once_it_can_no_longer_come_again():
    pages, now = Pages(), 1_800_000_000.0
    tail = tail_of(pages, now)
    for second in range(0, 600, 10):
        pages.add(now - 600 + second, str(second))
    assert len(tail.read()) == 60
    assert len(tail._seen) == 4
    assert tail.read() == []
    assert pages.asked[-1] == int((now - 40) * 1000)


def test_lines_of_other_streams_are_left_out_where_an_endpoint_knows_no_prefix():
    pages, now = Pages(), 1_800_000_000.0
    pages.add(now, "ours")
    pages.events.append({**pages.events[0], "eventId": "other", "logStreamName": "api/proxy/1"})
    assert [line.message for line in tail_of(pages, now).read()] == ["ours"]


def test_lines_of_a_longer_prefix_that_begins_as_ours_does_are_left_out():
    pages, now = Pages(), 1_800_000_000.0
    pages.add(now, "ours")
    pages.events.append({**pages.events[0], "eventId": "other", "logStreamName": "api/api/worker/1"})
    assert [line.message for line in tail_of(pages, now).read()] == ["ours"]


def test_a_look_that_fails_half_way_loses_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(session, "CONFIG", session.CONFIG.merge(Config(retries={"total_max_attempts": 1})))
    writes(shop, *(f"line {n}" for n in range(150)))
    writes(shop, number=2)
    calls = iter(range(100))

    def second_page_fails(call: Call) -> AwsError | None:
        hit = call.operation == "FilterLogEvents" and call.account == tenant_account(1) and next(calls) == 2
        return AwsError("ServiceUnavailableException", "half-way", 500) if hit else None

    shop.endpoint.fault = second_page_fails
    following = Following(shop, lambda: None, lambda: None)
    following.run()
    assert logged(following.told) == [f"line {n}" for n in range(150)]


@contextmanager
def process(shop: Shop, *words: str) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "invoke", "deploy.logs", "prod", *words],
        cwd=shop.root,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            running.kill()


@pytest.mark.waits
def test_following_shows_new_lines_until_ctrl_c(shop: Shop):
    writes(shop, "one")
    with process(shop, "--tenant", "t1", "--follow") as running:
        assert running.stdout is not None
        assert running.stdout.readline().endswith("| one\n")
        writes(shop, "two")
        assert running.stdout.readline().endswith("| two\n")
        running.send_signal(signal.SIGINT)
        rest, stderr = running.communicate(timeout=HANGS_S)
    assert (running.returncode, rest, stderr) == (130, "", "deploy.logs: interrupted\n")


@pytest.mark.waits
def test_following_as_json_ends_with_a_summary(shop: Shop):
    writes(shop, "one")
    with process(shop, "--tenant", "t1", "--follow", "--json") as running:
        assert running.stdout is not None
        running.stdout.readline()
        running.send_signal(signal.SIGTERM)
        rest, _ = running.communicate(timeout=HANGS_S)
    assert (running.returncode, json.loads(rest)["exit"], json.loads(rest)["lines"]) == (130, 130, 1)


@pytest.mark.waits
def test_following_ends_when_nobody_reads_any_more(shop: Shop):
    writes(shop, "one")
    with process(shop, "--tenant", "t1", "--follow") as running:
        assert running.stdout is not None and running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        until(lambda: running.poll() is not None, meanwhile=lambda: writes(shop, "unread"))
        assert running.poll() == 0
        assert running.stderr.read() == ""
