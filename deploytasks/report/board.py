"""Lay out the board: what runs where, a row per tenant, a column per tier."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from deploytasks.errors import listed
from deploytasks.model import NOT_OURS, Board, Cell, JobStand, Target
from deploytasks.model.marks import EVIDENCE, STANDINGS, WORDS, foreign
from deploytasks.report.locks import held, lock_json, locked
from deploytasks.report.sheet import Block, Column, Entry, Sheet, Span, Tone, entry, line, stacked, table
from deploytasks.report.text import (
    MOST_NAMES,
    age,
    counted,
    iso,
    lines_of,
    one_line,
    revision_name,
    short_commit,
    target_json,
)
from deploytasks.report.unseen import hindrances

_HOW_TO_READ = "commit, running/desired tasks, subject · release · how the last rollout stands, its age, who began it"
_OF_JOBS = "of a job: what starts it, when its revision was deployed, and how its last run ended where ECS still knows"
_LONGEST_SUBJECT = 28  # so that three tiers stand side by side in 140 columns


def sheet(board: Board) -> Sheet:
    """Return the board for people, with remarks on its marks, complaints, notes, a summary and the legend below."""
    if not board.cells:
        return (line("no environments"),)
    several = len({cell.target.name for cell in board.cells}) > 1
    cells = {(_row_name(cell.target, several=several), cell.target.environment.tier): cell for cell in board.cells}
    rows: list[list[Span | Entry]] = [
        [Span(row, "strong"), *(_entry(cells.get((row, tier)), board) for tier in board.tiers)]
        for row in dict.fromkeys(row for row, _ in cells)
    ]
    columns = [Column("tenant", "whole"), *(Column(tier) for tier in board.tiers)]
    return stacked(
        (table(columns, rows, spaced=True),),
        tuple(_remarks(board.cells)),
        tuple(hindrances(_unseen(board.cells))),
        tuple(line(each) for note in board.notes for each in lines_of(note)),
        tuple(line(Span(said, "warn")) for said in (*map(locked, board.locks), *map(held, board.holds))),
        (line(Span(summary(board), "strong")),),
        _legend(board),
    )


def as_json(board: Board) -> dict[str, Any]:
    """Return the board for programs: a flat list of cells; what is unknown is null. The marks are fixed words."""
    return {
        "project": board.project,
        "at": iso(board.at),
        "tiers": board.tiers,
        "marks": counts(board),
        "notes": board.notes,
        "locks": [{"tier": lock.tier, **lock_json(lock)} for lock in board.locks],
        "holds": [{"tier": hold.tier, **lock_json(hold)} for hold in board.holds],
        "cells": [_cell_json(cell) for cell in board.cells],
    }


def counts(board: Board) -> dict[str, int]:
    """Return how many targets carry each mark or noteworthy standing (missing, unseen, …), without zeros."""
    found: Counter[str] = Counter(word for cell in board.cells for word in {*cell.marks, cell.standing})
    return {word: found[word] for word in WORDS if found[word]}


def summary(board: Board) -> str:
    """Return the board's summary, in one sentence."""
    return ", ".join([headline(board), *(f"{count} {word}" for word, count in counts(board).items())])


def headline(board: Board) -> str:
    """Return how many targets there are, and how many of them are as wanted."""
    good = sum(cell.as_wanted for cell in board.cells)
    return f"{counted(len(board.cells), 'target')}: {good} as wanted"


def _cell_json(cell: Cell) -> dict[str, Any]:
    return {
        **target_json(cell.target),
        "standing": cell.standing,
        "marks": cell.marks,
        "foreign": cell.foreign,
        "commit": cell.commit or None,
        "subject": cell.subject or None,
        "release": cell.release or None,
        "certified_at": iso(cell.certified_at),
        "by": cell.by or None,
        "ci": cell.ci or None,
        "override": cell.override or None,
        "digests": cell.digests,
        "runs": cell.runs,
        "evidence": cell.evidence,
        "wanted": cell.wanted or None,
        "uses": [
            {"image": each.name, "digests": each.digests, "runs": each.runs, "wanted": each.wanted or None}
            for each in cell.uses
        ],
        "revision": revision_name(cell.revision) or None,
        "running": cell.running,
        "desired": cell.desired,
        "since": iso(cell.since),
        "detail": cell.detail or None,
        "crashing": cell.crashing or None,
        "checkout": cell.checkout or None,
        "complaint": str(cell.complaint) if cell.complaint else None,
        **({"job": _job_json(cell.job)} if cell.job else {}),
    }


def _job_json(job: JobStand) -> dict[str, Any]:
    last = job.last and {"at": iso(job.last.at), "exit_code": job.last.exit_code, "reason": job.last.reason or None}
    return {"starts": job.starts or None, "enabled": job.is_enabled, "last_run": last}


def _row_name(target: Target, *, several: bool) -> str:
    """Return the tenant, with the service if the board has several."""
    tenant = target.environment.tenant
    return f"{tenant}/{target.name}" if several else tenant


