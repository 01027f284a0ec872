"""A sheet: lines and tables as values, laid out but not yet painted. It knows no terminal, colour code or width.

Text enters a sheet only through `Span`, which makes it harmless, so no caller has to think of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from deploytasks.model import Outcome
from deploytasks.report.text import one_line

Tone = Literal["plain", "good", "bad", "warn", "dim", "strong"]
OUTCOME_TONES: dict[Outcome, Tone] = {
    "deployed": "good",
    "unchanged": "dim",
    "started": "good",
    "rolled back": "bad",
    "superseded": "warn",
    "paused": "warn",
    "timed out": "bad",
    "failed": "bad",
    "unhealthy": "bad",
    "not attempted": "warn",
}


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line in one tone; `brief` is what stands for it in a table that lacks room, if anything does."""

    text: str
    tone: Tone = "plain"
    brief: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", one_line(self.text))
        object.__setattr__(self, "brief", one_line(self.brief))


Words = str | Span


@dataclass(frozen=True, slots=True)
class Line:
    """A line of spans; `indent` in characters, kept where the line is wrapped. A `whole` one can be copied as one."""

    spans: tuple[Span, ...] = ()
    indent: int = 0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column. Where room is short, `whole` stays on one line, `fold` wraps and `crop` is cut."""

    name: str
    fit: Literal["whole", "fold", "crop"] = "fold"
    brief: str = ""


Entry = tuple[Span, ...]
"""What stands in one place of a table, a line a span."""


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under columns; `spaced` leaves a blank line between the rows."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    spaced: bool = False


Block = Line | Table
Sheet = tuple[Block, ...]
BLANK = Line()


def span(words: Words, tone: Tone = "plain") -> Span:
    """The words as a span; one that is a span already keeps its tone."""
    return words if isinstance(words, Span) else Span(words, tone)


def line(*words: Words, indent: int = 0, whole: bool = False) -> Line:
    """A line of these words, set side by side."""
    return Line(tuple(map(span, words)), indent, whole)


def entry(*words: Words) -> Entry:
    """A table's entry of these lines, without the empty ones."""
    return tuple(each for each in map(span, words) if each.text)


def table(columns: Iterable[Column], rows: Iterable[Iterable[Words | Entry]], *, spaced: bool = False) -> Table:
    """The table without those columns that say nothing in any row."""
    columns = tuple(columns)
    filled = [tuple(each if isinstance(each, tuple) else entry(each) for each in row) for row in rows]
    kept = [at for at in range(len(columns)) if any(row[at] for row in filled)]
    return Table(
        columns=tuple(columns[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in filled),
        spaced=spaced,
    )


def stacked(*sheets: Sheet) -> Sheet:
    """The sheets below each other, a blank line between those that say something."""
    blocks: list[Block] = []
    for sheet in filter(None, sheets):
        blocks += [BLANK, *sheet] if blocks else sheet
    return tuple(blocks)
