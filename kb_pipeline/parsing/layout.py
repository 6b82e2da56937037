"""Measured lines to paragraphs and titles: pure decisions about a page, for formats that know no paragraphs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from statistics import median

from kb_pipeline.contracts import Element
from kb_pipeline.parsing.cleaning import join_lines
from kb_pipeline.parsing.headings import MAX_TITLE_WIDTH, ends_sentence, is_list_item, title_level, width

# Fewer pages cannot show what repeats.
MIN_PAGES_FOR_FURNITURE = 3
EDGE_LINES = 2
# A heading is set at least this much larger than the text most characters are set in.
TITLE_SIZE_RATIO = 1.15
MAX_SIZE_LEVELS = 4


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page. Lengths in points, from the page's lower left corner; `oblique` text is neither level nor
    upright, as watermarks are."""

    text: str
    page: int
    size: float
    left: float
    right: float
    bottom: float
    oblique: bool = False


def assemble(lines: list[Line], pages: int) -> list[Element]:
    """Elements of a document from its lines in reading order: what repeats on most pages dropped, the rest joined."""
    kept = on_one_baseline(without_furniture(lines, pages))
    levels = size_levels(kept)
    return [_element(group, levels) for page in _by_page(kept) for group in paragraphs(page)]


def without_furniture(lines: list[Line], pages: int) -> list[Line]:
    """Without page headers, footers and watermarks: lines at a page's edge, or oblique ones, that most pages share.

    Digits are all alike in the comparison, because page numbers differ.
    """
    if pages < MIN_PAGES_FOR_FURNITURE:
        return lines
    edge = {id(line) for page in _by_page(lines) for line in _edge(page)}
    shared = Counter(text for text, _ in {(_pattern(line), line.page) for line in lines if id(line) in edge})
    most = max(MIN_PAGES_FOR_FURNITURE, pages / 2)
    return [line for line in lines if id(line) not in edge or shared[_pattern(line)] < most]


def _edge(page: list[Line]) -> list[Line]:
    ordered = sorted(page, key=lambda line: line.bottom)
    return ordered[:EDGE_LINES] + ordered[-EDGE_LINES:] + [line for line in page if line.oblique]


def _pattern(line: Line) -> str:
    return re.sub(r"\d+", "0", line.text)


def _by_page(lines: list[Line]) -> list[list[Line]]:
    return [list(group) for _, group in groupby(lines, key=lambda line: line.page)]


def on_one_baseline(lines: list[Line]) -> list[Line]:
    """Neighbours on the same baseline (words set apart, cells of a row) put together again."""
    merged: list[Line] = []
    for line in lines:
        before = merged[-1] if merged else None
        if before and before.page == line.page and not line.oblique and _same_row(before, line):
            merged[-1] = replace(before, text=f"{before.text} {line.text}", right=line.right)
        else:
            merged.append(line)
    return merged


def _same_row(before: Line, line: Line) -> bool:
    return abs(before.bottom - line.bottom) < 0.3 * line.size and line.left >= before.right - 0.5 * line.size


def size_levels(lines: list[Line]) -> Mapping[float, int]:
    """Heading level of each rounded font size that is clearly larger than the body's, 1 for the largest."""
    characters: Counter[float] = Counter()
    for line in lines:
        characters[round(line.size)] += len(line.text)
    if not characters:
        return {}
    body = characters.most_common(1)[0][0]
    large = {round(line.size) for line in lines if line.size >= TITLE_SIZE_RATIO * body and _may_be_title(line.text)}
    return {size: min(rank, MAX_SIZE_LEVELS) for rank, size in enumerate(sorted(large, reverse=True), start=1)}


def _may_be_title(text: str) -> bool:
    return width(text) <= MAX_TITLE_WIDTH and not ends_sentence(text) and any(c.isalpha() for c in text)


def paragraphs(page: list[Line]) -> list[list[Line]]:
    """Lines of one page grouped: a line continues the one above if set alike, close below it, and that one is full."""
    gaps = [a.bottom - b.bottom for a, b in pairwise(page) if 0 < a.bottom - b.bottom < 3 * a.size]
    leading = median(gaps) if gaps else 0.0
    groups: list[list[Line]] = []
    for line in page:
        if groups and _continues(groups[-1][-1], line, leading, _right_edge(page, groups[-1][-1])):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _continues(above: Line, line: Line, leading: float, edge: float) -> bool:
    if abs(above.size - line.size) > 0.1 * above.size or above.oblique != line.oblique:
        return False
    if is_list_item(line.text) or title_level(line.text) is not None or title_level(above.text) is not None:
        return False
    gap = above.bottom - line.bottom
    if not 0 < gap <= 1.3 * max(leading, above.size) or line.left > above.left + 1.2 * line.size:
        return False
    # The line above is full if the first word of this one had no room left on it.
    word = re.match(r"[\x21-\x7e\u00a1-\u024f]*", line.text)
    room = line.size * max(2.0, 0.6 * min(len(word.group()) if word else 0, 20))
    return above.right >= edge - room


def _right_edge(page: list[Line], line: Line) -> float:
    """Right edge of the column `line` stands in: the furthest end among lines that start about where it does."""
    return max(other.right for other in page if abs(other.left - line.left) <= 4 * line.size)


def _element(group: list[Line], levels: Mapping[float, int]) -> Element:
    text, first = join_lines(line.text for line in group), group[0]
    by_size = levels.get(round(first.size)) if len(group) <= 2 and _may_be_title(text) else None
    level = by_size or (title_level(text) if len(group) == 1 else None)
    if level is not None:
        return Element(text, "title", level, page=first.page)
    return Element(text, "list_item" if is_list_item(first.text) else "paragraph", page=first.page)
