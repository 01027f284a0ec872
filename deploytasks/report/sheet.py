"""A sheet: lines and tables as values, independent of terminal, colours and width.

Text enters a sheet only through `Span`, which makes it harmless, so that no caller has to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from msgspec import Struct

from deploytasks.report.text import one_line

Tone = Literal["plain", "good", "bad", "warn", "dim", "strong"]


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of one line in one tone; `brief` replaces it in a table that lacks room, unless it is ""."""

    text: str
    tone: Tone = "plain"
    brief: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", one_line(self.text))
        object.__setattr__(self, "brief", one_line(self.brief))


Words = str | Span


class Line(Struct, frozen=True):
    """A line of spans; `indent` in characters, also of wrapped lines. A `whole` line is never wrapped, for copying."""

    spans: tuple[Span, ...] = ()
    indent: int = 0
    whole: bool = False

    @property
    def text(self) -> str:
        """Return the line without tones."""
        return " " * self.indent + "".join(span.text for span in self.spans)


class Column(Struct, frozen=True):
    """A table's column. If room is short, `whole` stays on one line, `fold` wraps and `crop` is cut."""

    name: str
    fit: Literal["whole", "fold", "crop"] = "fold"
    brief: str = ""


Entry = tuple[Span, ...]
"""The content of one cell of a table, one span per line."""


class Table(Struct, frozen=True):
    """Rows under columns; `spaced` leaves a blank line between the rows."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    spaced: bool = False


Block = Line | Table
Sheet = tuple[Block, ...]
BLANK = Line()


def span(words: Words, tone: Tone = "plain") -> Span:
    """Return the words as a span; one that is a span already keeps its tone."""
    return words if isinstance(words, Span) else Span(words, tone)


def line(*words: Words, indent: int = 0, whole: bool = False) -> Line:
    """Return a line of these words, side by side."""
    return Line(tuple(map(span, words)), indent, whole)


def entry(*words: Words) -> Entry:
    """Return a table's entry with these lines, without empty ones."""
    return tuple(each for each in map(span, words) if each.text)


def table(columns: Iterable[Column], rows: Iterable[Iterable[Words | Entry]], *, spaced: bool = False) -> Table:
    """Return the table without columns that are empty in every row."""
    columns = tuple(columns)
    filled = [tuple(each if isinstance(each, tuple) else entry(each) for each in row) for row in rows]
    kept = [at for at in range(len(columns)) if any(row[at] for row in filled)]
    return Table(
        columns=tuple(columns[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in filled),
        spaced=spaced,
    )


def stacked(*sheets: Sheet) -> Sheet:
    """Return the sheets below each other, with a blank line between those that are not empty."""
    blocks: list[Block] = []
    for sheet in filter(None, sheets):
        blocks += [BLANK, *sheet] if blocks else sheet
    return tuple(blocks)
