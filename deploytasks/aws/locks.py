"""The lock of a project's tier: one SSM parameter in the registry's account, which only one of many can create.

It is never stolen: only the holder, the same CI run, or the machine on which the holder's process died may take it.
Who waits for it reads, and writes only once it is gone.
"""

import fcntl
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from deploytasks.aws import claims
from deploytasks.aws.failures import is_lost, may_pass, translated
from deploytasks.errors import AwsError, Complaint, Locked
from deploytasks.lengths import spelled
from deploytasks.model import LockState

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 2.0, 15.0
_TRIES_S = (0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Pauses after a lock that exists and is not there: only later does SSM tell a deletion everywhere, or take the name.

Source: DeleteParameter, "wait for at least 30 seconds to create a parameter with the same name".
"""
_SURE_S = (0.5, 1.0, 2.0)
"""Pauses between looks that do not see a lock which was written: SSM reads what was written only some time ago."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long somebody waits for a lock, not at all unless told; `tell` hears once whom for, `dice` throws 0 to 1."""

    longest_s: float = 0.0
    tell: Callable[[str], None] = lambda _message: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    dice: Callable[[], float] = random.random

    def pauses(self) -> Iterator[float]:
        """Seconds between two looks: 2, then longer and longer, 15 at most; a quarter more or less by chance."""
        pause_s = _FIRST_PAUSE_S
        while True:
            yield pause_s * (0.75 + self.dice() / 2)
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)


IMPATIENT = Patience()


def path(project: str, tier: str, kind: str = "lock") -> str:
    """The name of the SSM parameter of the tier's lock, or hold."""
    return f"{folder(project, tier)}/{kind}"


def folder(project: str, tier: str) -> str:
    """What the names of all the tier's SSM parameters begin with."""
    return f"/deploytasks/{project}/{tier}"


def acquire(client: Any, project: str, mine: LockState, patience: Patience = IMPATIENT) -> LockState:
    """The lock is ours, or one under which we may work; returns what is written there.

    Raises:
        Locked: somebody else holds it, and did so for as long as we wait.

    Source: ssm PutParameter with Overwrite=False: of any number of writers one wins.

    """
    began, pauses, told = patience.clock(), patience.pauses(), False
    holder = _take(client, project, mine, patience)
    while not _is_ours(holder, mine):
        waited_s = patience.clock() - began
        left_s = patience.longest_s - waited_s
        if left_s <= 0:
            raise Locked(_refusal(holder, mine, waited_s if told else 0.0))
        if not told:
            patience.tell(f"{_held(holder, mine, waited_s)}; waiting for it, up to {spelled(patience.longest_s)}")
            told = True
        patience.sleep(min(next(pauses), left_s))
        holder = _look(client, project, holder, mine, patience)
    if told:
        patience.tell(f"the lock is ours, after {spelled(patience.clock() - began)}")
    return holder


def release(client: Any, project: str, mine: LockState, kind: str = "lock") -> bool:
    """The lock (or hold) is free, if it was this one; whether it was."""
    holder = status(client, project, mine.tier, kind)
    if holder is None or holder.token != mine.token:
        return False
    remove(client, project, mine.tier, kind)
    return True


def release_held(client: Any, project: str, mine: LockState, sleep: Callable[[float], None] = time.sleep) -> bool:
    """The lock that we took is free; False where several looks, one after the other, do not find it to be ours."""
    for pause_s in _SURE_S:
        if release(client, project, mine):
            return True
        sleep(pause_s)
    return release(client, project, mine)


def status(client: Any, project: str, tier: str, kind: str = "lock") -> LockState | None:
    """Who holds the tier's lock (or put its hold there), None where nobody does.

    Source: ssm GetParameter.

    """
    with translated(f"{kind} of {tier}"):
        try:
            value = client.get_parameter(Name=path(project, tier, kind))["Parameter"]["Value"]
        except client.exceptions.ParameterNotFound:
            return None
    return claims.read(tier, value)


def obstacle(client: Any, project: str, mine: LockState) -> Complaint | None:
    """Return what `acquire` would refuse with now; None where it would take the lock, or work under it.

    Source: ssm GetParameter.

    """
    holder = status(client, project, mine.tier)
    if holder is None or _is_ours(holder, mine) or claims.is_left(holder, mine):
        return None
    return _refusal(holder, mine, 0.0)


