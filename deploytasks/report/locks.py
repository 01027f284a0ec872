"""The lock: who is at work on a tier, since when, and with what."""

from typing import Any

from deploytasks.model import LockState
from deploytasks.report.sheet import Column, Sheet, Span, line, table
from deploytasks.report.text import short_commit

_FIELDS = ("by", "since", "command", "commit", "reason", "ci", "run", "machine")


def sheet(tier: str, state: LockState | None) -> Sheet:
    """The tier's lock for people."""
    if state is None:
        return (line(Span(tier, "strong"), ": ", Span("free", "good")),)
    said = {
        "by": state.by,
        "since": state.since,
        "command": state.command,
        "commit": short_commit(state.commit),
        "reason": state.reason,
        "run": state.ci or state.run,
        "process": f"{state.pid} on {state.machine}" if state.machine else "",
    }
    rows = [(name, text) for name, text in said.items() if text]
    return (line(Span(tier, "strong"), ": ", Span("held", "warn")), table((Column("", "whole"), Column("")), rows))


def as_json(tier: str, state: LockState | None) -> dict[str, Any]:
    """The tier's lock for programs; never the token that proves the holder."""
    if state is None:
        return {"tier": tier, "held": False}
    fields = {name: getattr(state, name) or None for name in _FIELDS}
    return {"tier": tier, "held": True, **fields, "pid": state.pid or None}
