"""Cells over several rows and columns of HTML tables, put where they are seen."""

from __future__ import annotations

from lxml import etree  # type: ignore[import-untyped]

MAX_SPAN = 1000
# Cells that spans may add to the tables of a page; further ones are ignored.
MOST_ADDED = 50_000


def spread(table: etree._Element, room: int) -> int:
    """Cells over several rows are repeated in each; over several columns, empty cells follow them. At most about `room`
    are added; how many more might be comes back."""
    rows = [row for row in table.iter("tr") if next(row.iterancestors("table")) is table]
    pending: dict[int, tuple[int, etree._Element]] = {}
    for row in rows:
        column = 0
        for cell in [*row.xpath("./td | ./th"), None]:
            while column in pending:
                left, above = pending.pop(column)
                room -= 1
                copy = etree.fromstring(etree.tostring(above, with_tail=False))
                if cell is None:
                    row.append(copy)
                else:
                    cell.addprevious(copy)
                if left > 1:
                    pending[column] = (left - 1, above)
                column += 1
            if cell is None:
                break
            first, column = column, _place(cell, column, pending, spans=room > 0)
            room -= column - first - 1
        if room <= 0:
            pending.clear()
    return room


def _place(cell: etree._Element, column: int, pending: dict[int, tuple[int, etree._Element]], *, spans: bool) -> int:
    down, across = _span(cell, "rowspan"), _span(cell, "colspan")
    if not spans:
        return column + 1
    if down > 1:
        pending[column] = (down - 1, cell)
    for further in range(1, across):
        empty = etree.Element(cell.tag)
        cell.addnext(empty)
        if down > 1:
            pending[column + further] = (down - 1, empty)
    return column + across


def _span(cell: etree._Element, name: str) -> int:
    """How far a cell reaches, which the copies no longer say."""
    value = cell.attrib.pop(name, "1")
    return min(int(value), MAX_SPAN) if value.isdecimal() and int(value) else 1
