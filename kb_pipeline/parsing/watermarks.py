"""Watermarks: text behind or across a page that belongs to no sentence of it. Pure decisions but for the colour, which
is asked for where it decides.

Two marks of four tell one: slanted, repeated at one place on most pages, much larger than the body, faint. A grey note
on one page, a large title, and a line of the body that every page has are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from kb_pipeline.parsing.layout import MIN_PAGES_FOR_WATERMARK, SAME_HEIGHT, Line

OVERSIZED = 2.5
# Fewer pages than this are no "most pages" for level text.
LEAST_PAGES = 3

Place = tuple[str, int, int]


def without_watermarks(lines: list[Line], pages: int, is_faint: Callable[[Line], bool]) -> list[Line]:
    """`lines` without watermarks; `is_faint` is asked once a text and place that may be one."""
    on_pages = Counter(place for place, _ in {(_place(line), line.page) for line in lines})
    level, slanted = max(LEAST_PAGES, pages / 2), max(MIN_PAGES_FOR_WATERMARK, pages / 2)
    candidates: dict[Place, Line] = {}
    for line in lines:
        if not line.table and (line.oblique or on_pages[_place(line)] >= level):
            candidates.setdefault(_place(line), line)
    if not candidates:
        return lines
    body = _body_size(lines)
    marks = {
        place
        for place, line in candidates.items()
        if (line.oblique and on_pages[place] >= slanted) or line.size >= OVERSIZED * body or is_faint(line)
    }
    return [line for line in lines if _place(line) not in marks]


def _place(line: Line) -> Place:
    return line.text, round(line.left / SAME_HEIGHT), round(line.bottom / SAME_HEIGHT)


def _body_size(lines: Sequence[Line]) -> int:
    """The size that most characters of level lines are set in."""
    characters: Counter[int] = Counter()
    for line in lines:
        if not line.oblique:
            characters[round(line.size)] += len(line.text)
    return max(characters, key=characters.__getitem__, default=0)
