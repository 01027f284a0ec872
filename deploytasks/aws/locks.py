"""The lock of a project's tier: one SSM parameter in the registry's account, which only one of many can create.

It is never stolen: it may be taken over if the holder's process died on this machine, or if it belongs to the same CI
run and shows no life any more (`lock_holders`). A waiting command only reads, and writes once the lock is gone.
"""

import random
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from deploytasks import concurrency
from deploytasks.aws import lock_holders, parameters, transport
from deploytasks.aws.errors import may_pass
from deploytasks.aws.lock_holders import SURE_S
from deploytasks.aws.parameters import HOLD
from deploytasks.durations import spelled
from deploytasks.errors import AwsError, Complaint, Locked
from deploytasks.model import LockState

Answer = TypeVar("Answer")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 15.0
_TRIES_S = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses when the lock exists yet can't be found: SSM shows a deletion everywhere, and accepts the name, only later.

Source: DeleteParameter, "wait for at least 30 seconds to create a parameter with the same name".
"""
_ATTEMPTS = 3
"""How often to try to become the successor of a dead holder."""


class LockWait(Struct, frozen=True):
    """How long to wait for a lock; by default not at all.

    `tell` is called once, with a message that names the holder; `dice` returns a number from 0 to 1.
    """

    longest_s: float = 0.0
    tell: Callable[[str], None] = lambda _message: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random

    def pauses(self) -> Iterator[float]:
        """Yield the seconds between two reads: 2 at first, growing by half up to 15, with a quarter of jitter."""
        pause_s = _FIRST_PAUSE_S
        while True:
            yield pause_s * (0.75 + self.dice() / 2)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


NO_WAIT = LockWait()


def acquire(client: Any, project: str, mine: LockState, wait: LockWait = NO_WAIT) -> LockState:
    """Take the lock, or work under one that our CI run holds; return its contents.

    Raises:
        Locked: another command holds it, and held it for as long as we wait.

    Source: ssm PutParameter with Overwrite=False: of any number of writers one wins.

    """
    began, pauses, told = wait.clock(), wait.pauses(), False
    holder = _take(client, project, mine, wait)
    while not _is_ours(holder, mine):
        waited_s = wait.clock() - began
        left_s = wait.longest_s - waited_s
        if left_s <= 0:
            raise Locked(_refusal(holder, mine, waited_s if told else 0.0))
        if not told:
            wait.tell(f"{_held(holder, mine, waited_s)}; waiting for it, up to {spelled(wait.longest_s)}")
            told = True
        wait.sleep(min(next(pauses), left_s))
        holder = _look(client, project, holder, mine, wait)
    if told:
        wait.tell(f"the lock is ours, after {spelled(wait.clock() - began)}")
    return holder


def release(client: Any, project: str, mine: LockState, kind: str = "lock") -> bool:
    """Release the lock (or hold) if it is this one; return whether it was."""
    holder = status(client, project, mine.tier, kind)
    if holder is None or holder.token != mine.token:
        return False
    if holder.took_over:
        parameters.delete(client, _succession(project, mine.tier, holder.took_over), f"lock of {mine.tier}")
    remove(client, project, mine.tier, kind)
    return True


def release_held(client: Any, project: str, mine: LockState, sleep: Callable[[float], None] = time.sleep) -> bool:
    """Release the lock that we took; return False if repeated reads do not find it to be ours."""
    for pause_s in SURE_S:
        if release(client, project, mine):
            return True
        sleep(pause_s)
    return release(client, project, mine)


def status(client: Any, project: str, tier: str, kind: str = "lock") -> LockState | None:
    """Return who holds the tier's lock (or set its hold), None if it is free."""
    found = parameters.find(client, parameters.path(project, tier, kind), f"{kind} of {tier}")
    return parameters.read_lock(tier, found.value) if found else None


def obstacle(client: Any, project: str, mine: LockState) -> Complaint | None:
    """Return the complaint that `acquire` would raise now; None if it would take the lock, or work under it."""
    holder = status(client, project, mine.tier)
    if holder is None or _is_ours(holder, mine) or lock_holders.is_left(client, project, holder, mine):
        return None
    return _refusal(holder, mine, 0.0)


def taken_at(client: Any, project: str, tier: str) -> datetime | None:
    """Return when the tier's lock was taken, by AWS's own clock, which also times deployments; None if it is free."""
    found = parameters.find(client, parameters.path(project, tier), f"lock of {tier}")
    return found.modified_at if found else None


def remove(client: Any, project: str, tier: str, kind: str = "lock") -> None:
    """Delete the tier's lock (or hold), whoever holds it."""
    parameters.delete(client, parameters.path(project, tier, kind), f"{kind} of {tier}")


def freeing(tier: str, run: str) -> str:
    """Return the command that frees the lock or ends the hold; in a CI run with `--yes`, since no one can answer it."""
    return f"inv lock.release {tier}" + (" --yes" if run else "")


def despite_hold(tier: str, run: str) -> str:
    """Return the advice for whoever wants to change a tier that is on hold."""
    return f"to go on all the same, end the hold first: {freeing(tier, run)}"


def _is_ours(holder: LockState, mine: LockState) -> bool:
    return holder.token == mine.token or lock_holders.is_shared(holder, mine)


def _take(client: Any, project: str, mine: LockState, wait: LockWait) -> LockState:
    """Return who holds the lock now: we do if it was free, or if its holder left it to us."""
    for pause_s in _TRIES_S:
        if holder := _put(client, project, mine):
            return _inherited(client, project, holder, mine)
        if pause_s:
            wait.sleep(pause_s)
    return LockState(mine.tier, by="somebody else", since=mine.since, command="just now")


