"""Render sheets with rich, for a terminal. Only `live.py` imports it besides; `fit.py` and `plain.py` measure with it.

Everything is passed as `Text`, so that rich takes nothing for markup, an emoji's name or something to highlight.
"""

from typing import TextIO

from msgspec import Struct
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from deploytasks.report.fit import GAP, fitted
from deploytasks.report.sheet import Block, Column, Entry, Line, Sheet, Span, Table, Tone
from deploytasks.report.streams import silence

_STYLES: dict[Tone, str] = {
    "plain": "",
    "good": "green",
    "bad": "bold red",
    "warn": "yellow",
    "dim": "dim",
    "strong": "bold",
}


class Terminal(Console):
    """Rich's console on a stream of ours. If the reader goes away, it falls silent and the command goes on."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(file=stream, highlight=False, markup=False, emoji=False)
        self._reader = stream

    def put(self, sheet: Sheet) -> None:
        """Print the sheet; leave it to the terminal to wrap whole lines."""
        self.print(painted(sheet), crop=False)

    def on_broken_pipe(self) -> None:
        """Write nothing from now on."""
        self.quiet = True
        silence(self._reader)


def painted(sheet: Sheet) -> Group:
    """Return the sheet as something that rich can print."""
    return Group(*map(_block, sheet))


class _Fitted(Struct, frozen=True):
    """A table that is laid out when it is printed: only then is the width known."""

    table: Table

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for block in fitted(self.table, options.max_width):
            yield _table(block) if isinstance(block, Table) else _line(block)


def _block(block: Block) -> Text | Padding | _Fitted:
    match block:
        case Line():
            return _line(block)
        case Table():
            return _Fitted(block)


def _line(line: Line) -> Text | Padding:
    text = Text(no_wrap=line.whole, overflow="ignore" if line.whole else "fold").join(map(_text, line.spans))
    return Padding(text, (0, 0, 0, line.indent), expand=False) if line.indent else text


def _table(table: Table) -> RichTable:
    rich = RichTable(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="dim")
    rich.show_header = any(column.name for column in table.columns)
    for column in table.columns:
        name = Text(column.name, no_wrap=True, overflow="ellipsis")
        rich.add_column(name, no_wrap=column.fit == "whole", overflow="fold" if column.fit == "fold" else "ellipsis")
    for at, row in enumerate(table.rows, start=1):
        cells = [_cell(column, each) for column, each in zip(table.columns, row, strict=True)]
        rich.add_row(*cells)
        if table.spaced and at < len(table.rows):
            rich.add_row()
    return rich


def _cell(column: Column, entry: Entry) -> Text:
    if column.fit == "crop":  # rich cuts text that may not wrap in a column that may shrink
        return Text("\n", no_wrap=True, overflow="ellipsis").join(map(_text, entry))
    return Text("\n").join(map(_text, entry))


def _text(span: Span) -> Text:
    return Text(span.text, style=_STYLES[span.tone])
