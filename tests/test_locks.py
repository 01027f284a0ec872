"""The lock: of many one wins, nobody steals it, and it never outlives whom it belongs to by accident."""

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from threading import Event, Lock, Timer
from typing import Any

import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.ssm.models import SimpleSystemManagerBackend
from msgspec.structs import replace

from deploytasks.aws import lock_holders, locks, parameters
from deploytasks.errors import Locked
from deploytasks.model import Author, LockState, Override
from tests import clients
from tests.given import NEW
from tests.hanging import HANGS_S, until

ALICE, BOB = Author("alice"), Author("bob")


@pytest.fixture
def ssm(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Parameter Store, where a put looks and writes at once, as AWS's does and moto's by itself does not."""
    put, one_at_a_time = SimpleSystemManagerBackend.put_parameter, Lock()

    def alone(*args: Any, **kwargs: Any) -> Any:
        with one_at_a_time:
            return put(*args, **kwargs)

    monkeypatch.setattr(SimpleSystemManagerBackend, "put_parameter", alone)
    with mock_aws():
        client = clients.client("ssm")
        _ = client.exceptions
        yield client


def record(author: Author = ALICE, **changes: Any) -> LockState:
    return replace(lock_holders.lock_record("prod", author, "release.prod"), **changes)


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_was_written_is_read_back(ssm: Any):
    mine = locks.acquire(ssm, "shop", record())
    assert locks.status(ssm, "shop", "prod") == mine


def test_a_held_lock_is_refused_with_all_that_is_written_there_and_what_to_do(ssm: Any):
    locks.acquire(ssm, "shop", record(ALICE, machine="elsewhere", since="2026-11-23T12:00:00Z"))
    with pytest.raises(Locked) as caught:
        locks.acquire(ssm, "shop", record(BOB, since="2026-11-23T12:12:00Z"))
    assert str(caught.value) == (
        "prod: alice holds the lock since 2026-11-23T12:00:00Z, for 12m (release.prod)\n"
        "    wait for it: --lock-wait 15m; if it is gone for good: inv lock.release prod"
    )


def test_the_refusal_names_commit_ci_link_and_reason_and_a_command_that_ci_can_run(ssm: Any):
    known = {"commit": NEW, "ci": "https://ci/7", "reason": "a frozen week", "run": "gitlab 7", "since": "unknown"}
    locks.acquire(ssm, "shop", record(ALICE, machine="elsewhere", **known))
    with pytest.raises(Locked) as caught:
        locks.acquire(ssm, "shop", record(BOB, run="gitlab 8"))
    assert str(caught.value) == (
        "prod: alice holds the lock since unknown (release.prod of bbbbbbb, https://ci/7), because a frozen week\n"
        "    wait for it: --lock-wait 15m; if it is gone for good: inv lock.release prod --yes"
    )


def test_of_forty_who_try_at_once_one_gets_it(ssm: Any):
    def attempt(number: int) -> bool:
        try:
            locks.acquire(ssm, "shop", record(Author(f"u{number}"), machine=f"m{number}"))
        except Locked:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def test_a_lock_that_ssm_still_holds_for_one_that_was_deleted_is_waited_for(ssm: Any, monkeypatch: pytest.MonkeyPatch):
    taken, slept = [True] * 4, list[float]()

    def refuse(**_: Any) -> None:
        if taken:
            taken.pop()
            raise ssm.exceptions.ParameterAlreadyExists({"Error": {"Code": "ParameterAlreadyExists"}}, "PutParameter")

    ssm.meta.events.register("before-call.ssm.PutParameter", refuse)
    assert locks.acquire(ssm, "shop", record(), locks.LockWait(sleep=slept.append)).by == "alice"
    assert slept == [1, 2]


def test_another_tier_and_another_project_are_other_locks(ssm: Any):
    locks.acquire(ssm, "shop", record())
    locks.acquire(ssm, "bakery", record(BOB))
    locks.acquire(ssm, "shop", record(BOB, tier="dev"))


def test_only_the_holder_releases_it(ssm: Any):
    locks.acquire(ssm, "shop", record())
    assert not locks.release(ssm, "shop", record())
    assert locks.status(ssm, "shop", "prod") is not None


def test_the_lock_of_a_process_that_died_here_is_taken_over(ssm: Any):
    locks.acquire(ssm, "shop", record(pid=dead_pid()))
    assert locks.acquire(ssm, "shop", record(BOB)).by == "bob"


def test_the_lock_of_a_process_that_lives_here_is_not(ssm: Any):
    locks.acquire(ssm, "shop", record())
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", record(BOB))


def test_a_dead_pid_on_another_machine_proves_nothing(ssm: Any):
    locks.acquire(ssm, "shop", record(pid=dead_pid(), machine="elsewhere"))
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", record(BOB))


OF_RUN_7 = {"run": "github 7", "machine": "runner-1"}


def on_another_host(run: str = "github 7") -> LockState:
    return record(BOB, run=run, machine="runner-2")


def later(ssm: Any, seconds: float, but: str = "-") -> None:
    """AWS's clock is ahead by so much when it answers, except about parameters with `but` in their names."""

    def answer(parsed: dict[str, Any], **_: Any) -> None:
        if but not in parsed.get("Parameter", {}).get("Name", but):
            at = time.time() + seconds
            parsed["ResponseMetadata"]["HTTPHeaders"]["date"] = formatdate(at, usegmt=True)

    ssm.meta.events.register("after-call.ssm.GetParameter", answer)


def names(ssm: Any) -> set[str]:
    return {each["Name"].removeprefix("/deploytasks/shop/prod/") for each in ssm.describe_parameters()["Parameters"]}


@pytest.mark.parametrize("after_s", [0, 60, lock_holders.STALE_S - 2])
def test_a_live_holder_of_the_same_ci_run_on_another_host_is_not_robbed(ssm: Any, after_s: float):
    held = locks.acquire(ssm, "shop", record(**OF_RUN_7))
    later(ssm, after_s)
    with pytest.raises(Locked, match="this CI run takes it over 2m after its last heartbeat"):
        locks.acquire(ssm, "shop", on_another_host())
    assert locks.status(ssm, "shop", "prod") == held


def test_a_lock_whose_holder_shows_no_life_is_taken_over_by_its_own_ci_run(ssm: Any):
    locks.acquire(ssm, "shop", record(**OF_RUN_7))
    later(ssm, lock_holders.STALE_S + 2)  # a Date has no fractions of a second
    assert locks.acquire(ssm, "shop", on_another_host()).machine == "runner-2"


@pytest.mark.parametrize("run", ["", "github 8"])
def test_no_other_run_takes_a_lock_over_whose_holder_shows_no_life(ssm: Any, run: str):
    locks.acquire(ssm, "shop", record(**OF_RUN_7))
    later(ssm, 10 * lock_holders.STALE_S)
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", on_another_host(run))


def test_a_heartbeat_is_life_however_old_the_lock_is(ssm: Any):
    held = locks.acquire(ssm, "shop", record(**OF_RUN_7))
    heart = lock_holders.Heartbeat(ssm, "shop", held, lambda _problem: None, beat_s=0.01)
    heart.start()
    until(lambda: f"heartbeats/{held.token}" in names(ssm))
    later(ssm, 10 * lock_holders.STALE_S, but="heartbeats")
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", on_another_host())
    assert locks.status(ssm, "shop", "prod") == held
    heart.stop()
    assert names(ssm) == {"lock"}


def beating(ssm: Any, told: list[str]) -> tuple[lock_holders.Heartbeat, Event]:
    """A heartbeat whose first write has begun, and the event that lets it go on to AWS."""
    began, lands = Event(), Event()

    def slow(params: Any, **_: Any) -> None:
        began.set()
        lands.wait(HANGS_S)

    heart = lock_holders.Heartbeat(ssm, "shop", locks.acquire(ssm, "shop", record()), told.append, beat_s=0.01)
    ssm.meta.events.register("before-call.ssm.PutParameter", slow)
    heart.start()
    assert began.wait(HANGS_S)
    return heart, lands


def test_a_heartbeat_that_is_being_written_is_waited_for_and_then_deleted(ssm: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock_holders, "_LAST_S", 60.0)
    heart, lands = beating(ssm, told := [])
    Timer(0.1, lands.set).start()
    heart.stop()
    assert (names(ssm), told) == ({"lock"}, [])


def test_a_heartbeat_that_lands_after_its_end_is_deleted_all_the_same(ssm: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lock_holders, "_LAST_S", 0.01)
    heart, lands = beating(ssm, told := [])
    done: list[str] = []
    for operation in ("PutParameter", "DeleteParameter"):
        ssm.meta.events.register(f"after-call.ssm.{operation}", lambda model, **_: done.append(model.name))
    heart.stop()
    (said,) = told
    assert "AWS does not answer; /deploytasks/shop/prod/heartbeats/" in said
    lands.set()
    until(lambda: len(done) == 2)
    assert (done, names(ssm)) == (["PutParameter", "DeleteParameter"], {"lock"})


def test_the_last_sign_of_life_is_the_lock_until_a_heartbeat_follows(ssm: Any):
    held = locks.acquire(ssm, "shop", record())
    taken_at = locks.taken_at(ssm, "shop", "prod")
    assert lock_holders.last_sign(ssm, "shop", held) == taken_at is not None
    beat = f"/deploytasks/shop/prod/heartbeats/{held.token}"
    parameters.write(ssm, beat, "now", "prod")
    written = parameters.find(ssm, beat, "prod")
    assert written and written.modified_at != taken_at
    assert lock_holders.last_sign(ssm, "shop", held) == written.modified_at


def test_an_answer_without_a_date_proves_no_death(ssm: Any):
    locks.acquire(ssm, "shop", record(**OF_RUN_7))
    no_date = lambda parsed, **_: parsed["ResponseMetadata"]["HTTPHeaders"].pop("date", None)  # noqa: E731
    ssm.meta.events.register("after-call.ssm.GetParameter", no_date)
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", on_another_host())


def test_who_waits_takes_over_once_the_holder_of_its_run_shows_no_life(ssm: Any):
    locks.acquire(ssm, "shop", record(**OF_RUN_7))
    mine, waiting = on_another_host(), Waiting({20: lambda: later(ssm, lock_holders.STALE_S + 2)})
    assert locks.acquire(ssm, "shop", mine, waiting.wait(900)).token == mine.token


def test_what_a_dead_holder_left_goes_with_the_lock_that_was_taken_over(ssm: Any):
    dead = record(pid=dead_pid())
    for successor in (record(BOB, pid=dead_pid()), record(BOB, pid=dead_pid()), record(BOB)):
        locks.acquire(ssm, "shop", dead)
        parameters.write(ssm, f"/deploytasks/shop/prod/heartbeats/{dead.token}", "now", "prod")
        locks.acquire(ssm, "shop", successor)
        assert names(ssm) == {"lock", f"successors/{dead.token}"}
        dead = successor
    assert locks.release(ssm, "shop", dead)
    assert names(ssm) == set()


def test_a_successor_that_died_before_it_had_the_lock_is_in_nobodys_way(ssm: Any):
    dead, half = record(pid=dead_pid()), record(BOB, pid=dead_pid())
    locks.acquire(ssm, "shop", dead)
    parameters.create(ssm, f"/deploytasks/shop/prod/successors/{dead.token}", parameters.written(half), "prod")
    mine = record(BOB)
    assert locks.acquire(ssm, "shop", mine).token == mine.token
    assert locks.release(ssm, "shop", mine)
    assert names(ssm) == set()


def test_a_successor_that_lives_holds_the_lock(ssm: Any):
    dead, half = record(pid=dead_pid()), record(Author("carol"))
    locks.acquire(ssm, "shop", dead)
    parameters.create(ssm, f"/deploytasks/shop/prod/successors/{dead.token}", parameters.written(half), "prod")
    with pytest.raises(Locked, match="carol holds the lock"):
        locks.acquire(ssm, "shop", record(BOB))


def test_a_successor_on_another_host_of_the_ci_run_is_robbed_only_once_its_own_record_is_old(ssm: Any):
    dead, half = record(**OF_RUN_7), record(Author("carol"), run="github 7", machine="runner-3")
    locks.acquire(ssm, "shop", dead)
    parameters.create(ssm, f"/deploytasks/shop/prod/successors/{dead.token}", parameters.written(half), "prod")
    later(ssm, 10 * lock_holders.STALE_S, but="successors")
    with pytest.raises(Locked, match="carol holds the lock"):
        locks.acquire(ssm, "shop", on_another_host())
    later(ssm, 10 * lock_holders.STALE_S)
    assert locks.acquire(ssm, "shop", on_another_host()).machine == "runner-2"


def test_a_lock_that_its_holder_freed_at_the_last_moment_is_taken_and_not_overwritten(ssm: Any):
    dead = locks.acquire(ssm, "shop", record(pid=dead_pid()))
    other, mine = record(Author("carol")), record(BOB)

    def carol_was_first(params: dict[str, Any], **_: Any) -> None:
        if "successors" in params["Name"] and locks.release(ssm, "shop", dead):
            locks.acquire(ssm, "shop", other)

    ssm.meta.events.register("before-parameter-build.ssm.PutParameter", carol_was_first)
    with pytest.raises(Locked, match="carol holds the lock"):
        locks.acquire(ssm, "shop", mine)
    assert locks.status(ssm, "shop", "prod") == other
    assert names(ssm) == {"lock"}


@pytest.mark.parametrize("is_there", [True, False])
def test_no_predictable_file_is_made_or_waited_for(ssm: Any, monkeypatch: pytest.MonkeyPatch, is_there: bool, tmp_path):
    """Neither another user's file, nor a link, nor one that is held, in a shared directory, is of any concern."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    if is_there:
        (tmp_path / f"deploytasks-deploytasks-shop-prod-lock-{os.getuid()}").symlink_to("/etc/passwd")
    before = sorted(tmp_path.iterdir())
    locks.acquire(ssm, "shop", record(pid=dead_pid()))
    mine = record(BOB)
    assert locks.acquire(ssm, "shop", mine).token == mine.token
    assert sorted(tmp_path.iterdir()) == before


def test_two_live_jobs_of_one_ci_run_on_one_machine_do_not_share_it(ssm: Any):
    locks.acquire(ssm, "shop", record(run="github 7"))
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", record(BOB, run="github 7"))


def test_a_lock_taken_by_hand_belongs_to_no_process(ssm: Any):
    locks.acquire(ssm, "shop", lock_holders.by_hand(record(pid=dead_pid())))
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", record())


def test_jobs_of_a_ci_run_work_under_the_lock_that_it_took_by_hand_and_leave_it(ssm: Any):
    by_hand = locks.acquire(ssm, "shop", lock_holders.by_hand(record(run="github 7")))
    job = record(BOB, run="github 7")
    assert locks.acquire(ssm, "shop", job) == by_hand
    assert not locks.release(ssm, "shop", job)
    assert locks.status(ssm, "shop", "prod") == by_hand


def test_a_ci_run_takes_its_own_lock_by_hand_anew_and_no_other_run_does(ssm: Any):
    locks.acquire(ssm, "shop", lock_holders.by_hand(record(run="github 7", command="release.matrix prod --shards 2")))
    again = lock_holders.by_hand(record(run="github 7", command="release.matrix prod --shards 3"))
    assert locks.acquire(ssm, "shop", again) == again
    assert locks.status(ssm, "shop", "prod") == again
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", lock_holders.by_hand(record(run="github 8")))


def test_the_lock_of_a_process_that_only_waits_for_its_parent_is_taken_over(ssm: Any):
    child = subprocess.Popen([sys.executable, "-c", ""], stdout=subprocess.PIPE)
    assert child.stdout is not None
    with child.stdout:
        child.stdout.read()
    locks.acquire(ssm, "shop", record(pid=child.pid))
    until(lambda: "Z" in Path(f"/proc/{child.pid}/stat").read_text())
    assert locks.acquire(ssm, "shop", record(BOB)).by == "bob"
    child.wait()


def test_of_many_who_find_the_holder_dead_one_takes_it_over(ssm: Any):
    locks.acquire(ssm, "shop", record(pid=dead_pid()))

    def attempt(number: int) -> bool:
        mine = record(Author(f"u{number}"))
        try:
            return locks.acquire(ssm, "shop", mine).token == mine.token
        except Locked:
            return False

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(attempt, range(12))) == 1


def test_a_put_whose_answer_was_lost_is_ours_all_the_same(ssm: Any):
    mine = record()
    locks.acquire(ssm, "shop", mine)
    assert locks.acquire(ssm, "shop", mine) == mine


def test_a_put_that_met_too_many_others_is_tried_again(ssm: Any):
    say_no = [ssm.exceptions.TooManyUpdates({"Error": {"Code": "TooManyUpdates"}}, "PutParameter")]
    ssm.meta.events.register("before-call.ssm.PutParameter", lambda **_: raise_one_of(say_no))
    mine = record()
    assert locks.acquire(ssm, "shop", mine) == mine


@pytest.mark.parametrize("reason", ["{{resolve:ssm:secret}} {x} }}", "ein Grund: „müde“", "x" * 5000, "я{🔥" * 1000])
def test_any_reason_can_be_written_and_read_back(ssm: Any, reason: str):
    mine = locks.acquire(ssm, "shop", lock_holders.lock_record("prod", ALICE, "lock.acquire", reason=reason))
    assert locks.status(ssm, "shop", "prod") == mine
    assert mine.reason.removesuffix("…") == reason[: len(mine.reason.removesuffix("…"))]
    value = parameters.written(mine)
    assert "{" not in value[1:] and "}" not in value[:-1] and len(value) < 4096


@pytest.mark.parametrize(
    "value", ["", "{}", "[1]", '{"tier": "prod", "by": 1}', '{"pid": "7"}', "null", "[" * 4096, '{"tenants": null}']
)
def test_what_nobody_can_read_is_a_lock_all_the_same(value: str):
    assert parameters.read_lock("prod", value).by == "an unreadable lock record"


def test_an_override_is_read_back_whatever_bytes_its_reason_had_and_an_unreadable_one_hides_no_other(ssm: Any):
    written = [Override("prod", f"prod-{each}", "ann", "now", each) for each in ("caf\udce9 {{x}}", "🔥")]
    for each in written:
        parameters.put_override(ssm, "shop", each)
    known = parameters.written(written[0])
    broken = ["", "{}", "[1]", "null", known.replace('"now"', "1"), '{"a":' * 680]
    later = known.replace('"prod-caf', '"later-caf').replace("}", ', "since": 3}')
    for number, value in enumerate([*broken, later]):
        ssm.put_parameter(Name=f"/deploytasks/shop/prod/overrides/{number}", Value=value or " ", Type="String")
    found = parameters.records(ssm, "shop", "prod").overrides
    assert {each.release for each in found} == {*(each.release for each in written), "later-caf\udce9 {{x}}"}
    assert set(written) < set(found)


@dataclass
class Waiting:
    """A clock that only sleeping moves, and what happens at which of its seconds."""

    then: dict[float, Callable[[], object]] = field(default_factory=dict)
    now: float = 0.0
    pauses: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds
        for at in [at for at in self.then if at <= self.now]:
            self.then.pop(at)()

    def wait(self, longest_s: float) -> locks.LockWait:
        return locks.LockWait(longest_s, self.told.append, self.sleep, lambda: self.now, dice=lambda: 0.5)


def counted(ssm: Any) -> Counter[str]:
    calls: Counter[str] = Counter()
    ssm.meta.events.register("before-call.ssm", lambda model, **_: calls.update([model.name]))
    return calls


def test_who_waits_reads_calmly_and_writes_only_once_it_is_gone(ssm: Any):
    locks.acquire(ssm, "shop", record(ALICE, machine="elsewhere"))
    calls, mine, waiting = counted(ssm), record(BOB), Waiting({60: lambda: locks.remove(ssm, "shop", "prod")})
    assert locks.acquire(ssm, "shop", mine, waiting.wait(900)) == mine
    assert [round(pause, 1) for pause in waiting.pauses] == [2.0, 3.0, 4.5, 6.8, 10.1, 15.0, 15.0, 15.0]
    assert calls["PutParameter"] == 2
    assert calls["GetParameter"] == 1 + 8


def test_whom_it_waits_for_is_told_once_and_when_it_is_ours(ssm: Any):
    held = record(ALICE, machine="elsewhere", since="2026-11-23T12:00:00Z")
    locks.acquire(ssm, "shop", held)
    waiting = Waiting({30: lambda: locks.remove(ssm, "shop", "prod")})
    locks.acquire(ssm, "shop", record(BOB, since="2026-11-23T12:01:00Z"), waiting.wait(900))
    assert waiting.told == [
        "alice holds the lock since 2026-11-23T12:00:00Z, for 1m (release.prod); waiting for it, up to 15m",
        "the lock is ours, after 41s",
    ]


def test_who_waited_long_enough_is_refused_with_how_long(ssm: Any):
    locks.acquire(ssm, "shop", record(ALICE, machine="elsewhere", since="2026-11-23T12:00:00Z"))
    waiting = Waiting()
    with pytest.raises(Locked) as caught:
        locks.acquire(ssm, "shop", record(BOB, since="2026-11-23T12:01:00Z"), waiting.wait(100))
    assert waiting.now == 100
    assert str(caught.value) == (
        "prod: after 1m40s of waiting, alice holds the lock since 2026-11-23T12:00:00Z, for 2m40s (release.prod)\n"
        "    if it is gone for good: inv lock.release prod"
    )


def test_who_waits_for_one_that_dies_takes_over(ssm: Any):
    dead = dead_pid()
    locks.acquire(ssm, "shop", record(ALICE, machine="elsewhere"))

    def dies() -> None:
        locks.remove(ssm, "shop", "prod")
        locks.acquire(ssm, "shop", record(ALICE, pid=dead))

    mine = record(BOB)
    assert locks.acquire(ssm, "shop", mine, Waiting({5: dies}).wait(900)).token == mine.token


def test_a_look_that_fails_for_a_moment_ends_no_waiting(ssm: Any):
    locks.acquire(ssm, "shop", record(ALICE, machine="elsewhere"))
    busy = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 400}}
    mine, say_no = record(BOB), list[Exception]()
    ssm.meta.events.register("before-call.ssm.GetParameter", lambda **_: raise_one_of(say_no))
    waiting = Waiting(
        {
            2: lambda: say_no.append(ClientError(busy, "GetParameter")),  # type: ignore[arg-type]
            5: lambda: locks.remove(ssm, "shop", "prod"),
        }
    )
    assert locks.acquire(ssm, "shop", mine, waiting.wait(900)) == mine
    assert not say_no


def test_pauses_differ_by_chance_so_that_many_do_not_look_at_once():
    spread = [next(locks.LockWait(dice=lambda thrown=thrown: thrown).pauses()) for thrown in (0.0, 0.5, 0.999)]
    assert [round(pause, 1) for pause in spread] == [1.5, 2.0, 2.5]


def raise_one_of(errors: list[Exception]) -> None:
    if errors:
        raise errors.pop()
