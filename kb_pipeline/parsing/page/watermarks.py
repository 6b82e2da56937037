"""Watermarks: text behind or across a page that belongs to no sentence of it. Pure decisions about lines.

Two marks of four tell one: slanted, repeated at one place on most pages, much larger than the body, faint. A grey note
on one page, a large title, and a line of the body that every page has are none.
"""

from __future__ import annotations

from collections import Counter

from kb_pipeline.parsing.page.lines import Line, body_size

OVERSIZED = 2.5
# On how many pages a mark must be for its being repeated to count, and a level one for its size alone to count too.
LEAST_PAGES, LEAST_PAGES_OVERSIZED = 2, 3
# Points; more than what programs that place things round.
SAME_PLACE = 4.0

Place = tuple[str, int, int]


def without_watermarks(lines: list[Line], pages: int) -> list[Line]:
    """`lines` without watermarks."""
    places = [_place(line) for line in lines]
    on_pages = Counter(place for place, _ in {(place, line.page) for place, line in zip(places, lines, strict=True)})
    least = max(LEAST_PAGES, pages / 2)
    candidates: dict[Place, Line] = {}
    for place, line in zip(places, lines, strict=True):
        if not line.table and (line.oblique or on_pages[place] >= least):
            candidates.setdefault(place, line)
    if not candidates:
        return lines
    oversized = OVERSIZED * body_size(lines)
    marks = {
        place
        for place, line in candidates.items()
        if line.faint
        or (line.oblique and on_pages[place] >= least)
        or (line.size >= oversized and (line.oblique or on_pages[place] >= LEAST_PAGES_OVERSIZED))
    }
    return [line for place, line in zip(places, lines, strict=True) if place not in marks]


def _place(line: Line) -> Place:
    return line.text, round(line.left / SAME_PLACE), round(line.bottom / SAME_PLACE)
