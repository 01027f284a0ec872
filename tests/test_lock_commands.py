"""The lock around whole commands: who waits, who is refused, who is asked; and that it is free on every way out."""

import json
import linecache
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import StringIO
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from msgspec.structs import replace

from deploytasks import commands
from deploytasks.aws import locks, transport
from deploytasks.aws.parameters import written
from deploytasks.config.load import load
from deploytasks.errors import Interrupted
from deploytasks.model import Command, LockState, Options, Report, Scope
from deploytasks.tasks import shell
from deploytasks.tasks.carry_out import carry_out
from tests.cloud.accounts import AwsError, Call
from tests.commands import REGISTRY, Shop
from tests.hanging import HANGS_S, until
from tests.project import inv
from tests.proxy import Proxy, Rule, Stall

pytestmark = pytest.mark.waits
LOCK, HOLD = "/deploytasks/shop/prod/lock", "/deploytasks/shop/prod/hold"
ANN = LockState("prod", "ann@desk", "2026-11-23T12:00:00Z", "release.prod", machine="elsewhere", pid=1, token="t")
_HURRY = 40
"""So many times faster than usual is the waiting here."""


def parameters(shop: Shop) -> dict[str, dict[str, Any]]:
    return shop.endpoint.cloud.account(REGISTRY).parameters


