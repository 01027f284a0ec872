"""The lock of a project's tier: one SSM parameter in the registry's account, which only one of many can create.

It is never stolen: only the holder, the same CI run, or the machine on which the holder's process died may take it.
"""

import fcntl
import json
import os
import platform
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from deploytasks.aws.failures import translated
from deploytasks.errors import Complaint, Locked
from deploytasks.model import Author, LockState


def path(project: str, tier: str, kind: str = "lock") -> str:
    """The name of the SSM parameter of the tier's lock, or hold."""
    return f"/deploytasks/{project}/{tier}/{kind}"


def claim(tier: str, author: Author, command: str, *, commit: str = "", reason: str = "") -> LockState:
    """What this process writes into a lock that it takes."""
    return LockState(
        tier=tier,
        by=author.by,
        since=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        command=command,
        commit=commit,
        reason=reason,
        ci=author.ci,
        run=author.run,
        machine=_machine(),
        pid=os.getpid(),
        token=uuid.uuid4().hex,
    )


def acquire(client: Any, project: str, mine: LockState) -> LockState:
    """The lock is ours; returns what is written there, with the token that releases it.

    Raises:
        Locked: somebody else holds it.

    Source: ssm PutParameter with Overwrite=False: of any number of writers one wins.

    """
    if _put(client, project, mine):
        return mine
    holder = status(client, project, mine.tier)
    if holder is None:
        return acquire(client, project, mine)
    if mine.run and holder.run == mine.run and _is_dead_or_elsewhere(holder):
        return _take_over(client, project, holder, mine)
    if _died_here(holder):
        return _take_over(client, project, holder, mine)
    raise Locked(_held(holder))


def release(client: Any, project: str, mine: LockState) -> bool:
    """The lock is free, if it was ours; whether it was."""
    holder = status(client, project, mine.tier)
    if holder is None or holder.token != mine.token:
        return False
    remove(client, project, mine.tier)
    return True


def status(client: Any, project: str, tier: str, kind: str = "lock") -> LockState | None:
    """Who holds the tier's lock (or put its hold there), None where nobody does.

    Source: ssm GetParameter.

    """
    with translated(f"{kind} of {tier}"):
        try:
            value = client.get_parameter(Name=path(project, tier, kind))["Parameter"]["Value"]
        except client.exceptions.ParameterNotFound:
            return None
    return _read(tier, value)


def _read(tier: str, value: str) -> LockState:
    """What is written in the lock; of one that nobody can read at least that it is there."""
    try:
        known = {field.name for field in fields(LockState)}
        return LockState(**{key: value for key, value in json.loads(value).items() if key in known})
    except (ValueError, TypeError, AttributeError):
        return LockState(tier, by="somebody who left it unreadable", since="unknown", command="unknown")


def _put(client: Any, project: str, mine: LockState) -> bool:
    with translated(f"lock of {mine.tier}"):
        try:
            client.put_parameter(
                Name=path(project, mine.tier), Value=json.dumps(asdict(mine)), Type="String", Overwrite=False
            )
        except client.exceptions.ParameterAlreadyExists:
            # A put whose answer was lost is retried by botocore and then meets itself.
            holder = status(client, project, mine.tier)
            return holder is not None and holder.token == mine.token
    return True


def remove(client: Any, project: str, tier: str, kind: str = "lock") -> None:
    """There is no lock (or hold) of the tier.

    Source: ssm DeleteParameter.

    """
    with translated(f"{kind} of {tier}"):
        try:
            client.delete_parameter(Name=path(project, tier, kind))
        except client.exceptions.ParameterNotFound:
            return


def _take_over(client: Any, project: str, dead: LockState, mine: LockState) -> LockState:
    """The dead holder's lock becomes ours; of several who try it on this machine, one at a time."""
    with _one_at_a_time(path(project, mine.tier)):
        holder = status(client, project, mine.tier)
        if holder is not None and holder.token != dead.token:
            raise Locked(_held(holder))
        remove(client, project, mine.tier)
        if not _put(client, project, mine):
            raise Locked(_held(status(client, project, mine.tier) or dead))
    return mine


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    file = Path(tempfile.gettempdir()) / f"deploytasks{name.replace('/', '-')}-{os.getuid()}"
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _died_here(holder: LockState) -> bool:
    return holder.machine == _machine() and holder.pid > 0 and not _is_alive(holder.pid)


def _is_dead_or_elsewhere(holder: LockState) -> bool:
    """Jobs of one CI run follow each other; two live ones on one machine do not share the lock."""
    return holder.machine != _machine() or holder.pid == os.getpid() or not _is_alive(holder.pid)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    """The boot of the host and its process namespace: where one pid means one process."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    known = (boot.read_text().strip(), namespace.readlink().name) if boot.exists() and namespace.is_symlink() else ()
    return " ".join([platform.node(), *known])


def _held(holder: LockState) -> Complaint:
    why = f", because {holder.reason}" if holder.reason else ""
    ci = f", {holder.ci}" if holder.ci else ""
    what = f"{holder.by} holds the lock since {holder.since} ({holder.command}{ci}){why}"
    to_do = f"wait for it; if it is gone for good: inv lock.release {holder.tier}"
    return Complaint(holder.tier, what, to_do)


def as_hold(mine: LockState) -> LockState:
    """The same claim by no process: it outlives this one, until somebody releases it."""
    return replace(mine, pid=0, machine="", run="")
