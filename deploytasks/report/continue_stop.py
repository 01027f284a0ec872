"""Lay out what `deploy.continue` and `deploy.stop` did: one line per target."""

from collections.abc import Iterable, Sequence
from typing import Any

from deploytasks.flags import DRY_RUN
from deploytasks.model import Intervention
from deploytasks.report.sheet import Line, Sheet, Span, line
from deploytasks.report.text import lines_of, target_json


def sheet(intervention: Iterable[Intervention], follow: str, *, dry_run: bool) -> Sheet:
    """Return each target with what was done and, if anything was changed, `follow`, the command to follow it with."""
    listed = tuple(intervention)
    said = tuple(row for each in listed for row in _lines(each))
    if dry_run:
        return (*said, line(Span(DRY_RUN, "strong")))
    changed = any(each.changed for each in listed)
    return (*said, line(f"to follow: {follow}", whole=True)) if changed else said


def as_json(intervention: Iterable[Intervention], *, dry_run: bool) -> list[dict[str, Any]]:
    """Return the interventions for programs."""
    return [
        {
            **target_json(each.target),
            "did": each.did or None,
            "changed": each.changed and not dry_run,
            "dry_run": dry_run,
            "complaint": str(each.complaint) if each.complaint else None,
        }
        for each in intervention
    ]


def _lines(one: Intervention) -> Sequence[Line]:
    if one.complaint is None:
        return (line(str(one.target), ": ", Span(one.did, "good" if one.changed else "dim")),)
    first, *more = lines_of(f"{one.complaint.what}\n{one.complaint.to_do}".rstrip())
    return (line(str(one.target), ": ", Span(first, "bad")), *(line(each, indent=4) for each in more))
