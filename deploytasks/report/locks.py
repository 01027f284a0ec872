"""Lay out a tier's lock and hold: who holds it, since when, and for what."""

from datetime import datetime
from typing import Any

from msgspec.structs import asdict

from deploytasks.model import LockState, TierLock, Unfinished
from deploytasks.report.sheet import Column, Sheet, Span, line, table
from deploytasks.report.text import iso, short_commit

_FIELDS = ("by", "since", "command", "commit", "release", "at", "tenants", "reason", "ci", "run", "machine")


def sheet(found: TierLock) -> Sheet:
    """Return the tier's lock and hold for people."""
    on_hold = _state(found.tier, _held(found.hold), found.hold) if found.hold else ()
    if found.lock is None:
        return on_hold or (line(Span(found.tier, "strong"), ": ", Span("free", "good")),)
    return (*on_hold, *_state(found.tier, "held", found.lock, found.alive_at))


def held(hold: LockState) -> str:
    """Return the tier's hold in one sentence: which tenants, until when, by whom and why."""
    return f"{hold.tier}: {_held(hold)} ({hold.by}, {hold.since}: {hold.reason})"


def locked(lock: LockState) -> str:
    """Return the tier's lock in one sentence: by whom, since when, which command and why."""
    why = f": {lock.reason}" if lock.reason else ""
    return f"{lock.tier}: locked by {lock.by} since {lock.since} ({lock.command}){why}"


def _held(hold: LockState) -> str:
    whom = f"{','.join(hold.tenants)} on hold" if hold.tenants else "on hold"
    return f"{whom}: no other commit until inv lock.release {hold.tier}"


def _state(tier: str, word: str, state: LockState, alive_at: datetime | None = None) -> Sheet:
    said = {
        "by": state.by,
        "since": state.since,
        "command": state.command,
        "commit": short_commit(state.commit),
        "release": state.release,
        "at": state.at,
        "tenants": ",".join(state.tenants),
        "unfinished": "\n".join(map(_unfinished, state.unfinished)),
        "reason": state.reason,
        "run": state.ci or state.run,
        "process": f"{state.pid} on {state.machine}" if state.machine else "",
        "alive at": iso(alive_at) or "",
    }
    rows = [(name, text) for name, text in said.items() if text]
    return (line(Span(tier, "strong"), ": ", Span(word, "warn")), table((Column("", "whole"), Column("")), rows))


def _unfinished(each: Unfinished) -> str:
    whose = ", ".join((*each.tenants, *each.services))
    return f"the rollback to {each.at or each.release}" + (f" of {whose}" if whose else "")


def as_json(found: TierLock) -> dict[str, Any]:
    """Return the tier's lock and hold for programs, without the token that proves the holder."""
    kept = {"hold": lock_json(found.hold)} if found.hold else {}
    if found.lock is None:
        return {"tier": found.tier, "held": False, **kept}
    process = {"pid": found.lock.pid or None, "alive_at": iso(found.alive_at)}
    return {"tier": found.tier, "held": True, **lock_json(found.lock), **process, **kept}


def lock_json(state: LockState) -> dict[str, Any]:
    """Return the fields of a lock or hold for programs; what is unknown is null."""
    return {name: getattr(state, name) or None for name in _FIELDS} | {
        "tenants": ",".join(state.tenants) or None,
        "unfinished": list(map(asdict, state.unfinished)),
    }
