"""Lines inside a ruled grid become one table among the other lines of their page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kb_pipeline.parsing.common.cleaning import join_lines, table
from kb_pipeline.parsing.page.columns import in_rows
from kb_pipeline.parsing.page.layout import Line
from kb_pipeline.parsing.page.ruling import Grid

Cells = dict[tuple[int, int], list[Line]]


def with_tables(lines: Sequence[Line], grids: Sequence[Grid]) -> list[Line]:
    """`lines` of one page with those of each grid replaced by one table, where the first of them stood."""
    result: list[Line] = []
    placed: dict[int, Cells] = {}
    for line in lines:
        inside = next(((n, cell) for n, grid in enumerate(grids) if (cell := _cell_of(line, grid))), None)
        if inside is None or line.oblique:
            result.append(line)
            continue
        number, cell = inside
        if number not in placed:
            placed[number] = {}
            result.append(_frame(grids[number], line, number))
        placed[number].setdefault(cell, []).append(line)
    return [_filled(line, grids, placed) if line.table else line for line in result]


def _cell_of(line: Line, grid: Grid) -> tuple[int, int] | None:
    return grid.cell_at((line.left + line.right) / 2, line.bottom + line.size / 3)


def _frame(grid: Grid, line: Line, number: int) -> Line:
    left, right, bottom = grid.xs[0], grid.xs[-1], grid.ys[-1]
    high = grid.ys[0] - bottom
    return replace(line, text=str(number), left=left, right=right, bottom=bottom, table=True, height=high)


def _filled(frame: Line, grids: Sequence[Grid], placed: dict[int, Cells]) -> Line:
    number = int(frame.text)
    return frame.with_text(table_text(grids[number], placed[number]))


def table_text(grid: Grid, cells: Cells) -> str:
    """Rows of cells; what stands in a cell over several rows is said in each, over several columns in the first."""
    texts = {cell: join_lines(line.text for line in in_rows(lines)) for cell, lines in cells.items()}
    rows = []
    for owners in grid.owner:
        told: set[tuple[int, int]] = set()
        row = []
        for owner in owners:
            row.append("" if owner in told else texts.get(owner, ""))
            told.add(owner)
        rows.append(row)
    return table(rows)