def _entry(cell: Cell | None, board: Board) -> Entry:
    if cell is None:
        return entry(Span("-", "dim"))
    if cell.standing in STANDINGS:
        return entry(Span(cell.standing, "warn" if cell.standing in NOT_OURS.values() else "bad"))
    what = f"{short_commit(cell.commit or next(iter(cell.digests), '')) or 'not known'} {runs_by(cell)}"
    is_well = bool(cell.job) or cell.running >= cell.desired > 0
    tones = {WORDS[mark].tone for mark in cell.marks}
    worst: Tone = "bad" if "bad" in tones else "good" if "info" in tones else "warn"
    return entry(
        Span(f"{what} {_cut(cell.subject)}".strip(), "plain" if is_well else "warn", what),
        Span(cell.release, "dim", brief=cell.release.removeprefix(f"{cell.target.environment.tier}-").rstrip("Z")),
        Span(_rollout(cell, board), "dim", brief=_brief(cell, board)),
        Span(", ".join(cell.marks), worst),
    )


def runs_by(cell: Cell) -> str:
    """Return how many tasks run; of a job, what starts it."""
    if cell.job is None:
        return f"{cell.running}/{cell.desired}"
    return f"{cell.job.starts or 'run by hand'}{'' if cell.job.is_enabled else ', disabled'}"


def last_run(cell: Cell, at: datetime) -> str:
    """Return how the job's last run ended; "" for a service."""
    if cell.job is None:
        return ""
    if (last := cell.job.last) is None:
        return "last run not known"
    how = f"exit {last.exit_code}" if last.exit_code is not None else last.reason or "it never started"
    return f"last run {age(last.at, at)} ago: {how}" if last.at else f"last run: {how}"


def _rollout(cell: Cell, board: Board) -> str:
    """Return the state of the last rollout, and the evidence for the digest unless a task reported it."""
    if cell.job:
        deployed = f"deployed {age(cell.since, board.at)} ago" if cell.since else ""
        by = f"{deployed} by {cell.by}" if deployed and cell.by else deployed
        return ", ".join(filter(None, [by, last_run(cell, board.at)]))
    ago = f" {age(cell.since, board.at)} ago" if cell.since else ""
    by = f" by {cell.by}" if cell.by else ""
    return f"{cell.standing}{ago}{by}" + (f", {cell.evidence}" if cell.evidence not in ("seen", None) else "")


def _brief(cell: Cell, board: Board) -> str:
    return last_run(cell, board.at) or f"{cell.standing} {age(cell.since, board.at)}"


def _cut(text: str) -> str:
    subject = one_line(text)  # before cutting it, so that whatever has to be masked is still whole
    return subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 1].rstrip()}…"


def _remarks(cells: Iterable[Cell]) -> Iterator[Block]:
    """Yield what the marks mean for each target, and gate overrides; targets with the same remark share a line."""
    said: dict[str, list[str]] = {}
    for cell in cells:
        for each in _said(cell):
            said.setdefault(each, []).append(str(cell.target))
    return (line(Span(listed(targets, MOST_NAMES), "strong"), f" {what}") for what, targets in said.items())


def _said(cell: Cell) -> Iterator[str]:
    if cell.detail:
        yield f"{cell.standing}: {cell.detail}"
    if cell.crashing:
        yield f"crashing: {cell.crashing}"
    if len(cell.runs) > 1:
        yield f"mixed: its tasks run {' and '.join(map(short_commit, cell.runs))}"
    if cell.wanted:
        yield f"behind: {cell.target.environment.tier} names {short_commit(cell.wanted)}"
    for each in cell.uses:
        if each.wanted:
            yield f"behind: {cell.target.environment.tier} names {short_commit(each.wanted)} of {each.name}"
    if cell.foreign:
        yield f"foreign: {foreign(cell.foreign)}"
    if cell.checkout:
        yield f"drifted: {cell.checkout}"
    if cell.override:
        yield f"released with --override: {cell.override}"


def _unseen(cells: Iterable[Cell]) -> Iterator[tuple[str, str, str]]:
    """Yield the targets that could not be seen, why, and what to do; with the place to fix if it is another one."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for cell in cells:
        if said := cell.complaint:
            place = "" if said.where in ("", str(cell.target)) else f" ({said.where})"
            found.setdefault((place, said.what, said.to_do), []).append(str(cell.target))
    return ((f"{', '.join(targets)}{place}", what, to_do) for (place, what, to_do), targets in found.items())


def _legend(board: Board) -> Sheet:
    """Return the meaning of each word that this board uses."""
    there = counts(board)
    words = [f"{word.name}: {word.meaning}" for word in WORDS.values() if word.name in there]
    unseen = {cell.evidence for cell in board.cells} - {"seen"}
    words += [f"{word}: {meaning}" for word, meaning in EVIDENCE.items() if word in unseen]
    of_jobs = [_OF_JOBS] if any(cell.job for cell in board.cells) else []
    return tuple(line(Span(each, "dim")) for each in [_HOW_TO_READ, *of_jobs, *words])
