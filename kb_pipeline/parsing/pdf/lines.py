"""The text layer of a page of PDF, line by line with size and place."""

from __future__ import annotations

import re
from bisect import bisect
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace

import pypdfium2

from kb_pipeline.parsing.common.headings import width
from kb_pipeline.parsing.page.aligned_tables import GAP, with_aligned_tables
from kb_pipeline.parsing.page.columns import reading_order
from kb_pipeline.parsing.page.lines import Line
from kb_pipeline.parsing.page.ruled_tables import with_tables
from kb_pipeline.parsing.page.ruling import Grid, grids
from kb_pipeline.parsing.pdf.fields import Printed, fields_apart
from kb_pipeline.parsing.pdf.letters import Letters
from kb_pipeline.parsing.pdf.rules import page_rules

# A line is looked at for gaps if it is this many letter heights longer than its letters.
SPREAD = 3.0
_LINE = re.compile(r"[^\r\n]+")


def text_layer(page: pypdfium2.PdfPage, number: int, form: Printed | None = None) -> list[Line] | None:
    """Lines of a page's text, [] for a scan; None if it has text, but no font says which characters its letters are.
    A page on which something was filled in, a `form`, is read by place: the fields come last in the file."""
    with closing(page.get_textpage()) as content:
        text = content.get_text_range()
        matches = list(_LINE.finditer(text))
        if not matches:
            return []
        letters = Letters(content.raw, text)
        if not letters.mapped():
            return None
        if form:
            matches = [piece for match in matches for piece in fields_apart(letters, match)]
        tables, high = grids(form.rules if form else page_rules(page)), page.get_height()
        lines = []
        for match in matches:
            line = _measured(letters, match, number, high)
            if line is not None:
                lines += _in_cells(letters, match, line, tables)
    if form:
        lines = reading_order(lines)
    return with_aligned_tables(with_tables(lines, tables) if tables else lines)


def _measured(letters: Letters, match: re.Match[str], page: int, high: float) -> Line | None:
    """Size and extent of a line, from its first and last visible characters. None for a line of spaces."""
    text = match.group().rstrip()
    told = text.lstrip()
    if not told:
        return None
    end = match.start() + len(text)
    first, last = letters.index(end - len(told)), letters.index(end - 1)
    bold, mono = letters.bold_and_mono(first)
    if bold or mono:
        bold_last, mono_last = letters.bold_and_mono(last)
        bold, mono = bold and bold_last, mono and mono_last
    size, angle = letters.size_and_angle(first)
    left, right, bottom, _ = letters.room(first)
    if last != first:
        _, right, _, _ = letters.room(last)
    return Line(
        text=told,
        page=page,
        size=size,
        left=left,
        right=right,
        bottom=bottom,
        angle=angle,
        bold=bold,
        mono=mono,
        faint=letters.faint(first),
        page_height=high,
    )


def _in_cells(letters: Letters, match: re.Match[str], line: Line, tables: Sequence[Grid]) -> list[Line]:
    """A line that runs through several cells of a row, or over wide gaps, in its parts."""
    borders = _borders(line, tables) if tables else ()
    if line.oblique or not (borders or _is_spread(line)):
        return [line]
    pieces: dict[int, list[tuple[str, float, float]]] = {}
    cell, end = 0, line.left
    for place, character in enumerate(match.group(), start=match.start()):
        left, right = letters.sides(letters.index(place))
        if not character.isspace():
            apart = left - end > GAP * line.size
            cell, end = bisect(borders, (left + right) / 2) if borders else cell + apart, right
        elif not pieces:
            continue
        pieces.setdefault(cell, []).append((character, left, right))
    return [
        replace(line, text="".join(c for c, _, _ in told).strip(), left=told[0][1], right=max(r for _, _, r in told))
        for told in pieces.values()
    ]


def _borders(line: Line, tables: Sequence[Grid]) -> Sequence[float]:
    """Upright rules between cells that a line runs through."""
    height = line.bottom + line.size / 3
    return next(filter(None, (grid.borders(line.left, line.right, height) for grid in tables)), ())


def _is_spread(line: Line) -> bool:
    """Whether a line is so much longer than its letters that they must stand apart; Latin ones are half as wide as
    high. Code keeps its lines as they are."""
    room = line.right - line.left - SPREAD * line.size
    return room > 0 and not line.mono and " " in line.text and room > 0.55 * line.size * width(line.text)