def taken_at(client: Any, project: str, tier: str) -> datetime | None:
    """When the tier's lock was taken, by AWS's own clock, as deployments are timed; None where nobody holds it.

    Source: ssm GetParameter, LastModifiedDate.

    """
    with translated(f"lock of {tier}"):
        try:
            at: datetime = client.get_parameter(Name=path(project, tier))["Parameter"]["LastModifiedDate"]
        except client.exceptions.ParameterNotFound:
            return None
    return at


def remove(client: Any, project: str, tier: str, kind: str = "lock") -> None:
    """There is no lock (or hold) of the tier.

    Source: ssm DeleteParameter.

    """
    with translated(f"{kind} of {tier}"):
        try:
            client.delete_parameter(Name=path(project, tier, kind))
        except client.exceptions.ParameterNotFound:
            return


def freeing(tier: str, run: str) -> str:
    """The command that frees the lock, or ends the hold; in a CI run nobody can answer what it asks."""
    return f"inv lock.release {tier}" + (" --yes" if run else "")


def _is_ours(holder: LockState, mine: LockState) -> bool:
    return holder.token == mine.token or claims.is_shared(holder, mine)


def _take(client: Any, project: str, mine: LockState, patience: Patience) -> LockState:
    """Who holds the lock now: we do, where nobody did, or where its holder left it to us."""
    for pause_s in _TRIES_S:
        if holder := _put(client, project, mine):
            return _inherited(client, project, holder, mine)
        if pause_s:
            patience.sleep(pause_s)
    return LockState(mine.tier, by="somebody else", since=mine.since, command="just now")


def _look(client: Any, project: str, before: LockState, mine: LockState, patience: Patience) -> LockState:
    """Who holds the lock now, after another look; what keeps us from looking this time may pass."""
    try:
        holder = status(client, project, mine.tier)
    except AwsError as error:
        if may_pass(error):
            return before
        raise
    return _inherited(client, project, holder, mine) if holder else _take(client, project, mine, patience)


def _put(client: Any, project: str, mine: LockState) -> LockState | None:
    """Who holds the lock after we tried to write it; None where nobody does any more."""
    with translated(f"lock of {mine.tier}"):
        try:
            client.put_parameter(
                Name=path(project, mine.tier), Value=claims.written(mine), Type="String", Overwrite=False
            )
        except (client.exceptions.ParameterAlreadyExists, client.exceptions.TooManyUpdates):
            # A put whose answer was lost is retried by botocore and then meets itself.
            return status(client, project, mine.tier)
        except (BotoCoreError, ClientError) as error:
            if not is_lost(error):
                raise
            return status(client, project, mine.tier)  # it may have been done, though no answer says so
    return mine


def _inherited(client: Any, project: str, holder: LockState, mine: LockState) -> LockState:
    """Who holds the lock now: we do, where it was left; of several who try it on this machine, one at a time."""
    if holder.token == mine.token or not claims.is_left(holder, mine):
        return holder
    with _one_at_a_time(path(project, mine.tier)):
        now = status(client, project, mine.tier)
        if now is not None and now.token != holder.token:
            return now
        remove(client, project, mine.tier)
        return _put(client, project, mine) or holder


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    file = Path(tempfile.gettempdir()) / f"deploytasks{name.replace('/', '-')}-{os.getuid()}"
    handle = os.open(file, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _refusal(holder: LockState, mine: LockState, waited_s: float) -> Complaint:
    waited = f"after {spelled(waited_s)} of waiting, " if waited_s else ""
    to_wait = "" if waited_s else "wait for it: --lock-wait 15m; "
    to_do = f"{to_wait}if it is gone for good: {freeing(mine.tier, mine.run)}"
    return Complaint(mine.tier, f"{waited}{_held(holder, mine, waited_s)}", to_do)


def _held(holder: LockState, mine: LockState, waited_s: float) -> str:
    """Who holds the lock, since when, what for and why, as far as that is written there."""
    about = holder.release or holder.commit[:7]
    what = ", ".join(filter(None, [f"{holder.command} of {about}" if about else holder.command, holder.ci]))
    why = f", because {holder.reason}" if holder.reason else ""
    return f"{holder.by} holds the lock since {holder.since}{_how_long(holder, mine, waited_s)} ({what}){why}"


def _how_long(holder: LockState, mine: LockState, waited_s: float) -> str:
    """How long that has been now, that much after we came; nothing where the times do not tell."""
    try:
        before = datetime.fromisoformat(mine.since) - datetime.fromisoformat(holder.since)
    except (ValueError, TypeError):
        return ""
    held_s = before.total_seconds() + waited_s
    return f", for {spelled(held_s)}" if held_s >= 0 else ""
