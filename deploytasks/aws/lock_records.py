"""What somebody writes into a lock or a hold: who and what for; and whether the process that wrote it still lives."""

import json
import os
import platform
import uuid
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

from deploytasks.aws import tags
from deploytasks.model import Author, LockState, Unfinished

_LONGEST_REASON = 1000
"""A parameter's value has 4,096 characters; what people write may take so many of them."""


def lock_record(tier: str, author: Author, command: str, *, commit: str = "", reason: str = "") -> LockState:
    """What this process writes into a lock that it takes."""
    return LockState(
        tier=tier,
        by=author.by,
        since=tags.stamp(datetime.now(UTC)),
        command=command,
        commit=commit,
        reason=cut(reason),
        ci=author.ci,
        run=author.run,
        machine=_machine(),
        pid=os.getpid(),
        token=new_token(),
    )


def new_token() -> str:
    """Return what tells a lock from every other."""
    return uuid.uuid4().hex


def cut(reason: str) -> str:
    """The reason as far as there is room for it, as it is written; one that was cut ends with `…`."""
    sizes = [*accumulate(len(_escaped(json.dumps(char))) - 2 for char in reason)]
    if not sizes or sizes[-1] <= _LONGEST_REASON:
        return reason
    return reason[: bisect_right(sizes, _LONGEST_REASON - len(r"\u2026"))] + "…"


def by_hand(mine: LockState) -> LockState:
    """The same claim by no process: it outlives this one, and jobs of the same CI run work under it."""
    return replace(mine, pid=0, machine="")


def by_nobody(mine: LockState) -> LockState:
    """The same claim by no process and no CI run: it is in everybody's way until somebody releases it."""
    return replace(mine, pid=0, machine="", run="")


def written(state: Any) -> str:
    """The state as the value of a parameter, one flat JSON object.

    Source: PutParameter takes no value with double braces, so that none of what people wrote stays a brace.
    """
    members = asdict(state)
    if "unfinished" in members:
        members["unfinished"] = [list(each.values()) for each in members["unfinished"]]
    return f"{{{_escaped(json.dumps(members)[1:-1])}}}"


def _escaped(inside: str) -> str:
    return inside.replace("{", "\\u007b").replace("}", "\\u007d")


def read(tier: str, value: str) -> LockState:
    """What is written in the lock; of one that nobody can read at least that it is there."""
    try:
        known: dict[str, type] = {each.name: str for each in fields(LockState)} | {"pid": int, "unfinished": list}
        said = {name: each for name, each in json.loads(value).items() if name in known}
        if all(isinstance(each, known[name]) for name, each in said.items()):
            return LockState(**said | {"unfinished": tuple(map(_unfinished, said.get("unfinished", ())))})
    except (ValueError, TypeError, AttributeError):
        pass
    return LockState(tier, by="somebody who left it unreadable", since="unknown", command="unknown")


def _unfinished(row: Any) -> Unfinished:
    """Return the rollback that the row of a hold tells of.

    Raises:
        TypeError, ValueError: somebody wrote something else there.

    """
    release, at, *names = row
    tenants, services = (tuple(each) for each in names)
    if not all(isinstance(each, str) for each in (release, at, *tenants, *services)):
        raise TypeError(row)
    return Unfinished(release, at, tenants, services)


def is_shared(holder: LockState, mine: LockState) -> bool:
    """Whether our CI run itself holds the lock, and no process of it: its jobs work under it, and leave it."""
    return bool(mine.run) and holder.run == mine.run and not holder.pid and bool(mine.pid)


def is_left(holder: LockState, mine: LockState, is_stale: Callable[[], bool]) -> bool:
    """Whether the lock may be taken over: its process died here, or is of our CI run elsewhere and `is_stale`.

    Where the CI run itself holds it, only the run takes it anew.
    """
    if holder.pid > 0 and holder.machine == _machine():
        return not _is_alive(holder.pid)
    if not mine.run or holder.run != mine.run:
        return False
    return is_stale() if holder.pid > 0 else not mine.pid


def _is_alive(pid: int) -> bool:
    """Whether the process lives; one that only waits for its parent to take note of its end does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return True
    return state not in ("Z", "X")


def _machine() -> str:
    """The boot of the host and its process namespace: where one pid means one process."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    known = (boot.read_text().strip(), namespace.readlink().name) if boot.exists() and namespace.is_symlink() else ()
    return " ".join([platform.node(), *known])
