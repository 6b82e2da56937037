"""Plain text: paragraphs, list items, and titles by numbering."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, pairwise

from kb_pipeline.core.contracts import Element
from kb_pipeline.parsing.common.cleaning import clean, join_lines
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.common.headings import is_list_item, title_level, width, without_bullet

# Text wrapped by hand or by a mail program: all lines but the last come near one width, which is no narrow column.
_MIN_WRAP_WIDTH = 50
_NEAR = 0.75
_GAP = re.compile(r"\n[ \t\u3000]*\n\s*")


def parse_text(data: bytes) -> list[Element]:
    """A plain text file in any charset. Elements know where they stand in it, once it is UTF-8 with newlines."""
    text = clean(decode(data))
    found = list(_elements(text))
    places = _in_bytes(text, [place for _, start, end in found for place in (start, end)])
    return [
        replace(element, source_start=start, source_end=end)
        for (element, _, _), start, end in zip(found, places[::2], places[1::2], strict=True)
    ]


def text_elements(text: str) -> list[Element]:
    """Blocks between empty lines; a hard-wrapped block is one paragraph, otherwise each line stands for itself."""
    return [element for element, _, _ in _elements(clean(text))]


def _elements(text: str) -> Iterator[tuple[Element, int, int]]:
    """Elements with the places where they begin and end, in characters."""
    for start, lines in _blocks(text):
        for group in _paragraphs(lines):
            end = start + sum(map(len, group)) + len(group) - 1
            yield _element(group), start, end
            start = end + 1


def _element(group: Sequence[str]) -> Element:
    level = title_level(group[0]) if len(group) == 1 else None
    joined = join_lines(group)
    if level is not None:
        return Element(joined, "title", level)
    if is_list_item(group[0]):
        return Element(without_bullet(joined), "list_item")
    return Element(joined, "paragraph")


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines between empty lines, with where they begin."""
    start = 0
    for gap in _GAP.finditer(text):
        if text[start : gap.start()].strip():
            yield start, text[start : gap.start()].split("\n")
        start = gap.end()
    if text[start:].strip():
        yield start, text[start:].split("\n")


def _in_bytes(text: str, places: Sequence[int]) -> list[int]:
    """Ascending places in `text`, counted in bytes of UTF-8."""
    if text.isascii():
        return list(places)
    steps = (len(text[start:end].encode()) for start, end in pairwise((0, *places)))
    return list(accumulate(steps))


def _paragraphs(lines: list[str]) -> list[list[str]]:
    """Lines grouped into paragraphs: a line joins the one before it if that one ran up to the wrapping width."""
    widths = [width(line.rstrip()) for line in lines]
    full = max(widths)
    wrapped = full >= _MIN_WRAP_WIDTH and full <= 2 * _MIN_WRAP_WIDTH
    groups: list[list[str]] = []
    for line, before in zip(lines, [0, *widths], strict=False):
        starts = is_list_item(line) or title_level(line) is not None
        if groups and wrapped and before >= _NEAR * full and not starts:
            groups[-1].append(line)
        else:
            groups.append([line])
    return groups
