"""The outline of a PDF (its bookmarks): what its author calls headings, and how they are nested."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import pypdfium2
import pypdfium2.raw as pdfium

from kb_pipeline.parsing.page.layout import Line

MOST_BOOKMARKS, DEEPEST = 5000, 8
# What stands before a heading on the page and is often left out of its bookmark.
_NUMBER = re.compile(r"^(?:\d+(?:\.\d+)*\.?|[IVXLC]+\.|[A-Z]\.(?:\d+\.?)*)")


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One entry: its level, from 1, and the height on the page it leads to, if it says so."""

    level: int
    height: float | None


# By page and by the text as `alike` gives it.
Outline = Mapping[int, Mapping[str, Bookmark]]


def outline(document: pypdfium2.PdfDocument) -> Outline:
    """The bookmarks of a document."""
    found: dict[int, dict[str, Bookmark]] = {}
    for bookmark in islice(document.get_toc(max_depth=DEEPEST), MOST_BOOKMARKS):
        target = bookmark.get_dest()
        page = target.get_index() if target else None
        text = alike(bookmark.get_title())
        if page is not None and text:
            one = Bookmark(bookmark.level + 1, _height(*target.get_view()))
            found.setdefault(page + 1, {}).setdefault(text, one)
    return found


def _height(mode: int, edges: Sequence[float | None]) -> float | None:
    """The upper edge of what a destination shows, as its kind tells it."""
    place = {pdfium.PDFDEST_VIEW_XYZ: 1, pdfium.PDFDEST_VIEW_FITH: 0, pdfium.PDFDEST_VIEW_FITR: 3}.get(mode)
    return edges[place] if place is not None and place < len(edges) else None


def alike(text: str) -> str:
    """A title however it is spaced and spelled."""
    return "".join((text if text.isascii() else unicodedata.normalize("NFKC", text)).split()).casefold()


def with_outline(lines: list[Line], found: Outline) -> list[Line]:
    """`lines` with the level of those, or pairs of them, that a bookmark of their page names; of several like it, the
    one that it leads to."""
    if not found:
        return lines
    named: dict[tuple[int, str], tuple[tuple[float, float], int, Line]] = {}
    for place, line in enumerate(lines):
        titles = found.get(line.page)
        if not titles or line.table:
            continue
        below = lines[place + 1] if place + 1 < len(lines) else None
        for title, whole in _titled(line, below, titles):
            bookmark = titles[title]
            rank = (abs(line.top - bookmark.height) if bookmark.height is not None else 0.0, -line.size)
            one = (rank, place, replace(whole, outline=bookmark.level))
            named[line.page, title] = min(named.get((line.page, title), one), one, key=lambda each: each[0])
    titled = {place: line for _, place, line in named.values()}
    joined = {place + 1 for place, line in titled.items() if line.height}
    return [titled.get(place, line) for place, line in enumerate(lines) if place not in joined]


def _titled(line: Line, below: Line | None, titles: Mapping[str, Bookmark]) -> Iterator[tuple[str, Line]]:
    """The titles that a line bears alone, and as the first half of one that ends in the line `below`."""
    text = alike(line.text)
    if title := _title(text, titles):
        yield title, line
    if below and below.page == line.page and not below.table and (title := _title(text + alike(below.text), titles)):
        yield title, _both(line, below)


def _title(text: str, titles: Mapping[str, Bookmark]) -> str | None:
    return next((name for name in (text, _NUMBER.sub("", text)) if name in titles), None)


def _both(line: Line, below: Line) -> Line:
    """A title on two lines as one."""
    return replace(
        line,
        text=f"{line.text} {below.text}",
        left=min(line.left, below.left),
        right=max(line.right, below.right),
        bottom=below.bottom,
        height=line.top - below.bottom,
    )
