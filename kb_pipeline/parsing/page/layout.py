"""Measured lines to paragraphs and titles: pure decisions about a page, for formats that know no paragraphs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import groupby, pairwise
from statistics import median

from kb_pipeline.core.contracts import Box, Element, ElementKind
from kb_pipeline.parsing.common.cleaning import join_code, join_lines
from kb_pipeline.parsing.common.headings import (
    MAX_TITLE_WIDTH,
    ends_sentence,
    is_bullet,
    is_list_item,
    title_level,
    width,
    without_bullet,
)
from kb_pipeline.parsing.page.furniture import without_furniture
from kb_pipeline.parsing.page.lines import Line as Line
from kb_pipeline.parsing.page.lines import body_size, by_page

# A heading is set at least this much larger than the body.
TITLE_SIZE_RATIO = 1.15
# Sizes of one kind of heading differ by less than this, in scans.
SAME_SIZE = 0.1
# Bold lines are titles only where they are few.
BOLD_SHARE = 0.2
MAX_SIZE_LEVELS = 4
# Lines of one column start within this many letter heights: deeper than lists nest, less than a column is wide.
COLUMN_INDENT = 8
# A line shorter than this many letter heights is not taken as full, however narrow its neighbours are.
MIN_FULL_LINE = 12
MAX_CODE_GAP = 3.0
MAX_TITLE_GAP = 1.6
_INNER_END = re.compile(r"[。！？；](?=.)")


def assemble(lines: list[Line], pages: int) -> list[Element]:
    """Elements of a document from its lines in reading order: what repeats on most pages dropped, the rest joined."""
    kept = on_one_baseline(with_bullets(without_furniture(lines, pages)))
    levels = heading_levels(kept)
    grouped = [group for page in by_page(kept) for group in groups(page)]
    return [_element(group, levels) for group in with_long_titles(grouped, levels)]


def with_bullets(lines: list[Line]) -> list[Line]:
    """Bullets that the file draws apart from their items, put in front of the item on the same height. A mark that does
    not begin its row is text, as in a table."""
    begins: dict[tuple[int, int], list[Line]] = {}
    for line in lines:
        begins.setdefault((line.page, round(line.bottom)), []).append(line)
    items: set[int] = set()
    bullets: set[int] = set()
    for row in begins.values():
        first, *others = sorted(row, key=lambda line: line.left) if len(row) > 1 else row
        if is_bullet(first.text):
            bullets.add(id(first))
            items |= {id(line) for line in others[:1]}
    return [
        replace(line, text=f"• {line.text}") if id(line) in items else line for line in lines if id(line) not in bullets
    ]


def on_one_baseline(lines: list[Line]) -> list[Line]:
    """Neighbours on the same baseline (words set apart, cells of a row) put together again."""
    merged: list[Line] = []
    for line in lines:
        before = merged[-1] if merged else None
        if before and before.page == line.page and not _apart(before, line) and _same_row(before, line):
            merged[-1] = replace(before, text=f"{before.text} {line.text}", right=line.right)
        else:
            merged.append(line)
    return merged


def _apart(before: Line, line: Line) -> bool:
    return line.oblique or line.table or before.table


def _same_row(before: Line, line: Line) -> bool:
    return abs(before.bottom - line.bottom) < 0.3 * line.size and line.left >= before.right - 0.5 * line.size


@dataclass(frozen=True, slots=True)
class Levels:
    """Heading level of each rounded font size that is clearly larger than the body's, 1 for the largest; `bold` is that
    of bold lines of the body's size, None where much of the body is bold. `above_outline`: by how
    much a line lies deeper than the document's outline says, as below a title that the outline leaves out."""

    by_size: Mapping[int, int]
    bold: int | None
    above_outline: int = 0

    def of(self, line: Line) -> int | None:
        """The level that a line's letters give it."""
        return self.by_size.get(round(line.size)) or (self.bold if line.bold else None)

    def of_group(self, group: Sequence[Line]) -> int | None:
        """The level that all lines of a group are given, None if they differ."""
        levels = {self.of(line) for line in group}
        return levels.pop() if len(levels) == 1 else None


def heading_levels(lines: list[Line]) -> Levels:
    """What size and weight of letters say about titles in a document."""
    told = [line for line in lines if not line.table]
    body = body_size(told)
    large = [line.size for line in told if line.size >= TITLE_SIZE_RATIO * body and _may_be_title(line, line.text)]
    by_size = _ranked(large)
    bold = sum(len(line.text) for line in told if line.bold and round(line.size) not in by_size)
    rare = bold <= BOLD_SHARE * sum(len(line.text) for line in told)
    return Levels(by_size, max(by_size.values(), default=0) + 1 if rare else None, _above_outline(told, by_size))


def _above_outline(lines: Sequence[Line], by_size: Mapping[int, int]) -> int:
    named = [line for line in lines if line.outline is not None]
    highest = min((line.outline or 1 for line in named), default=1)
    return min((by_size.get(round(line.size), 1) for line in named if line.outline == highest), default=1) - highest


