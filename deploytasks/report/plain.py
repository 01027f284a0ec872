"""Render sheets as text without colour, for a stdout that is not a terminal.

Rich would do the same, but takes a millisecond for each row of a table, and 15 to be imported.
"""

from collections.abc import Iterable, Iterator
from itertools import zip_longest

from rich.cells import cell_len

from deploytasks.report.fit import GAP
from deploytasks.report.sheet import Block, Line, Sheet, Table


def plain(sheet: Sheet) -> str:
    """Return the sheet as text; tables take the width that they need, lines stay whole."""
    return "".join(f"{line.rstrip()}\n" for block in sheet for line in _lines(block))


def _lines(block: Block) -> Iterable[str]:
    match block:
        case Line():
            return (block.text,)
        case Table(columns=()):
            return ("",)
        case Table():
            return _table(block)


def _table(table: Table) -> Iterator[str]:
    names = [(column.name,) for column in table.columns]
    headers = [names] if any(column.name for column in table.columns) else []
    rows = headers + [[tuple(span.text for span in entry) for entry in row] for row in table.rows]
    widths = [max(cell_len(text) for entry in column for text in (*entry, "")) for column in zip(*rows, strict=True)]
    for at, row in enumerate(rows):
        if table.spaced and at > len(headers):
            yield ""
        for texts in list(zip_longest(*row, fillvalue="")) or [()]:
            cells = (text + " " * (width - cell_len(text)) for text, width in zip(texts, widths, strict=False))
            yield (" " * GAP).join(cells)
