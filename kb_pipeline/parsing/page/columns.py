"""The order in which a page's lines are read, where their order in the file does not tell. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from kb_pipeline.parsing.page.layout import Line

# A gutter is at least this many letter heights wide, and hardly any line crosses it.
GUTTER = 0.7
CROSSING_SHARE, CROSSING_LEAST = 0.15, 3
# It lies within this middle part of the text, and columns have at least so many lines.
MIDDLE = (0.2, 0.8)
LEAST_LINES = 4
_STEPS = 200


def reading_order(lines: Sequence[Line]) -> list[Line]:
    """Lines of one page from the top down, column by column where the page has columns.

    A line across the gutter (a title, a table over the whole width) ends the columns above it.
    """
    ordered = sorted(lines, key=lambda line: (-line.top, line.left))
    gutter = find_gutter(ordered)
    if gutter is None:
        return in_rows(ordered)
    result: list[Line] = []
    left: list[Line] = []
    right: list[Line] = []
    for line in ordered:
        if line.left < gutter < line.right:
            result += [*reading_order(left), *reading_order(right), line]
            left, right = [], []
        else:
            (left if line.right <= gutter else right).append(line)
    return [*result, *reading_order(left), *reading_order(right)]


def find_gutter(lines: Sequence[Line]) -> float | None:
    """Where the widest gap between two columns is, None if the lines stand in one."""
    if len(lines) < 2 * LEAST_LINES:
        return None
    start, end = min(line.left for line in lines), max(line.right for line in lines)
    step = (end - start) / _STEPS
    if step <= 0:
        return None
    crossing = [0] * _STEPS
    for line in lines:
        for place in range(max(0, round((line.left - start) / step)), min(_STEPS, round((line.right - start) / step))):
            crossing[place] += 1
    most = max(CROSSING_LEAST, CROSSING_SHARE * len(lines))
    gaps = [gap for gap in _runs([count <= most for count in crossing]) if _is_middle(gap)]
    least = GUTTER * median(line.size for line in lines)
    for begin, stop in sorted(gaps, key=lambda gap: gap[0] - gap[1]):
        middle = start + step * (begin + stop) / 2
        if (stop - begin) * step >= least and _divides(lines, middle):
            return middle
    return None


def _is_middle(gap: tuple[int, int]) -> bool:
    return MIDDLE[0] * _STEPS <= (gap[0] + gap[1]) / 2 <= MIDDLE[1] * _STEPS


def _divides(lines: Sequence[Line], gutter: float) -> bool:
    """Whether there are columns left and right of it, beside one another."""
    left = [line for line in lines if line.right <= gutter]
    right = [line for line in lines if line.left >= gutter]
    if min(len(left), len(right)) < LEAST_LINES:
        return False
    overlap = min(left[0].top, right[0].top) - max(left[-1].bottom, right[-1].bottom)
    return overlap > 0.5 * min(left[0].top - left[-1].bottom, right[0].top - right[-1].bottom)


def _runs(flags: Sequence[bool]) -> list[tuple[int, int]]:
    runs, begin = [], None
    for place, flag in enumerate([*flags, False]):
        if flag and begin is None:
            begin = place
        elif not flag and begin is not None:
            runs.append((begin, place))
            begin = None
    return runs


def in_rows(lines: Sequence[Line]) -> list[Line]:
    """Lines from the top down; those that stand beside one another from the left."""
    result: list[Line] = []
    row: list[Line] = []
    for line in sorted(lines, key=lambda line: (-line.top, line.left)):
        if row and (line.top + line.bottom) / 2 < row[0].bottom:
            result += sorted(row, key=lambda beside: beside.left)
            row = []
        row.append(line)
    return [*result, *sorted(row, key=lambda beside: beside.left)]
