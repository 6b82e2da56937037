"""Tables without rules: rows of words that stand in columns. Pure geometry; rather none than one made of prose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from kb_pipeline.parsing.common.cleaning import table
from kb_pipeline.parsing.common.headings import width
from kb_pipeline.parsing.page.layout import Line

# A table has at least so many columns, in so many rows, of which so many fill that many columns.
LEAST_COLUMNS, LEAST_ROWS, LEAST_FULL = 3, 3, 2
MOST_COLUMNS = 50
# Between two columns lies at least this many letter heights, and between two rows no more than this.
GAP, MOST_LEADING = 1.0, 3.0
# Of the columns, a row fills at least this share.
FILLED = 0.6
# Cells are short, and columns of prose are not.
MOST_WIDTH = 30

Row = list[Line]
Span = tuple[float, float]


def with_aligned_tables(lines: list[Line]) -> list[Line]:
    """`lines` of one page, in which words set apart are lines of their own, with a table for each run of rows."""
    rows = _rows(lines)
    if _full(rows) < LEAST_FULL:
        return lines
    result: list[Line] = []
    start = 0
    while start < len(rows):
        run, columns = _run(rows, start)
        result += [_as_table(run, columns)] if _is_table(run) else [line for row in run for line in row]
        start += len(run)
    return result


def _rows(lines: Sequence[Line]) -> list[Row]:
    """Neighbours on one baseline, from the left to the right."""
    rows: list[Row] = []
    for line in lines:
        last = rows[-1][-1] if rows else None
        if last and _plain(last) and _plain(line) and _beside(last, line):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _plain(line: Line) -> bool:
    return not (line.table or line.oblique or line.mono)


def _beside(last: Line, line: Line) -> bool:
    return abs(last.bottom - line.bottom) < 0.3 * line.size and line.left >= last.right + GAP * line.size


def _run(rows: Sequence[Row], start: int) -> tuple[list[Row], list[Span]]:
    """The longest run of rows from `start` whose words stand in the same columns, and those."""
    run = [rows[start]]
    columns = [(line.left, line.right) for line in rows[start]]
    if not LEAST_COLUMNS <= len(columns) <= MOST_COLUMNS:
        return run, columns
    for row in rows[start + 1 :]:
        above = run[-1][0]
        if not (0 < above.bottom - row[0].bottom <= MOST_LEADING * above.size and _plain(row[0])):
            break
        wider = _widened(columns, row)
        if wider is None:
            break
        run.append(row)
        columns = wider
    return run, columns


def _widened(columns: Sequence[Span], row: Row) -> list[Span] | None:
    """The columns with a further row in them; None if it does not fit, because a word would join two columns or stand
    outside all of them, or too few are filled."""
    if not FILLED * len(columns) <= len(row) <= len(columns):
        return None
    result, filled = list(columns), set()
    for line in row:
        touched = [n for n, (left, right) in enumerate(result) if line.left < right and line.right > left]
        if len(touched) != 1 or touched[0] in filled:
            return None
        (place,) = touched
        filled.add(place)
        result[place] = (min(result[place][0], line.left), max(result[place][1], line.right))
    gap = GAP * row[0].size
    return result if all(b[0] - a[1] >= gap for a, b in pairwise(result)) else None


def _is_table(run: Sequence[Row]) -> bool:
    if len(run) < LEAST_ROWS or _full(run) < LEAST_FULL:
        return False
    return median(width(cell.text) for row in run for cell in row) <= MOST_WIDTH


def _full(rows: Sequence[Row]) -> int:
    return sum(len(row) >= LEAST_COLUMNS for row in rows)


def _as_table(run: Sequence[Row], columns: Sequence[Span]) -> Line:
    rows = []
    for row in run:
        cells = [""] * len(columns)
        for line in row:
            place = next(n for n, (left, right) in enumerate(columns) if line.left < right and line.right > left)
            cells[place] = line.text
        rows.append(cells)
    first, bottom = run[0][0], min(line.bottom for line in run[-1])
    left, right = columns[0][0], columns[-1][1]
    high = first.top - bottom
    return replace(first, text=table(rows), left=left, right=right, bottom=bottom, table=True, height=high)
