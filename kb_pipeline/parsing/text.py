"""Plain text: paragraphs, list items, and titles by numbering."""

from __future__ import annotations

import re

from kb_pipeline.contracts import Element
from kb_pipeline.parsing.cleaning import clean, join_lines
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.headings import is_list_item, title_level, width, without_bullet

# Text wrapped by hand or by a mail program: all lines but the last come near one width, which is no narrow column.
_MIN_WRAP_WIDTH = 50
_NEAR = 0.75


def parse_text(data: bytes) -> list[Element]:
    """A plain text file in any charset."""
    return text_elements(decode(data))


def text_elements(text: str) -> list[Element]:
    """Blocks between empty lines; a hard-wrapped block is one paragraph, otherwise each line stands for itself."""
    elements = []
    for lines in _blocks(clean(text)):
        for group in _paragraphs(lines):
            level = title_level(group[0]) if len(group) == 1 else None
            joined = join_lines(group)
            if level is not None:
                elements.append(Element(joined, "title", level))
            elif is_list_item(group[0]):
                elements.append(Element(without_bullet(joined), "list_item"))
            else:
                elements.append(Element(joined, "paragraph"))
    return elements


def _blocks(text: str) -> list[list[str]]:
    return [piece.split("\n") for piece in re.split(r"\n[ \t\u3000]*\n\s*", text) if piece.strip()]


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
