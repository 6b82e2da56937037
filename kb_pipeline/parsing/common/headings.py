"""Titles in plain text: by their numbering alone, because nothing else in a text file says that a line is a title."""

from __future__ import annotations

import re

# A title is short and does not end as a sentence or a list item does. Width counts a CJK character as two.
MAX_TITLE_WIDTH = 80
_WIDE = re.compile("[\u2e80-\U0010ffff]+")
_ENDS_SENTENCE = re.compile(r"[。．.!！?？;；,，:：、…]$")
_NUMERAL = "[〇零一二三四五六七八九十百千两0-9０-９]"
_PATTERNS = (
    (1, re.compile(rf"^第\s*{_NUMERAL}+\s*[编篇卷章](?!\S{{0,3}}[第至到])")),
    (2, re.compile(rf"^第\s*{_NUMERAL}+\s*节")),
    (3, re.compile(rf"^第\s*{_NUMERAL}+\s*条")),
    (2, re.compile(r"^[一二三四五六七八九十]{1,3}、")),
    (3, re.compile(r"^[（(][一二三四五六七八九十]{1,3}[）)]")),
    (1, re.compile(r"^(?:chapter|part|appendix)\s+(?:\d+|[IVXL]+|[A-Z])\b", re.IGNORECASE)),
)
_DECIMAL = re.compile(r"^([1-9]\d?(?:\.[1-9]\d?){1,4})\.?\s*(?=[^\d\s.,%])(?![年月日号元万亿倍米吨个])")
# Any of them: most lines have no number, and are done with one look.
_NUMBERED = re.compile(
    "|".join(
        f"(?i:{pattern.pattern})" if pattern.flags & re.IGNORECASE else pattern.pattern
        for pattern in (*(pattern for _, pattern in _PATTERNS), _DECIMAL)
    )
)
_BULLETS = "•·●○■□▪◦‣➢✓\uf0b7\uf0a7\uf0d8\uf06c"
_BULLETS_ALONE = frozenset(_BULLETS)
_LEADING_BULLET = re.compile(rf"^\s*(?:[{_BULLETS}]\s*|[-*+–—]\s+)")
_LIST_ITEM = re.compile(
    rf"^\s*(?:[{_BULLETS}]\s*|[-*+–—]\s+|[(（]?\d{{1,2}}[)）.、](?!\d)\s*|[a-zA-Z][)）]\s+|[①-⑳]\s*)(?=\S)"
)


def width(text: str) -> int:
    """Columns a line takes in a fixed-width font."""
    return len(text) if text.isascii() else 2 * len(text) - len(_WIDE.sub("", text))


def ends_sentence(line: str) -> bool:
    """Ends in a mark that a title does not end in."""
    return _ENDS_SENTENCE.search(line[-2:]) is not None


def title_level(line: str) -> int | None:
    """Level of a numbered heading (第一章 1, 第二节 2, 一、 2, 1.1 2, 1.1.1 3), None if the line is none."""
    line = line.strip()
    if not _NUMBERED.match(line) or width(line) > MAX_TITLE_WIDTH or ends_sentence(line):
        return None
    for level, pattern in _PATTERNS:
        if pattern.match(line):
            return level
    decimal = _DECIMAL.match(line)
    return decimal.group(1).count(".") + 1 if decimal else None


def is_bullet(text: str) -> bool:
    """Nothing but the mark of a list item."""
    return text.strip() in _BULLETS_ALONE


def without_bullet(text: str) -> str:
    """A list item without its bullet; numbers and letters stay, since they are referred to."""
    return _LEADING_BULLET.sub("", text, count=1)


def is_list_item(line: str) -> bool:
    """A bullet, or one number or letter followed by a mark."""
    return _LIST_ITEM.match(line) is not None
