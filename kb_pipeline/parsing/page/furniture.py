"""What surrounds the text of every page: headers, footers, page numbers. Pure decisions about lines.

A line of the body must never go for being like another: what repeats counts at the edge of a page alone, and numbers in
it count as alike only if they count the pages.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence

from kb_pipeline.parsing.page.lines import Line, body_size, by_page

# So many rows at either end of a page are its edge.
EDGE_ROWS = 2
# Points; what is set by a program stands at one height, a scan is a little off.
SAME_HEIGHT = 4.0
# Two pages prove something in the margin, three elsewhere, if it is at least this far out.
MARGIN_SHARE, OUTER_SHARE = 0.09, 0.16
LEAST_PAGES_IN_MARGIN, LEAST_PAGES = 2, 3
# Larger letters are titles, whose numbers count chapters.
LARGE = 1.15
# Of the pages, this share at least must bear the number that is expected there.
COUNTING_SHARE = 0.6
_NUMBER = re.compile(r"\d+")
_END = re.compile(r"^\d+(?!\S)|(?<!\S)\d+$")
MOST_DIGITS = 7
_ROMAN = re.compile(r"[ivxlc]+")
_ROMAN_VALUES = {"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}
_PAGE_NUMBER = re.compile(
    r"第\s*\d+\s*页(?:\s*[/,，]?\s*共\s*\d+\s*页)?|page\s+\d+(?:\s+of\s+\d+)?|[-–—]\s*\d+\s*[-–—]"
    r"|\d+\s*/\s*\d+",
    re.IGNORECASE,
)


def without_furniture(lines: list[Line], pages: int) -> list[Line]:
    """Without page headers, footers and page numbers. Where nothing else would be left, all stays."""
    ends = [line for page in by_page(lines) for line in _ends(page) if not (line.oblique or line.table)]
    edge = [line for line in ends if _is_outside(line, OUTER_SHARE)]
    margin = [line for line in edge if line.page_height and _is_outside(line, MARGIN_SHARE)]
    body = body_size(lines)
    small = LARGE * body
    furniture = {id(line) for line in ends if _PAGE_NUMBER.fullmatch(line.text)}
    if pages >= LEAST_PAGES:
        least = max(LEAST_PAGES, pages / 2)
        furniture |= _shared(edge, lambda line: (line.text, line.size > small), least)
        furniture |= _counting([line for line in edge if line.size <= small], least)
        # Pages that are much alike may share notes at their feet.
        repeated = [line for line in margin if line.size < body and 2 * line.bottom > line.page_height]
    else:
        repeated = margin
    least = max(LEAST_PAGES_IN_MARGIN, pages / 2)
    furniture |= _shared(repeated, lambda line: (line.text, _height(line)), least)
    inside = [line for line in margin if line.size <= small]
    furniture |= _counting(inside, least) | _slots(inside, least)
    return [line for line in lines if id(line) not in furniture] or lines


def _ends(page: list[Line]) -> list[Line]:
    """The lines of the first and last rows of a page."""
    heights = sorted({_height(line) for line in page})
    ends = {*heights[:EDGE_ROWS], *heights[-EDGE_ROWS:]}
    return [line for line in page if _height(line) in ends]


def _height(line: Line) -> int:
    return round(line.bottom / SAME_HEIGHT)


def _is_outside(line: Line, share: float) -> bool:
    margin = share * line.page_height
    return line.bottom < margin or line.top > line.page_height - margin


def _shared(lines: list[Line], alike: Callable[[Line], Hashable], least: float) -> set[int]:
    """Ids of the lines whose like stands on at least so many pages."""
    on_pages = Counter(name for name, _ in {(alike(line), line.page) for line in lines})
    return {id(line) for line in lines if on_pages[alike(line)] >= least}


def _counting(lines: Iterable[Line], least: float) -> set[int]:
    """Ids of the lines that are alike on so many pages but for a number, which counts the pages."""
    groups: dict[str, list[Line]] = {}
    for line in lines:
        pattern = "0" if _ROMAN.fullmatch(line.text) else _NUMBER.sub("0", line.text)
        groups.setdefault(pattern, []).append(line)
    return {
        id(line)
        for group in groups.values()
        if len({line.page for line in group}) >= least and _counts_pages(group)
        for line in group
    }


def _counts_pages(lines: Sequence[Line]) -> bool:
    """Whether one of the numbers in the lines is that of the page, counted from wherever."""
    ahead = Counter(ahead for line in lines for ahead in {number - line.page for number in _numbers(line.text)})
    return bool(ahead) and ahead.most_common(1)[0][1] >= COUNTING_SHARE * len(lines)


def _numbers(text: str) -> list[int]:
    """The numbers in a line, or the Roman one that it is."""
    if not _ROMAN.fullmatch(text):
        return [int(number) for number in _NUMBER.findall(text) if len(number) < MOST_DIGITS]
    values = [_ROMAN_VALUES[letter] for letter in text]
    return [sum(-value if value < after else value for value, after in zip(values, [*values[1:], 0], strict=True))]


def _slots(margin: Iterable[Line], least: float) -> set[int]:
    """Ids of the lines at a height of the margin where most pages have one: with the number of the page among them, or
    with few different texts, as headers that name the chapter."""
    rows: dict[int, dict[int, list[Line]]] = {}
    for line in margin:
        rows.setdefault(_height(line), {}).setdefault(line.page, []).append(line)
    return {
        id(line)
        for row in rows.values()
        if len(row) >= least and (_is_numbered(row) or _is_repetitive(row))
        for line in (line for found in row.values() for line in found)
    }


def _is_numbered(row: dict[int, list[Line]]) -> bool:
    """Whether the lines begin or end with the number of the page, counted from wherever."""
    ahead = Counter(
        ahead
        for page, found in row.items()
        for ahead in {int(end) - page for line in found for end in _END.findall(line.text) if len(end) < MOST_DIGITS}
    )
    return bool(ahead) and ahead.most_common(1)[0][1] >= COUNTING_SHARE * len(row)


def _is_repetitive(row: dict[int, list[Line]]) -> bool:
    texts = {"\n".join(line.text for line in found) for found in row.values()}
    return len(row) >= LEAST_PAGES and len(texts) <= len(row) / 2
