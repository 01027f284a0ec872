"""Choose what the page says: the values that `board.html.j2` lays out. Pure."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from deploytasks.model import Board, Cell, LockState
from deploytasks.model.marks import EVIDENCE, STANDINGS, TIER_MARKS, WORDS, Tone, Word, foreign
from deploytasks.report.board import counts, headline, last_run, runs_by
from deploytasks.report.locks import held, locked
from deploytasks.report.text import age, iso, lines_of, minute, one_line, revision_name, revision_number, short_commit

_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_TONES: tuple[Tone, ...] = ("bad", "warn", "info", "good")
_ON_HOLD, _LOCKED = TIER_MARKS
_Values = dict[str, Any]


def view(board: Board) -> _Values:
    """Return the values of the template, by the names that it uses."""
    number = counts(board)
    return {
        "project": board.project,
        "at": _moment(board.at),
        "headline": headline(board),
        "counts": [(WORDS[name], count) for name, count in number.items()],
        "held_tiers": [
            *((_LOCKED, locked(each)) for each in board.locks),
            *((_ON_HOLD, held(each)) for each in board.holds),
        ],
        "notes": board.notes,
        "tiers": {tier: _tier_flags(board, tier) for tier in board.tiers},
        "several": len({cell.target.name for cell in board.cells}) > 1,
        "tenants": [*_tenants(board)],
        "legend": [*WORDS.values()],
        "tier_legend": TIER_MARKS,
        "evidence": {word: meaning for word, meaning in EVIDENCE.items() if word != "seen"},
    }


def rank(cell: Cell | None) -> int:
    """Return the target's sort key: the gravest first, then targets that are well, then those that don't exist."""
    if cell is None:
        return len(WORDS) + 1
    return min((word.gravity for word in _words(cell)), default=len(WORDS))


def _words(cell: Cell) -> tuple[Word, ...]:
    """Return what deserves a second look at the target; () if all is well."""
    standing = (cell.standing,) if cell.standing in STANDINGS else ()
    return tuple(WORDS[name] for name in standing + cell.marks)


def _tier_flags(board: Board, tier: str) -> list[Word]:
    """Return what holds for all of the tier's tenants."""
    on_hold = any(hold.tier == tier and not hold.tenants for hold in board.holds)
    return [_ON_HOLD] * on_hold + [_LOCKED] * any(lock.tier == tier for lock in board.locks)


def _tenants(board: Board) -> Iterator[_Values]:
    """Yield each tenant with its services; a service has a target per tier, and `ranks` the gravest of each tier."""
    cells = {(each.target.environment, each.target.name): each for each in board.cells}
    for tenant in dict.fromkeys(environment.tenant for environment, _ in cells):
        of = {(where.tier, service): cell for (where, service), cell in cells.items() if where.tenant == tenant}
        beside = {
            name: [of.get((tier, name)) for tier in board.tiers] for name in dict.fromkeys(name for _, name in of)
        }
        yield {
            "name": tenant,
            "services": {name: _targets(board, row, {tier for tier, _ in of}) for name, row in beside.items()},
            "ranks": [min(map(rank, column)) for column in zip(*beside.values(), strict=True)],
        }


def _targets(board: Board, row: Sequence[Cell | None], tiers: set[str]) -> list[_Values]:
    """Return a service's targets, one for each tier; `tiers` are those that the tenant has."""
    return [
        {
            "tier": ", ".join((tier, *(word.name for word in _tier_flags(board, tier)))),
            "rank": rank(cell),
            **(
                _target(cell, board) if cell else {"absent": f"no such {'service' if tier in tiers else 'environment'}"}
            ),
        }
        for tier, cell in zip(board.tiers, row, strict=True)
    ]


def _target(cell: Cell, board: Board) -> _Values:
    words, is_known = _words(cell), cell.standing not in STANDINGS
    return {
        "absent": "",
        "anchor": f"at={quote(one_line(str(cell.target)))}",
        "name": cell.target.name,
        "tone": min((word.tone for word in words), key=_TONES.index, default="good"),
        "flags": words,
        "held": (_ON_HOLD,) * any(_is_held(cell, hold) for hold in board.holds),
        "is_known": is_known,
        **(_known(cell, board.at) if is_known else {}),
        **_complaint(cell),
    }


def _is_held(cell: Cell, hold: LockState) -> bool:
    """Return whether the hold names the target's tenant."""
    where = cell.target.environment
    return hold.tier == where.tier and where.tenant in hold.tenants


def _known(cell: Cell, at: datetime) -> _Values:
    image = cell.commit or next(iter(cell.digests), "")
    how = "" if cell.evidence in ("seen", None) else f", {cell.evidence}"
    ago = age(cell.since, at)
    return {
        "image": image,
        "short": short_commit(image),
        "subject": cell.subject,
        "full": _full(cell),
        "release": cell.release,
        "certified": _moment(cell.certified_at),
        "tasks": f"{runs_by(cell)}{'' if cell.job else ' running'}{how}",
        "desired": cell.desired or bool(cell.job),
        "evidence": EVIDENCE[cell.evidence] if cell.evidence else "",
        "standing": f"{last_run(cell, at)}; deployed" if cell.job else cell.standing,
        "since": iso(cell.since),
        "ago": f"for {ago}" if cell.standing == "rolling" else f"{ago} ago",
        "by": cell.by,
        "ci": cell.ci,
        "ci_address": one_line(cell.ci) if _ADDRESS.fullmatch(one_line(cell.ci)) else "",
        "revision": revision_number(cell.revision),
        "wanted": short_commit(cell.wanted),
        "uses": [
            {"name": each.name, "runs": [*map(short_commit, each.runs)], "wanted": short_commit(each.wanted)}
            for each in cell.uses
        ],
        "runs": [short_commit(each) for each in cell.runs] if len(cell.runs) > 1 else [],
        "foreign": foreign(cell.foreign),
        "crashing": cell.crashing,
        "checkout": cell.checkout,
        "override": cell.override,
        "detail": lines_of(cell.detail),
    }


def _full(cell: Cell) -> dict[str, list[str]]:
    """Return in full what the rest of the cell shortens."""
    names = {
        "commit": [cell.commit],
        "digest": [*cell.digests],
        "revision": [revision_name(cell.revision)],
        "the tier's tag names": [cell.wanted],
        "rollout begun": [f"{minute(cell.since)} UTC" if cell.since else ""],
    }
    return {what: known for what, known in names.items() if any(known)}


def _complaint(cell: Cell) -> _Values:
    """Return what is wrong, and what to do; with the place if that is not this target."""
    said = cell.complaint
    if said is None:
        return {"wrong": STANDINGS["missing"] if cell.standing == "missing" else "", "to_do": []}
    where = "" if said.where in (str(cell.target), str(cell.target.environment)) else f"{said.where}: "
    return {"wrong": where + said.what, "to_do": lines_of(said.to_do)}


def _moment(at: datetime | None) -> dict[str, str | None]:
    """Return a time in UTC for people, and one that programs can read too; {} for None."""
    return {"text": minute(at), "iso": iso(at)} if at else {}