def put(shop: Shop, name: str = LOCK, state: LockState = ANN) -> None:
    parameters(shop)[name] = {"Name": name, "Type": "String", "Version": 1, "Value": written(state)}


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Waiting for a lock passes quickly."""
    sleep, clock = (lambda s: time.sleep(s / _HURRY)), (lambda: time.monotonic() * _HURRY)
    monkeypatch.setattr(locks, "LockWait", partial(locks.LockWait, sleep=sleep, clock=clock))


def at(operation: str, then: Callable[[], object], *, nth: int = 1) -> Callable[[Call], None]:
    """A fault that does something when the operation is called for the n-th time, and lets the call pass."""
    left = [nth]

    def fault(call: Call) -> None:
        if call.operation == operation:
            left[0] -= 1
            if left[0] == 0:
                then()

    return fault


def strike(number: int) -> None:
    """The signal is sent to this process, which has time to feel it."""
    os.kill(os.getpid(), number)
    time.sleep(0.2)


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("task", ["tag.prod", "deploy.prod", "release.prod"])
def test_a_command_waits_for_the_lock_and_then_goes_on(shop: Shop, task: str):
    put(shop)
    shop.endpoint.fault = at("GetParameter", lambda: parameters(shop).pop(LOCK), nth=4)
    ran = shop.inv(task, "--lock-wait", "15m")
    assert ran.code == 0, ran.stderr
    assert ran.stdout.count("ann@desk holds the lock since 2026-11-23T12:00:00Z") == 1
    assert "waiting for it, up to 15m" in ran.stdout and "the lock is ours, after " in ran.stdout
    assert not parameters(shop)


@pytest.mark.usefixtures("hurried")
def test_a_rollback_waits_too(shop: Shop):
    for commit in ("older", "newer"):
        shop.inv("release.prod", "--commit", shop.commits[commit], "--allow-older", "--override", "x", "--no-wait")
    put(shop)
    shop.endpoint.fault = at("GetParameter", lambda: parameters(shop).pop(LOCK), nth=4)
    ran = shop.inv("release.rollback", "prod", "--lock-wait", "15m", "--no-wait")
    assert ran.code == 0, ran.stderr
    assert HOLD in parameters(shop) and LOCK not in parameters(shop)


@pytest.mark.usefixtures("hurried")
def test_who_waited_in_vain_is_refused_and_nothing_was_changed(shop: Shop):
    put(shop)
    ran = shop.inv("release.prod", "--lock-wait", "10s", "--json")
    assert ran.code == 2
    assert re.match(r"prod: after \d+s of waiting, ann@desk holds the lock since ", ran.stderr)
    assert ran.summary["exit"] == 2
    assert shop.writes() == {} and set(parameters(shop)) == {LOCK}
    assert shop.endpoint.operations()["PutParameter"] == 1


@pytest.mark.parametrize("length", ["", "0s", "soon", "15"])
def test_a_wait_that_is_no_length_of_time_is_refused(shop: Shop, length: str):
    ran = shop.inv("release.prod", "--lock-wait", length)
    assert ran.code == 2
    assert ran.stderr.startswith("--lock-wait: ")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_while_waiting_ends_it_at_once_and_holds_nothing(shop: Shop, number: int):
    put(shop)
    shop.endpoint.fault = at("GetParameter", lambda: strike(number), nth=2)
    ran = shop.inv("release.prod", "--lock-wait", "15m")
    assert ran.code == 130
    assert json.loads(parameters(shop)[LOCK]["Value"])["by"] == "ann@desk"
    assert shop.endpoint.operations()["DeleteParameter"] == 0


def test_a_dry_run_neither_waits_nor_locks(shop: Shop):
    put(shop)
    assert shop.inv("release.prod", "--lock-wait", "15m", "--dry-run").code == 0
    assert shop.endpoint.operations()["PutParameter"] == 0


def test_an_empty_reason_locks_nothing(shop: Shop):
    ran = shop.inv("lock.acquire", "prod", "--reason", "")
    assert (ran.code, LOCK in parameters(shop)) == (2, False)
    assert "--reason: is empty" in ran.stderr


@pytest.mark.usefixtures("hurried")
def test_a_lock_taken_by_hand_is_waited_for_as_well(shop: Shop):
    put(shop)
    shop.endpoint.fault = at("GetParameter", lambda: parameters(shop).pop(LOCK), nth=3)
    ran = shop.inv("lock.acquire", "prod", "--reason", "a frozen week", "--lock-wait", "1h")
    assert ran.code == 0
    assert "waiting for it, up to 1h" in ran.stdout and "prod: locked by " in ran.stdout
    assert json.loads(parameters(shop)[LOCK]["Value"])["reason"] == "a frozen week"


def test_the_command_that_goes_on_waits_as_long(shop: Shop):
    shop.refuse("UpdateService", "AccessDeniedException")
    ran = shop.inv("release.prod", "--lock-wait", "90m")
    assert ran.stderr.endswith("to go on: inv deploy.prod --lock-wait 1h30m\n")


@pytest.mark.parametrize(
    ("words", "commit", "release"),
    [
        (["release.prod", "--commit", "HEAD~1"], "newer", ""),
        (["deploy.prod", "--to", "prod-20260203T040506Z"], "", "prod-20260203T040506Z"),
        (["tag.dev", "--commit", "HEAD~2", "--allow-older"], "older", ""),
        (["deploy.prod"], "", ""),
    ],
)
def test_the_lock_tells_what_it_is_about_as_far_as_that_is_known(
    shop: Shop, words: list[str], commit: str, release: str
):
    seen: list[Any] = []

    def look(call: Call) -> None:
        if call.operation == "PutParameter":
            seen.append(json.loads(call.ask["Value"]))

    shop.endpoint.fault = look
    assert shop.inv(*words).code == 0
    (state,) = seen
    assert (state["commit"], state["release"]) == (shop.commits.get(commit, ""), release)


def test_the_first_tiers_lock_names_what_is_checked_out(shop: Shop):
    seen: list[str] = []
    shop.endpoint.fault = lambda call: seen.append(call.ask["Value"]) if call.operation == "PutParameter" else None
    shop.inv("tag.dev")
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=shop.root, capture_output=True, text=True, check=True)
    assert [json.loads(each)["commit"] for each in seen] == [head.stdout.strip()]


WAY = ["PutParameter", "DescribeImages", "DescribeServices", "PutImage", "UpdateService", "GetParameter"]


@pytest.fixture
def hears_of_the_terminal() -> Iterator[None]:
    """The end of the terminal is a signal here, even where the tests themselves run under `nohup`."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hears_of_the_terminal")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("operation", [*WAY, "DeleteParameter"])
def test_the_lock_is_free_wherever_a_signal_strikes(shop: Shop, operation: str, number: int):
    shop.endpoint.fault = at(operation, lambda: strike(number))
    older = ("--commit", shop.commits["older"], "--allow-older", "--override", "x")
    ran = shop.inv("release.prod", *older, "--no-wait")
    assert ran.code == 130, ran.stderr
    assert LOCK not in parameters(shop)
    assert "Traceback" not in ran.stderr


