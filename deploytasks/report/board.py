"""The board: what runs where, tenants down, tiers across; a target that cannot be read costs only its own cell."""

from typing import Any

from deploytasks.model import Board, Cell, Target
from deploytasks.report.sheet import Column, Entry, Sheet, Span, Tone, entry, line, stacked, table
from deploytasks.report.text import iso, lines_of, short_commit, target_json

_LEGEND = (
    "commit running/desired · release · state. The digest is seen on tasks, recorded in tags,"
    " or defined by the definition that runs."
)
_STATE_TONES: dict[str, Tone] = {
    "completed": "dim",
    "in progress": "warn",
    "rolling back": "bad",
    "rolled back": "bad",
    "failed": "bad",
}


def sheet(board: Board) -> Sheet:
    """The board for people; complaints stand below it."""
    if not board.cells:
        return (line("no environments"),)
    cells = {(_row_name(board, cell.target), cell.target.environment.tier): cell for cell in board.cells}
    rows: list[list[Span | Entry]] = [
        [Span(row, "strong"), *(_entry(cells.get((row, tier))) for tier in board.tiers)]
        for row in dict.fromkeys(row for row, _ in cells)
    ]
    columns = [Column("tenant", "whole"), *(Column(tier) for tier in board.tiers)]
    return stacked(
        (table(columns, rows, spaced=True),),
        tuple(block for cell in board.cells if cell.complaint for block in _complaint(cell)),
        (line(Span(_LEGEND, "dim")),),
    )


def as_json(board: Board) -> dict[str, Any]:
    """The board for programs: a flat list of cells; what is not known is null."""
    return {
        "project": board.project,
        "tiers": board.tiers,
        "cells": [_cell_json(cell) for cell in board.cells],
    }


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        **target_json(cell.target),
        "state": cell.state or None,
        "commit": cell.commit or None,
        "release": cell.release or None,
        "digest": cell.digest or None,
        "evidence": cell.evidence,
        "running": cell.running,
        "desired": cell.desired,
        "since": iso(cell.since),
        "complaint": cell.complaint or None,
    }


def _row_name(board: Board, target: Target) -> str:
    services = {cell.target.service for cell in board.cells}
    tenant = target.environment.tenant
    return tenant if len(services) == 1 else f"{tenant}/{target.service}"


def _entry(cell: Cell | None) -> Entry:
    if cell is None:
        return entry(Span("-", "dim"))
    if cell.complaint:
        return entry(Span("not known, see below", "bad"))
    state = cell.state.lower().replace("_", " ")
    how = f"{state}, {cell.evidence}" if state and cell.evidence else state or cell.evidence or ""
    tasks = f"{cell.running}/{cell.desired}" if cell.commit or cell.digest or cell.desired else ""
    what = short_commit(cell.commit or cell.digest)
    return entry(
        Span(f"{what} {tasks}".strip(), "plain" if cell.running >= cell.desired > 0 else "warn"),
        Span(cell.release, "dim", brief=cell.release.removeprefix(f"{cell.target.environment.tier}-").rstrip("Z")),
        Span(how, _STATE_TONES.get(state, "plain")),
    )


def _complaint(cell: Cell) -> Sheet:
    first, *more = lines_of(cell.complaint) or ["not known"]
    return (line(Span(str(cell.target), "bad"), f": {first}"), *(line(each, indent=4) for each in more))
