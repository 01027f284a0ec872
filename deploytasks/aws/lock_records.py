"""The contents of a lock or a hold: who and what for; and whether the process that wrote it is still alive."""

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
"""How many of a parameter's 4,096 characters a reason may take."""


def lock_record(tier: str, author: Author, command: str, *, commit: str = "", reason: str = "") -> LockState:
    """Return what this process writes into a lock that it takes."""
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
    """Return a unique token, which identifies a lock."""
    return uuid.uuid4().hex


def cut(reason: str) -> str:
    """Return the reason, cut to `_LONGEST_REASON` characters as it is written; one that was cut ends with `…`."""
    sizes = [*accumulate(len(_escaped(json.dumps(char))) - 2 for char in reason)]
    if not sizes or sizes[-1] <= _LONGEST_REASON:
        return reason
    return reason[: bisect_right(sizes, _LONGEST_REASON - len(r"\u2026"))] + "…"


def by_hand(mine: LockState) -> LockState:
    """Return the same record without a process: it outlives this one, and jobs of the same CI run work under it."""
    return replace(mine, pid=0, machine="")


def by_nobody(mine: LockState) -> LockState:
    """Return the same record without a process or CI run: it blocks everyone until it is released by hand."""
    return replace(mine, pid=0, machine="", run="")


def written(state: Any) -> str:
    """Return the state as the value of a parameter, one flat JSON object.

    Source: PutParameter takes no value with double braces, so all braces in users' text are escaped.
    """
    members = asdict(state)
    if isinstance(state, LockState):
        members["tenants"] = ",".join(state.tenants)
        members["unfinished"] = [list(each.values()) for each in members["unfinished"]]
    return f"{{{_escaped(json.dumps(members)[1:-1])}}}"


def _escaped(inside: str) -> str:
    return inside.replace("{", "\\u007b").replace("}", "\\u007d")


def read(tier: str, value: str) -> LockState:
    """Return the contents of the lock; of an unreadable one, a record that says so."""
    try:
        known: dict[str, type] = {each.name: str for each in fields(LockState)} | {"pid": int, "unfinished": list}
        said = {name: each for name, each in json.loads(value).items() if name in known}
        if all(isinstance(each, known[name]) for name, each in said.items()):
            unfinished = tuple(map(_unfinished, said.get("unfinished", ())))
            tenants = tuple(filter(None, said.get("tenants", "").split(",")))
            return LockState(**said | {"unfinished": unfinished, "tenants": tenants})
    except (ValueError, TypeError, AttributeError):
        pass
    return LockState(tier, by="an unreadable lock record", since="unknown", command="unknown")


def _unfinished(row: Any) -> Unfinished:
    """Return the unfinished rollback of a hold's row.

    Raises:
        TypeError, ValueError: the row has another form.

    """
    release, at, *names = row
    tenants, services = (tuple(each) for each in names)
    if not all(isinstance(each, str) for each in (release, at, *tenants, *services)):
        raise TypeError(row)
    return Unfinished(release, at, tenants, services)


def is_shared(holder: LockState, mine: LockState) -> bool:
    """Return whether our CI run itself holds the lock, and no process of it: its jobs work under it and keep it."""
    return bool(mine.run) and holder.run == mine.run and not holder.pid and bool(mine.pid)


def is_left(holder: LockState, mine: LockState, is_stale: Callable[[], bool]) -> bool:
    """Return whether the lock may be taken over: its process died here, or is of our CI run elsewhere and `is_stale`.

    If the CI run itself holds it, only the run takes it anew.
    """
    if holder.pid > 0 and holder.machine == _machine():
        return not _is_alive(holder.pid)
    if not mine.run or holder.run != mine.run:
        return False
    return is_stale() if holder.pid > 0 else not mine.pid


def _is_alive(pid: int) -> bool:
    """Return whether the process is alive; a zombie is not."""
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
    """Return the host's boot id and the process namespace, within which a pid identifies one process."""
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    known = (boot.read_text().strip(), namespace.readlink().name) if boot.exists() and namespace.is_symlink() else ()
    return " ".join([platform.node(), *known])
