"""The lock: of many one wins, nobody steals it, and it never outlives whom it belongs to by accident."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploytasks.aws import claims, locks
from deploytasks.errors import Locked
from deploytasks.model import Author, LockState

ALICE, BOB = Author("alice"), Author("bob")


@pytest.fixture
def ssm() -> Iterator[Any]:
    with mock_aws():
        yield boto3.client("ssm", region_name="us-east-1")


def claim(author: Author = ALICE, **changes: Any) -> LockState:
    return replace(claims.claim("prod", author, "release.prod"), **changes)


def dead_pid() -> int:
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_what_was_written_is_read_back(ssm: Any):
    mine = locks.acquire(ssm, "shop", claim())
    assert locks.status(ssm, "shop", "prod") == mine


def test_a_held_lock_is_refused_with_who_since_when_and_what_to_do(ssm: Any):
    locks.acquire(ssm, "shop", claim(ALICE, machine="elsewhere", since="2026-11-23T12:00:00Z"))
    with pytest.raises(Locked) as caught:
        locks.acquire(ssm, "shop", claim(BOB))
    assert str(caught.value) == (
        "prod: alice holds the lock since 2026-11-23T12:00:00Z (release.prod)\n"
        "    wait for it; if it is gone for good: inv lock.release prod"
    )


def test_of_forty_who_try_at_once_one_gets_it(ssm: Any):
    def attempt(number: int) -> bool:
        try:
            locks.acquire(ssm, "shop", claim(Author(f"u{number}"), machine=f"m{number}"))
        except Locked:
            return False
        return True

    with ThreadPoolExecutor(40) as pool:
        assert sum(pool.map(attempt, range(40))) == 1


def test_another_tier_and_another_project_are_other_locks(ssm: Any):
    locks.acquire(ssm, "shop", claim())
    locks.acquire(ssm, "bakery", claim(BOB))
    locks.acquire(ssm, "shop", claim(BOB, tier="dev"))


def test_only_the_holder_releases_it(ssm: Any):
    locks.acquire(ssm, "shop", claim())
    assert not locks.release(ssm, "shop", claim())
    assert locks.status(ssm, "shop", "prod") is not None


def test_the_lock_of_a_process_that_died_here_is_taken_over(ssm: Any):
    locks.acquire(ssm, "shop", claim(pid=dead_pid()))
    assert locks.acquire(ssm, "shop", claim(BOB)).by == "bob"


def test_the_lock_of_a_process_that_lives_here_is_not(ssm: Any):
    locks.acquire(ssm, "shop", claim())
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", claim(BOB))


def test_a_dead_pid_on_another_machine_proves_nothing(ssm: Any):
    locks.acquire(ssm, "shop", claim(pid=dead_pid(), machine="elsewhere"))
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", claim(BOB))


def test_a_later_job_of_the_same_ci_run_enters_again(ssm: Any):
    locks.acquire(ssm, "shop", claim(run="github 7", machine="runner-1"))
    assert locks.acquire(ssm, "shop", claim(BOB, run="github 7", machine="runner-2")).machine == "runner-2"


def test_a_hold_by_hand_belongs_to_no_process(ssm: Any):
    locks.acquire(ssm, "shop", claims.by_hand(claim(pid=dead_pid())))
    with pytest.raises(Locked):
        locks.acquire(ssm, "shop", claim())


def test_a_put_whose_answer_was_lost_is_ours_all_the_same(ssm: Any):
    mine = claim()
    locks.acquire(ssm, "shop", mine)
    assert locks.acquire(ssm, "shop", mine) == mine
