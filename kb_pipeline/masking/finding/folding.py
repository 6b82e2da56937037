"""One spelling for what looks alike, so that patterns can be written in ASCII.

Fullwidth letters, digits and signs, the decimal digits of every script, odd spaces and hyphens become their ASCII
twins; characters without width are left out. Offsets lead back to the text as it was.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

_WITHOUT_WIDTH = "\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff"
_INVISIBLE = re.compile(f"[{_WITHOUT_WIDTH}]")
_SIGNS = {
    **dict.fromkeys((*map(chr, range(0x2000, 0x200B)), "\u00a0", "\u1680", "\u202f", "\u205f", "\u3000"), " "),
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212\ufe63\uff0d", "-"),
    **dict.fromkeys("\uff20\ufe6b", "@"),
    **dict.fromkeys("\uff0e\u2024\ufe52", "."),
    "\uff0b": "+",
    "\uff3f": "_",
    "\uff04": "$",
    "\ufe69": "$",
    "\uffe5": "¥",
    "\uffe1": "£",
}
_LETTERS = {chr(0xFF00 + code - 0x20): chr(code) for code in range(0x21, 0x7F) if chr(code).isalnum()}
# Beyond the second plane Unicode has no digits.
_DIGITS = {digit: str(int(digit)) for digit in map(chr, range(0x80, 0x20000)) if digit.isdecimal()}
_TWINS = {**_SIGNS, **_LETTERS, **_DIGITS}
_IN_FIRST_PLANE = re.escape("".join(sign for sign in _TWINS if ord(sign) < 0x10000))
# The second plane whole: with a list of its digits the search takes ten times as long.
_ODD = re.compile(f"[{_WITHOUT_WIDTH}{_IN_FIRST_PLANE}\U00010000-\U0001ffff]")


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` to search in; `origin[i]` is where its i-th character stands in the original (None: at i)."""

    text: str
    origin: tuple[int, ...] | None

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Offsets into the original of text[start:end], whatever has no width inside it included."""
        if self.origin is None:
            return start, end
        return self.origin[start], self.origin[end - 1] + 1


def fold(text: str) -> Folded:
    """`text` in one spelling. Text that is ASCII already is returned as it is."""
    if text.isascii() or not _ODD.search(text):
        return Folded(text, None)
    origin: tuple[int, ...] | None = None
    if _INVISIBLE.search(text):
        origin = tuple(place for place, character in enumerate(text) if not _INVISIBLE.match(character))
        text = _INVISIBLE.sub("", text)
    return Folded(text.translate(_table()), origin)


@cache
def _table() -> dict[int, str]:
    return str.maketrans(_TWINS)
