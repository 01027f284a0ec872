"""Render the table: a row per tenant (and service, if there are several), a column per tier in promotion order."""

from deploytasks.model import Board, Cell
from deploytasks.report.page.cell import table_cell
from deploytasks.report.page.markup import Content, Html, element, joined, lines

_Row = tuple[str, str]
"""Tenant and service; the service is "" if the board has only one."""


def table(board: Board) -> Html:
    """Return the whole board as a table; every cell has a row and a column header, for screen readers."""
    services = {cell.target.service for cell in board.cells}
    several = len(services) > 1
    caption = f"What runs where: {'tenants and services' if several else 'tenants'} down, tiers across"
    head = element("tr", *(element("th", each, scope="col") for each in ("tenant", *board.tiers)))
    body = element("tbody", lines(*_rows(board, several=several)))
    return element("table", lines(element("caption", caption), element("thead", lines(head)), body))


def _rows(board: Board, *, several: bool) -> list[Html]:
    cells = {(_row(cell, several=several), cell.target.environment.tier): cell for cell in board.cells}
    names = list(dict.fromkeys(row for row, _ in cells))
    firsts = {tenant: row for row in reversed(names) for tenant in row[:1]}
    return [
        element(
            "tr",
            lines(_head(row), *(table_cell(cells.get((row, tier)), tier, board.at) for tier in board.tiers)),
            class_="first" if several and firsts[row[0]] == row else None,
        )
        for row in names
    ]


def _row(cell: Cell, *, several: bool) -> _Row:
    return cell.target.environment.tenant, cell.target.service if several else ""


def _head(row: _Row) -> Html:
    tenant, service = row
    names: list[Content] = [element("bdi", tenant), element("bdi", service, class_="service") if service else None]
    return element("th", joined(*names, by=" "), scope="row")
