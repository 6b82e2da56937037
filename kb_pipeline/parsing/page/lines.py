"""Lines of a page as they were measured: what layouts of pages are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby

# Of the characters of a document, the body has at least this share.
BODY_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a page. Lengths in points, from the page's lower left corner, the page `page_height` high; `angle` in
    degrees, 0 for level text; `faint`: in a light colour, or the page shows through.

    `table`: a whole table instead, its rows in `text`; `height` is that of a table, else the letters' size is taken.
    `outline`: the level at which the document's own outline names it.
    """

    text: str
    page: int
    size: float
    left: float
    right: float
    bottom: float
    angle: float = 0.0
    bold: bool = False
    mono: bool = False
    faint: bool = False
    table: bool = False
    height: float = 0.0
    page_height: float = 0.0
    outline: int | None = None

    @property
    def top(self) -> float:
        """Its upper edge."""
        return self.bottom + (self.height or self.size)

    def with_text(self, text: str) -> Line:
        """The same place with another text."""
        return replace(self, text=text)

    @property
    def oblique(self) -> bool:
        """Neither level nor at a right angle, as watermarks are."""
        return 5 < self.angle % 90 < 85


def by_page(lines: Iterable[Line]) -> list[list[Line]]:
    """Lines in order, parted where a page ends."""
    return [list(group) for _, group in groupby(lines, key=lambda line: line.page)]


def body_size(lines: Iterable[Line]) -> int:
    """The size, rounded, of the body: the largest that carries a good share of the characters, for listings, which are
    smaller, may outweigh it."""
    characters: Counter[int] = Counter()
    for line in lines:
        if not (line.table or line.oblique):
            characters[round(line.size)] += len(line.text)
    common = BODY_SHARE * characters.total()
    return max((size for size, count in characters.items() if count >= common), default=0)