def test_whoever_ignores_the_end_of_the_terminal_goes_on(shop: Shop):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        shop.endpoint.fault = at("DescribeServices", lambda: strike(signal.SIGHUP))
        assert shop.inv("release.prod", "--no-wait").code == 0
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("method", ["__enter__", "__exit__"])
def test_the_lock_is_free_where_the_signal_comes_between_it_and_the_work(shop: Shop, method: str):
    """It strikes where Python is about to enter, or to leave, the `with` that holds the lock."""

    def trace(frame: FrameType, _what: str, _: Any) -> Any:
        ours = frame.f_code.co_name == method and "with lock(" in _line_of(frame.f_back)
        frame.f_trace_opcodes = ours
        return strike_at if ours else None

    def strike_at(_frame: FrameType, what: str, _: Any) -> Any:
        if what == "opcode" and parameters(shop):
            sys.settrace(None)
            raise KeyboardInterrupt
        return strike_at

    sys.settrace(trace)
    with pytest.raises(Interrupted) as caught, shell.interruptible():
        carry_out(shop.root, Command.DEPLOY, commands.deploy, Scope("prod"), Options(wait=False), as_json=False)
    assert not parameters(shop), caught


def _line_of(frame: FrameType | None) -> str:
    return linecache.getline(frame.f_code.co_filename, frame.f_lineno) if frame else ""


@pytest.mark.parametrize("words", [("release.prod",), ("lock.acquire", "prod")], ids=["release", "acquire"])
def test_a_signal_while_the_lock_is_being_written_leaves_no_lock_behind(
    shop: Shop, proxy: Proxy, words: tuple[str, ...]
):
    """AWS writes it half a second after the signal."""
    asked = threading.Event()
    proxy.rules = (Rule(Stall(0.6, lambda _: asked.set()), "PutParameter", times=1),)
    running = process(shop, *words, grace_s=HANGS_S)
    assert asked.wait(HANGS_S)
    running.send_signal(signal.SIGTERM)
    assert running.wait() == 130
    until(lambda: shop.endpoint.operations()["PutParameter"])  # also for a process that did not wait
    urllib.request.urlopen(f"{shop.endpoint.url}/calls").close()  # answered after what AWS was about to write
    assert not parameters(shop)