def _look(client: Any, project: str, before: LockState, mine: LockState, wait: LockWait) -> LockState:
    """Return who holds the lock now, after another read; ignore an error of that read that may pass."""
    try:
        holder = status(client, project, mine.tier)
    except AwsError as error:
        if may_pass(error):
            return before
        raise
    return _inherited(client, project, holder, mine) if holder else _take(client, project, mine, wait)


def _put(client: Any, project: str, mine: LockState) -> LockState | None:
    """Return who holds the lock after our attempt to write it; None if it is free again."""
    name = parameters.path(project, mine.tier)
    if _write(lambda: parameters.create(client, name, parameters.written(mine), f"lock of {mine.tier}")):
        return mine
    # botocore retries a put whose answer was lost, and the retry then finds the first one's lock.
    return status(client, project, mine.tier)


def _write(put: Callable[[], Answer]) -> Answer:
    """Return the answer to a write of the lock, which a signal does not cut off: it would leave the lock behind."""
    return concurrency.finish(put, transport.GRACE_S)


def _inherited(client: Any, project: str, holder: LockState, mine: LockState) -> LockState:
    """Return who holds the lock now: we do if its holder died; only one of several takers succeeds."""
    if holder.token == mine.token or not lock_holders.is_left(client, project, holder, mine):
        return holder
    if not holder.pid:  # held by the CI run itself, which takes it anew: its jobs follow each other
        name, record = parameters.path(project, mine.tier), parameters.written(mine)
        _write(lambda: parameters.write(client, name, record, f"lock of {mine.tier}"))
        return mine
    return _taken_over(client, project, holder, mine)


def _taken_over(client: Any, project: str, dead: LockState, mine: LockState) -> LockState:
    """Take over a dead holder's lock, unless another command does. Return who holds it then."""
    successor = _successor(client, project, dead, mine)
    if successor.token != mine.token:
        return successor
    name, where = parameters.path(project, mine.tier), f"lock of {mine.tier}"
    now = status(client, project, mine.tier)
    if now is None or now.token != dead.token:
        parameters.delete(client, _succession(project, mine.tier, dead.token), where)
        return now or _put(client, project, mine) or dead
    taken = replace(mine, took_over=dead.token)
    _write(lambda: parameters.write(client, name, parameters.written(taken), where))
    lock_holders.forget(client, project, dead)
    if dead.took_over:
        parameters.delete(client, _succession(project, mine.tier, dead.took_over), where)
    return taken


def _successor(client: Any, project: str, dead: LockState, mine: LockState) -> LockState:
    """Return who may take over the lock: the creator of the parameter named by the dead holder's token.

    It stays as long as the successor holds the lock, so that a late reader does not take the lock over again.
    """
    kind, where = _kind_of_succession(dead.token), f"lock of {mine.tier}"
    name = parameters.path(project, mine.tier, kind)
    for _ in range(_ATTEMPTS):
        if parameters.create(client, name, parameters.written(mine), where):
            return mine
        if found := parameters.find(client, name, where):
            successor = parameters.read_lock(mine.tier, found.value)
            if successor.token == mine.token or not lock_holders.is_left(client, project, successor, mine, kind):
                return successor
            parameters.delete(client, name, where)  # it died before it had the lock
    return dead


def _succession(project: str, tier: str, token: str) -> str:
    """Return the name of the parameter that says who takes over the lock of that token."""
    return parameters.path(project, tier, _kind_of_succession(token))


def _kind_of_succession(token: str) -> str:
    return f"successors/{token or 'unnamed'}"


def _refusal(holder: LockState, mine: LockState, waited_s: float) -> Complaint:
    waited = f"after {spelled(waited_s)} of waiting, " if waited_s else ""
    to_wait = "" if waited_s else "wait for it: --lock-wait 15m; "
    if mine.run and holder.run == mine.run and holder.pid:
        to_wait += f"this CI run takes it over {spelled(lock_holders.STALE_S)} after its last heartbeat; "
    to_do = f"{to_wait}if it is gone for good: {freeing(mine.tier, mine.run)}"
    return Complaint(mine.tier, f"{waited}{_held(holder, mine, waited_s)}", to_do)


def _held(holder: LockState, mine: LockState, waited_s: float) -> str:
    """Say who holds the lock, since when, what for and why, as far as it is recorded."""
    about = holder.release or holder.commit[:7]
    what = ", ".join(filter(None, [f"{holder.command} of {about}" if about else holder.command, holder.ci]))
    why = f", because {holder.reason}" if holder.reason else ""
    return f"{holder.by} holds the lock since {holder.since}{_how_long(holder, mine, waited_s)} ({what}){why}"


def _how_long(holder: LockState, mine: LockState, waited_s: float) -> str:
    """Say how long the lock has been held, `waited_s` after we began to wait; "" if the times do not tell."""
    try:
        before = datetime.fromisoformat(mine.since) - datetime.fromisoformat(holder.since)
    except (ValueError, TypeError):
        return ""
    held_s = before.total_seconds() + waited_s
    return f", for {spelled(held_s)}" if held_s >= 0 else ""


def put_hold(client: Any, project: str, hold: LockState) -> None:
    """Put a hold on the tier, with its reason; replace a present one."""
    value = parameters.written(lock_holders.by_nobody(hold))
    parameters.write(client, parameters.path(project, hold.tier, HOLD), value, f"hold of {hold.tier}")


def hold(client: Any, project: str, tier: str) -> LockState | None:
    """Return the tier's hold, None if there is none."""
    return status(client, project, tier, HOLD)