def _ranked(sizes: list[float]) -> dict[int, int]:
    """A level for each rounded size, 1 for the largest; sizes that differ by less than SAME_SIZE are one."""
    levels: dict[int, int] = {}
    level, largest = 0, 0.0
    for size in sorted(sizes, reverse=True):
        if not level or size < (1 - SAME_SIZE) * largest:
            level, largest = level + 1, size
        levels.setdefault(round(size), min(level, MAX_SIZE_LEVELS))
    return levels


def _may_be_title(line: Line, text: str) -> bool:
    return (
        abs(line.angle) < 5
        and width(text) <= MAX_TITLE_WIDTH
        and not ends_sentence(text)
        and not _INNER_END.search(text)
        and any(map(str.isalpha, text))
    )


def groups(page: list[Line]) -> list[list[Line]]:
    """Lines of one page grouped: code by its font, tables alone, the rest into paragraphs."""
    grouped = []
    for mono, run in groupby(page, key=lambda line: line.mono):
        lines = list(run)
        grouped += _code_blocks(lines) if mono else paragraphs(lines)
    return grouped


def with_long_titles(grouped: list[list[Line]], levels: Levels) -> list[list[Line]]:
    """Groups with large lines close below one another put together: a title that takes two lines."""
    result: list[list[Line]] = []
    for group in grouped:
        above = result[-1][-1] if result else None
        if above and len(result[-1]) == 1 and len(group) == 1 and _is_one_title(above, group[0], levels):
            result[-1] = [above, group[0]]
        else:
            result.append(group)
    return result


def _is_one_title(above: Line, line: Line, levels: Levels) -> bool:
    level = levels.by_size.get(round(above.size))
    alike = level is not None and level == levels.by_size.get(round(line.size)) and above.page == line.page
    close = 0 < above.bottom - line.bottom <= MAX_TITLE_GAP * above.size
    return alike and close and title_level(line.text) is None and not (above.table or line.table)


def _code_blocks(lines: list[Line]) -> list[list[Line]]:
    """Lines of code, parted where more than an empty line lies between them."""
    blocks = [[lines[0]]]
    for above, line in pairwise(lines):
        if 0 < above.bottom - line.bottom <= MAX_CODE_GAP * above.size:
            blocks[-1].append(line)
        else:
            blocks.append([line])
    return blocks


def paragraphs(page: list[Line]) -> list[list[Line]]:
    """Lines of one page grouped: a line continues the one above if set alike, close below it, and that one is full."""
    gaps = [a.bottom - b.bottom for a, b in pairwise(page) if 0 < a.bottom - b.bottom < 3 * a.size]
    leading = median(gaps) if gaps else 0.0
    edge = cache(lambda left, size: _right_edge(page, left, size))
    groups: list[list[Line]] = []
    for line in page:
        if groups and _continues(groups[-1][-1], line, leading, edge):
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups


def _continues(above: Line, line: Line, leading: float, edge: Callable[[float, float], float]) -> bool:
    if (
        above.table
        or line.table
        or above.outline != line.outline
        or above.bold != line.bold
        or abs(above.size - line.size) > 0.1 * above.size
        or abs(above.angle - line.angle) > 5
    ):
        return False
    gap = above.bottom - line.bottom
    if not 0 < gap <= 1.3 * max(leading, above.size) or line.left > above.left + 1.2 * line.size:
        return False
    if above.right - above.left < MIN_FULL_LINE * above.size:
        return False
    if is_list_item(line.text) or title_level(line.text) is not None:
        return False
    # The line above is full if the first word of this one had no room left on it.
    word = re.match(r"[\x21-\x7e\u00a1-\u024f]*", line.text)
    room = line.size * max(2.0, 0.6 * min(len(word.group()) if word else 0, 20))
    return above.right >= edge(above.left, above.size) - room


def _right_edge(page: list[Line], left: float, size: float) -> float:
    """Right edge of the column that a line stands in: the furthest end among lines of its size that start near it."""
    near = COLUMN_INDENT * size
    return max(o.right for o in page if abs(o.left - left) <= near and abs(o.size - size) <= 0.1 * size)


def _element(group: list[Line], levels: Levels) -> Element:
    kind, level, text = _told(group, levels)
    return Element(text, kind, level, group[0].page, _box(group))


def _told(group: list[Line], levels: Levels) -> tuple[ElementKind, int | None, str]:
    first = group[0]
    if first.table:
        return "table", None, first.text
    if first.mono:
        return "code", None, join_code(line.text for line in group)
    text = join_lines(line.text for line in group)
    if first.outline is not None:
        return "title", first.outline + levels.above_outline, text
    by_letters = levels.of_group(group) if len(group) <= 2 and _may_be_title(first, text) else None
    level = by_letters or (title_level(text) if len(group) == 1 else None)
    if level is not None:
        return "title", level, text
    if is_list_item(first.text):
        return "list_item", None, without_bullet(text)
    return "paragraph", None, text


def _box(group: list[Line]) -> Box | None:
    """What the lines cover together, counted from the upper left corner; None for a page of unknown height."""
    height = group[0].page_height
    if not height:
        return None
    left, right, top, bottom = group[0].left, group[0].right, group[0].top, group[0].bottom
    for line in group[1:]:
        left, right = min(left, line.left), max(right, line.right)
        top, bottom = max(top, line.top), min(bottom, line.bottom)
    return Box(group[0].page, round(left, 1), round(height - top, 1), round(right, 1), round(height - bottom, 1))