def test_a_lock_that_may_be_written_after_a_signal_is_said(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    """AWS does not answer in the time that an answer has after a signal."""
    answered = threading.Event()
    shop.interrupt(lambda call: call.operation == "PutParameter", then=lambda: answered.wait(HANGS_S))
    monkeypatch.setattr(transport, "GRACE_S", 0.1)
    ran = shop.inv("lock.acquire", "prod")
    answered.set()
    assert (ran.code, "whether the lock was taken is not known" in ran.stderr) == (130, True), ran
    assert "inv lock.release prod" in ran.stderr


def test_a_process_that_was_killed_leaves_it_to_the_next_on_this_machine(shop: Shop):
    killed = process(shop, "release.prod", "--no-wait")
    shop.endpoint.fault = at("DescribeServices", killed.kill)
    assert killed.wait() == -signal.SIGKILL
    assert LOCK in parameters(shop)
    shop.endpoint.fault = None
    assert shop.inv("release.prod", "--no-wait").code == 0
    assert not parameters(shop)


def test_without_a_terminal_it_is_freed_only_with_yes(shop: Shop):
    put(shop)
    ran = shop.inv("lock.release", "prod")
    assert ran.code == 2
    assert ran.stderr == (
        "prod: ann@desk holds the lock since 2026-11-23T12:00:00Z, and there is no terminal to ask on\n"
        "    inv lock.release prod --yes\n"
    )
    assert set(parameters(shop)) == {LOCK}
    ran = shop.inv("lock.release", "prod", "--yes")
    assert (ran.code, ran.stdout) == (0, "prod: free; ann@desk had held it since 2026-11-23T12:00:00Z\n")
    assert not parameters(shop)


def test_who_is_not_asked_frees_the_lock_and_leaves_the_hold_until_the_next_time(shop: Shop):
    put(shop)
    put(shop, HOLD, replace(ANN, command="release.rollback prod", token="h"))
    ran = shop.inv("lock.release", "prod", "--yes")
    assert (ran.code, set(parameters(shop))) == (0, {HOLD})
    assert ran.stdout == (
        "prod: free; ann@desk had held it since 2026-11-23T12:00:00Z\n"
        "prod: the hold of ann@desk stays; inv lock.release prod ends it\n"
    )
    ran = shop.inv("lock.release", "prod", "--yes")
    assert (ran.code, set(parameters(shop))) == (0, set())
    assert ran.stdout == "prod: on hold no longer; ann@desk had held it since 2026-11-23T12:00:00Z\n"


def test_the_last_job_of_a_ci_run_frees_the_lock_of_its_own_run_alone_and_no_hold(shop: Shop):
    put(shop, LOCK, replace(ANN, run="github 7"))
    put(shop, HOLD, replace(ANN, command="release.rollback prod", run="github 7", token="h"))
    ran = shop.inv("lock.release", "prod", "--run", "github 8")
    assert (ran.code, ran.stdout) == (0, "prod: nothing to free; github 8 does not hold the lock\n")
    assert set(parameters(shop)) == {LOCK, HOLD}
    ran = shop.inv("lock.release", "prod", "--run", "github 7")
    assert (ran.code, ran.stdout) == (0, "prod: free; github 7 had held it\n")
    ran = shop.inv("lock.release", "prod", "--run", "github 7")
    assert (ran.code, ran.stdout) == (0, "prod: nothing to free; github 7 does not hold the lock\n")
    assert set(parameters(shop)) == {HOLD}


def test_a_lock_that_ssm_does_not_show_yet_is_freed_all_the_same(shop: Shop):
    unseen = [AwsError("ParameterNotFound", ""), AwsError("ParameterNotFound", "")]

    def stale(call: Call) -> AwsError | None:
        is_lock = call.operation == "GetParameter" and call.ask["Name"] == LOCK
        return unseen.pop() if unseen and is_lock else None

    shop.endpoint.fault = stale
    assert shop.inv("deploy.prod", "--no-wait").code == 0
    assert not parameters(shop) and not unseen


def test_a_lock_that_somebody_else_freed_meanwhile_is_told(shop: Shop):
    shop.endpoint.fault = at("UpdateService", lambda: parameters(shop).clear(), nth=2)  # no write is left to fence
    ran = shop.inv("release.prod", "--no-wait")
    assert ran.code == 0
    assert "the lock of prod is no longer this command's; inv lock.status shows whose it is" in ran.stdout


class Terminal(StringIO):
    """Somebody who types this."""

    def isatty(self) -> bool:
        return True


def answer(shop: Shop, monkeypatch: pytest.MonkeyPatch, text: str) -> tuple[int, str]:
    """The exit code of `inv lock.release prod` on a terminal where that is typed, and what it shows there."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(text))
    monkeypatch.setattr(sys, "stderr", shown)
    return shop.inv("lock.release", "prod").code, shown.getvalue()


@pytest.mark.parametrize(
    ("typed", "code", "left"),
    [("y\n", 0, set()), ("Yes\n", 0, set()), ("n\n", 2, {LOCK}), ("\n", 2, {LOCK}), ("", 2, {LOCK})],
)
def test_on_a_terminal_it_asks(shop: Shop, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, left: set[str]):
    put(shop)
    ended, shown = answer(shop, monkeypatch, typed)
    question = "prod: free the lock of ann@desk since 2026-11-23T12:00:00Z (release.prod)? [y/N] "
    assert (ended, shown) == (code, question + ("prod: left as it is\n" if left else ""))
    assert set(parameters(shop)) == left


def test_lock_and_hold_are_asked_for_one_by_one(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    put(shop)
    put(shop, HOLD, replace(ANN, command="release.rollback prod", reason="rolled back from b to a", token="h"))
    ended, shown = answer(shop, monkeypatch, "n\ny\n")
    assert ended == 0
    assert shown.count("[y/N]") == 2 and "(release.rollback prod: rolled back from b to a)? [y/N]" in shown
    assert set(parameters(shop)) == {LOCK}


def test_what_changed_hands_while_it_asked_is_not_freed(shop: Shop):
    put(shop)

    def later(_kind: str, _state: LockState) -> bool:
        put(shop, LOCK, replace(ANN, by="bob@desk", token="another"))
        return True

    with pytest.raises(Exception, match="the lock changed a moment ago"):
        commands.lock_release(load(shop.root), "prod", later)
    assert set(parameters(shop)) == {LOCK}


def test_a_question_shows_no_escape_sequence(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    put(shop, LOCK, replace(ANN, by="ann\x1b[2J", reason="a\nb"))
    _, shown = answer(shop, monkeypatch, "n\n")
    assert "\x1b" not in shown and shown.count("\n") == 1


def test_a_real_terminal_is_asked_and_answers(shop: Shop):
    put(shop)
    ours, theirs = pty.openpty()
    asked = process(shop, "lock.release", "prod", stdin=theirs, stderr=theirs)
    os.close(theirs)
    os.write(ours, b"y\n")
    assert asked.wait() == 0
    assert b"[y/N]" in os.read(ours, 4096)
    os.close(ours)
    assert not parameters(shop)


def test_jobs_of_the_ci_run_that_locked_by_hand_release_under_its_lock(shop: Shop, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    assert shop.inv("lock.acquire", "prod").code == 0
    assert shop.inv("release.prod", "--no-wait").code == 0
    assert set(parameters(shop)) == {LOCK}
    monkeypatch.setenv("GITHUB_RUN_ID", "8")
    ran = shop.inv("release.prod", "--no-wait")
    assert ran.code == 2
    assert "inv lock.release prod --yes" in ran.stderr


def test_an_interrupted_locking_by_hand_leaves_no_lock(shop: Shop):
    shop.endpoint.fault = at("PutParameter", lambda: strike(signal.SIGTERM))
    assert shop.inv("lock.acquire", "prod").code == 130
    assert not parameters(shop)


MUTATING = ("UpdateService", "TagResource", "RegisterTaskDefinition", "PutImage")


@pytest.fixture
def calls(shop: Shop) -> Iterator[list[tuple[str, str]]]:
    """What changes something, in the order in which the endpoint answered it: the operation, and whose it is."""
    made: list[tuple[str, str]] = []

    def watch(call: Call) -> AwsError | None:
        held = parameters(shop).get(LOCK)
        match call.operation:
            case "PutParameter" if not held:
                made.append(("claim", json.loads(call.ask["Value"])["token"]))
            case "DeleteParameter" if held:
                made.append(("free", json.loads(held["Value"])["token"]))
            case "TagResource":
                made.append((call.operation, _override(call.ask["tags"])))
            case operation if operation in MUTATING:
                made.append((operation, ""))
        return None

    shop.endpoint.fault = watch
    yield made
    shop.endpoint.fault = None


def _override(tags: list[dict[str, str]]) -> str:
    return next((tag["value"] for tag in tags if tag["key"] == "deploytasks:override"), "")


@pytest.mark.timeout(600)
@pytest.mark.usefixtures("hurried")
def test_of_a_dozen_releases_at_once_one_proceeds_at_a_time_and_none_interleave(
    shop: Shop, calls: list[tuple[str, str]]
):
    assert shop.inv("release.prod", "--no-wait").code == 0
    calls.clear()
    project = load(shop.root)

    def release(number: int) -> Report:
        options = Options(force=True, wait=False, lock_wait_s=500.0 * _HURRY, override=f"n{number}")
        return commands.release(project, Scope("prod"), options)

    with ThreadPoolExecutor(12) as pool:
        reports = list(pool.map(release, range(12)))
    assert [result.outcome for report in reports for result in report.results] == ["started"] * 24
    turns = [calls[at : at + 6] for at in range(0, len(calls), 6)]
    whose = [_turn(turn) for turn in turns]
    assert sorted(whose) == sorted(f"n{number}" for number in range(12))
    assert not parameters(shop)


def _turn(made: list[tuple[str, str]]) -> str:
    """Whose the calls are: one holds the lock and frees it, and what is done in between is one release's alone."""
    (first, claimed), *work, (last, freed) = made
    assert (first, last, claimed) == ("claim", "free", freed)
    assert sorted(operation for operation, _ in work) == ["TagResource"] * 2 + ["UpdateService"] * 2
    (owner,) = {owner for operation, owner in work if operation == "TagResource"}
    return owner


def test_processes_that_release_at_once_all_end_well(shop: Shop):
    together = [process(shop, "release.prod", "--no-wait", "--lock-wait", "1m") for _ in range(3)]
    assert [each.wait() for each in together] == [0, 0, 0]
    assert not parameters(shop)
    assert shop.endpoint.operations()["UpdateService"] == 2


def process(shop: Shop, *words: str, grace_s: float = 0, **streams: Any) -> subprocess.Popen[bytes]:
    """A process `inv WORDS` in the repository; after a signal answers have so long, where it is said."""
    graceful = f"from deploytasks.aws import transport; transport.GRACE_S = {grace_s}"
    started = f"import sys; {graceful}; from invoke.main import program; sys.argv[0] = 'inv'; program.run()"
    command = [sys.executable, "-c", started] if grace_s else [inv()]
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    usual = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([*command, *words], cwd=shop.root, env=env, **{**usual, **streams})
