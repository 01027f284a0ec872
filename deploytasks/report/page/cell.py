"""Render one target on the page: what runs there, since when, its rollout, and what deserves a look."""

import re
from collections.abc import Iterator
from datetime import datetime

from deploytasks.model import Cell
from deploytasks.report.marks import EVIDENCE, STANDINGS, foreign
from deploytasks.report.page.markup import Content, Html, element, joined
from deploytasks.report.page.words import MEANINGS, Word, gravest, rank, token, tone, words
from deploytasks.report.text import age, iso, lines_of, minute, one_line, revision_name, revision_number, short_commit

_ADDRESS = re.compile(r"https?://[^\s<>\"']+", re.IGNORECASE)


def table_cell(cell: Cell | None, tier: str, at: datetime) -> Html:
    """Return the table's cell for the tier's target; None gives an empty one. `at` is the board's time."""
    if cell is None:
        content = (element("span", "–", aria_hidden="true"), element("span", "no such environment", class_="spoken"))
        return element("td", *content, class_="absent", data_tier=tier, data_rank=str(rank(cell)))
    said = [_flags(cell), *_look(cell, at), _complaint(cell)]
    return element("td", element("div", *said), class_=gravest(cell), data_tier=tier, data_rank=str(rank(cell)))


def when(at: datetime) -> Html:
    """Return a time in UTC that programs can read too."""
    return element("time", minute(at), datetime=iso(at))


def _look(cell: Cell, at: datetime) -> list[Content]:
    if cell.standing in STANDINGS:
        return []
    return [_image(cell), _certified(cell), _state(cell, at), *_remarks(cell)]


def _flags(cell: Cell) -> Content:
    flags = [_flag(word) for word in words(cell)]
    return element("p", joined(*flags, by=" "), class_="flags") if flags else None


def _flag(word: Word) -> Html:
    return element("span", word, class_=f"flag {tone(word)}", data_word=token(word), title=MEANINGS[word])


def _image(cell: Cell) -> Html:
    """Return what runs, shortened; it opens to everything that the cell shortens in full."""
    known = cell.commit or next(iter(cell.digests), "")
    code = element("code", short_commit(known), title=known) if known else "image not known"
    said = element("span", joined(code, _isolated(cell.subject), by=" "), title=cell.subject)
    full = tuple(_in_full(cell))
    if not full:
        return element("p", said, class_="image")
    return element("details", element("summary", said), element("dl", *full), class_="image")


def _in_full(cell: Cell) -> Iterator[Html]:
    """Yield in full what the rest of the cell shortens."""
    names = {
        "commit": [cell.commit],
        "digest": cell.digests,
        "revision": [revision_name(cell.revision)],
        "the tier's tag names": [cell.wanted],
        "rollout begun": [f"{minute(cell.since)} UTC" if cell.since else ""],
    }
    for what, known in names.items():
        if any(known):
            yield element("div", element("dt", what), *(element("dd", element("code", each)) for each in known))


def _certified(cell: Cell) -> Content:
    at = joined("certified ", when(cell.certified_at)) if cell.certified_at else None
    return _line(element("code", cell.release) if cell.release else None, at)


def _ci(ci: str) -> Content:
    address = one_line(ci)
    if not _ADDRESS.fullmatch(address):
        return joined("from ", _isolated(ci)) if ci else None
    return element("a", "CI run", href=address, title=address, rel="noopener noreferrer")


def _state(cell: Cell, at: datetime) -> Content:
    how = "" if cell.evidence in ("seen", None) else f", {cell.evidence}"
    tasks = f"{cell.running}/{cell.desired} running{how}"
    return _line(
        element("abbr", tasks, title=EVIDENCE[cell.evidence] if cell.evidence else None),
        None if cell.desired else "no task is desired",
        _stands(cell, at),
        joined(_by(cell), _ci(cell.ci), by=" "),
        f"revision {revision_number(cell.revision)}" if cell.revision else None,
    )


def _stands(cell: Cell, at: datetime) -> Html:
    if cell.since is None:
        return joined(cell.standing)
    ago = f"for {age(cell.since, at)}" if cell.standing == "rolling" else f"{age(cell.since, at)} ago"
    began = element("time", ago, datetime=iso(cell.since))
    return joined(cell.standing, began, by=" ")


def _by(cell: Cell) -> Content:
    return joined("by ", _isolated(cell.by)) if cell.by else None


def _line(*pieces: Content) -> Content:
    """Return the pieces side by side, each kept whole if there is room; None if all are empty."""
    said = [element("span", each) for each in pieces if each and each != Html("")]
    return element("p", joined(*said, by=" "), class_="line") if said else None


def _remarks(cell: Cell) -> list[Content]:
    """Return the remarks below the state, with None for each that does not apply."""
    differing = [element("code", short_commit(each)) for each in cell.runs] if len(cell.runs) > 1 else []
    return [
        element("p", "the tier's tag names ", element("code", short_commit(cell.wanted))) if cell.wanted else None,
        element("p", "its tasks run ", joined(*differing, by=" and ")) if differing else None,
        element("p", f"foreign: {foreign(cell)}") if cell.foreign else None,
        element("p", f"drifted: {cell.checkout}") if cell.checkout else None,
        element("p", "gate overridden: ", _isolated(cell.override)) if cell.override else None,
        *(element("p", each, class_="why") for each in lines_of(cell.detail)),
    ]


def _complaint(cell: Cell) -> Content:
    """Return what is wrong, and what to do; with the place if that is not this target."""
    said = cell.complaint
    if said is None:
        return element("p", STANDINGS["missing"], class_="why") if cell.standing == "missing" else None
    where = "" if said.where in (str(cell.target), str(cell.target.environment)) else f"{said.where}: "
    to_do = [element("p", each) for each in lines_of(said.to_do)]
    return joined(element("p", where + said.what, class_="why"), *to_do)


def _isolated(text: str) -> Content:
    """Return text whose writing direction does not affect the text around it."""
    return element("bdi", text) if text else None
