"""Choose what the page says: the values that `board.html.j2` lays out. Pure."""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from deploytasks.model import Board, Cell, Mark, Standing
from deploytasks.report.board import counts, headline
from deploytasks.report.locks import held, locked
from deploytasks.report.marks import EVIDENCE, STANDINGS, WORDS, Tone, foreign
from deploytasks.report.text import age, iso, lines_of, minute, one_line, revision_name, revision_number, short_commit

_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)
_TONES: tuple[Tone, ...] = ("bad", "warn", "info", "good")


def view(board: Board) -> dict[str, Any]:
    """Return the values of the template, by the names that it uses."""
    services = {cell.target.service for cell in board.cells}
    number = counts(board)
    return {
        "project": board.project,
        "at": _moment(board.at),
        "headline": headline(board),
        "counts": [{**flag(word), "count": number[word]} for word in WORDS if word in number],
        "notes": (*board.notes, *map(locked, board.locks), *map(held, board.holds)),
        "tiers": board.tiers,
        "several": len(services) > 1,
        "rows": [*_rows(board, several=len(services) > 1)],
        "legend": [flag(word) for word in WORDS],
        "evidence": {word: meaning for word, meaning in EVIDENCE.items() if word != "seen"},
    }


def flag(word: Mark | Standing) -> dict[str, str]:
    """Return one of the board's words; `token` is how the filter takes it after `is:`, without blanks."""
    return {
        "word": word,
        "meaning": WORDS[word].meaning,
        "tone": WORDS[word].tone,
        "token": word.lower().replace(" ", "-"),
    }


def rank(cell: Cell | None) -> int:
    """Return the target's sort key: the gravest first, then targets that are well, then those that don't exist."""
    if cell is None:
        return len(WORDS) + 1
    return min((WORDS[word].gravity for word in _words(cell)), default=len(WORDS))


def _words(cell: Cell) -> tuple[Mark | Standing, ...]:
    """Return what deserves a second look at the target; () if all is well."""
    return ((cell.standing,) if cell.standing in STANDINGS else ()) + cell.marks


def _rows(board: Board, *, several: bool) -> Iterator[dict[str, Any]]:
    """Yield a row per tenant, and per service if there are several; `first` is a tenant's first row of several."""
    cells = {(_row(cell, several=several), cell.target.environment.tier): cell for cell in board.cells}
    seen: set[str] = set()
    for tenant, service in dict.fromkeys(row for row, _ in cells):
        beside = [(tier, cells.get(((tenant, service), tier))) for tier in board.tiers]
        shown = [_target(tier, cell, board.at) for tier, cell in beside]
        yield {"tenant": tenant, "service": service, "first": several and tenant not in seen, "targets": shown}
        seen.add(tenant)


def _row(cell: Cell, *, several: bool) -> tuple[str, str]:
    return cell.target.environment.tenant, cell.target.service if several else ""


def _target(tier: str, cell: Cell | None, at: datetime) -> dict[str, Any]:
    """Return one target: `exists` and `looked_at` say what else there is."""
    if cell is None:
        return {"tier": tier, "rank": rank(cell), "tone": "absent", "exists": False}
    flags = [flag(word) for word in _words(cell)]
    looked_at = cell.standing not in STANDINGS
    return {
        "tier": tier,
        "rank": rank(cell),
        "exists": True,
        "tone": min((each["tone"] for each in flags), key=_TONES.index, default="good"),
        "flags": flags,
        "looked_at": looked_at,
        **(_seen(cell, at) if looked_at else {}),
        **_complaint(cell),
    }


def _seen(cell: Cell, at: datetime) -> dict[str, Any]:
    known = cell.commit or next(iter(cell.digests), "")
    how = "" if cell.evidence in ("seen", None) else f", {cell.evidence}"
    rolling = cell.standing == "rolling"
    return {
        "known": known,
        "short": short_commit(known),
        "subject": cell.subject,
        "full": _full(cell),
        "release": cell.release,
        "certified": _moment(cell.certified_at),
        "tasks": f"{cell.running}/{cell.desired} running{how}",
        "desired": cell.desired,
        "evidence": EVIDENCE[cell.evidence] if cell.evidence else "",
        "standing": cell.standing,
        "since": iso(cell.since),
        "ago": f"for {age(cell.since, at)}" if rolling else f"{age(cell.since, at)} ago",
        "by": cell.by,
        "ci": cell.ci,
        "ci_address": one_line(cell.ci) if _ADDRESS.fullmatch(one_line(cell.ci)) else "",
        "revision": revision_number(cell.revision),
        "wanted": short_commit(cell.wanted),
        "runs": [short_commit(each) for each in cell.runs] if len(cell.runs) > 1 else [],
        "foreign": foreign(cell),
        "crashing": cell.crashing,
        "checkout": cell.checkout,
        "override": cell.override,
        "detail": lines_of(cell.detail),
    }


def _full(cell: Cell) -> Mapping[str, list[str]]:
    """Return in full what the rest of the cell shortens."""
    names = {
        "commit": [cell.commit],
        "digest": [*cell.digests],
        "revision": [revision_name(cell.revision)],
        "the tier's tag names": [cell.wanted],
        "rollout begun": [f"{minute(cell.since)} UTC" if cell.since else ""],
    }
    return {what: known for what, known in names.items() if any(known)}


def _complaint(cell: Cell) -> dict[str, Any]:
    """Return what is wrong, and what to do; with the place if that is not this target."""
    said = cell.complaint
    if said is None:
        return {"wrong": STANDINGS["missing"] if cell.standing == "missing" else "", "to_do": []}
    where = "" if said.where in (str(cell.target), str(cell.target.environment)) else f"{said.where}: "
    return {"wrong": where + said.what, "to_do": lines_of(said.to_do)}


def _moment(at: datetime | None) -> dict[str, str | None]:
    """Return a time in UTC for people, and one that programs can read too; {} for None."""
    return {"text": minute(at), "iso": iso(at)} if at else {}
