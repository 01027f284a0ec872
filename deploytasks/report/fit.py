"""Fit a table to a width: as it is, else with its brief texts, else as one paragraph per row.

Nothing is left out, except that a table with a `crop` column loses that column and stays at one line per row.
"""

from msgspec.structs import replace
from rich.cells import cell_len

from deploytasks.report.sheet import Column, Entry, Line, Sheet, Span, Table

GAP = 2
_NARROWEST_FOLD = 12
_NARROWEST_CROP = 10


def fitted(table: Table, width: int) -> Sheet:
    """Return what to show of the table on a screen of that width."""
    if _width(table, fold_at=width) <= width:
        return (table,)
    brief = _brief(table)
    if _width(brief, fold_at=_NARROWEST_FOLD) <= width:
        return (brief,)
    if any(column.fit == "crop" for column in table.columns):
        return (_without_crop(brief),)
    return tuple(line for row in table.rows for line in _paragraph(table.columns, row))


def _width(table: Table, fold_at: int) -> int:
    widths = [_column_width(table, at, fold_at) for at in range(len(table.columns))]
    return sum(widths) + GAP * (len(widths) - 1)


def _column_width(table: Table, at: int, fold_at: int) -> int:
    spans = [span for row in table.rows for span in row[at]]
    natural = max([cell_len(table.columns[at].name), *(cell_len(span.text) for span in spans)])
    narrowest = {"whole": natural, "fold": fold_at, "crop": _NARROWEST_CROP}
    return min(natural, narrowest[table.columns[at].fit])


def _brief(table: Table) -> Table:
    return replace(
        table,
        columns=tuple(replace(column, name=column.brief or column.name) for column in table.columns),
        rows=tuple(
            tuple(tuple(Span(span.brief or span.text, span.tone) for span in entry) for entry in row)
            for row in table.rows
        ),
    )


def _without_crop(table: Table) -> Table:
    kept = [at for at, column in enumerate(table.columns) if column.fit != "crop"]
    return replace(
        table,
        columns=tuple(table.columns[at] for at in kept),
        rows=tuple(tuple(row[at] for at in kept) for row in table.rows),
    )


def _paragraph(columns: tuple[Column, ...], row: tuple[Entry, ...]) -> Sheet:
    """Return the row's first entry and, indented below it, the other columns' entries after their names."""
    said: list[Span] = []
    for column, entry in zip(columns[1:], row[1:], strict=True):
        for at, span in enumerate(entry):
            said += [Span(", " if at else f"{'  ' if said else ''}{column.name} ", "dim"), span]
    name = Line((Span(", ".join(span.text for span in row[0]), "strong"),))
    return (name, Line(tuple(said), indent=4)) if said else (name,)
