"""Markdown straight from the parser's events: no HTML is made, and none is parsed but what a file holds itself."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from html import escape
from itertools import groupby
from typing import Any

import pyromark

from kb_pipeline.core.contracts import Element, ElementKind
from kb_pipeline.parsing.common.cleaning import join_lines
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.common.elements import table_elements
from kb_pipeline.parsing.common.fragments import fragment_elements, inline_text
from kb_pipeline.parsing.text.pipe_tables import set_apart

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_TABLE_TAG = re.compile(r"<(/?)table\b", re.IGNORECASE)
_HARD_BREAK = "\v"
_INLINE = frozenset(("Text", "Code", "InlineHtml", "SoftBreak", "HardBreak", "+Image", "-Image"))
_MARKS = frozenset(sign + mark for mark in ("Emphasis", "Strong", "Link") for sign in "+-")
# What a block inside a table of HTML becomes, where only the text of its cells counts.
_TAGS = {"Paragraph": "p", "Item": "li", "Heading": "p", "CodeBlock": "pre", "TableRow": "p", "TableHead": "p"}

Event = tuple[str, Any]


def parse_markdown(data: bytes) -> list[Element]:
    """A Markdown file; YAML front matter becomes one paragraph, not a heading."""
    text = decode(data).replace("\r\n", "\n").replace("\x00", "").replace(_HARD_BREAK, "\n")
    matter = _FRONT_MATTER.match(text)
    if matter is None:
        return _Reader(text).elements()
    before, front = len(matter.group().encode()), matter.group(1)
    start = len(matter.group().partition(front)[0].encode())
    elements = [Element(front, "paragraph", source_start=start, source_end=start + len(front.encode()))]
    return elements + _Reader(text[matter.end() :], before).elements()


def _event(event: Any) -> Event:
    """Name and value: `+Heading` and `-Heading` where one begins and ends."""
    if isinstance(event, str):
        return event, None
    ((name, value),) = event.items()
    if name in ("Start", "End"):
        tag, value = (value, None) if isinstance(value, str) else next(iter(value.items()))
        name = ("+" if name == "Start" else "-") + tag
    return name, value


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a paragraph. Of a picture, its text; `said` tells whether the author wrote more than white space."""

    text: str
    said: bool = True
    is_picture: bool = False


class _Reader:
    """One walk over the events of a text, as GitHub renders it: with tables. `kind` is what the next text is: each
    block that begins sets it. `before` is how many bytes of the file stand before the text."""

    def __init__(self, text: str, before: int = 0) -> None:
        apart, self.added = set_apart(text)
        options = pyromark.Options.ENABLE_TABLES
        pairs = list(pyromark.events_with_range(apart, options=options, merge_text=True))
        self.events = [_event(event) for event, _ in pairs]
        self.ranges = [range_ for _, range_ in pairs]
        self.before = before
        self.place = 0
        self.unclosed = False
        self.kind: ElementKind = "paragraph"
        self.level: int | None = None

    def elements(self) -> list[Element]:
        found: list[Element] = []
        while self.place < len(self.events):
            first = self.place
            if elements := self._next():
                start = self._in_file(self.ranges[first]["start"])
                end = self._in_file(self.ranges[self.place - 1]["end"])
                found += [replace(element, source_start=start, source_end=end) for element in elements]
        return found

    def _in_file(self, place: int) -> int:
        return self.before + place - bisect_left(self.added, place)

    def _next(self) -> Sequence[Element]:
        if pieces := self._pieces():
            kind, level = self.kind, self.level
            self.kind, self.level = "paragraph", None
            return list(_text_elements(pieces, kind, level))
        name, value = self._take()
        if name == "+Heading":
            self.kind, self.level = "title", int(value["level"][1:])
        elif name == "+Item":
            self.kind = "list_item"
        elif name in ("-Item", "-Heading"):
            self.kind, self.level = "paragraph", None
        elif name == "+CodeBlock":
            return [Element("".join(self._values("-CodeBlock")), "code")]
        elif name == "+Table":
            return table_elements(list(self._rows()), None)
        elif name == "+HtmlBlock":
            return fragment_elements(self._markup())
        return ()

    def _take(self) -> Event:
        self.place += 1
        return self.events[self.place - 1]

    def _pieces(self) -> list[_Piece]:
        """The text that begins here, up to where a block begins or ends."""
        found: list[_Piece] = []
        while self.place < len(self.events):
            name, value = self.events[self.place]
            if name not in _INLINE and name not in _MARKS:
                break
            self.place += 1
            if name == "+Image":
                found.append(_Piece(self._picture(), is_picture=True))
            elif name in _INLINE:
                found.append(_piece(name, value))
        return found

    def _picture(self) -> str:
        """The text of a picture, after its beginning; another one in it is a word of it."""
        found: list[_Piece] = []
        while (event := self._take())[0] != "-Image":
            if event[0] == "+Image":
                found.append(_Piece(self._picture()))
            elif event[0] in _INLINE:
                found.append(_piece(*event))
        return _shown(found)

    def _values(self, end: str) -> Iterator[str]:
        while (event := self._take())[0] != end:
            yield event[1]

    def _rows(self) -> Iterator[list[str]]:
        row: list[str] = []
        while (name := self._take()[0]) != "-Table":
            if name == "+TableCell":
                row.append(_shown(self._pieces()))
            elif name in ("-TableHead", "-TableRow"):
                yield row
                row = []

    def _markup(self) -> str:
        """The HTML that begins here. CommonMark ends it at an empty line; neighbours are put together again, and a
        table is read to its end, with what stands in its cells as Markdown."""
        alone = "".join(self._values("-HtmlBlock"))
        end, missing, inside = self.place, _open_tables(alone), False
        while end < len(self.events):
            name, value = self.events[end]
            if name == "Html":
                missing += _open_tables(value)
            elif name == "+HtmlBlock":
                inside = True
            elif not inside and (missing <= 0 or self.unclosed):
                break
            elif name == "-HtmlBlock":
                inside = False
            end += 1
        else:
            if missing > 0 and not self.unclosed:  # a table that never ends: what follows is no part of it
                self.unclosed = True
                return alone
        first, self.place = self.place, end
        return alone + "".join(map(_as_html, self.events[first:end]))


def _open_tables(markup: str) -> int:
    return sum(-1 if closing else 1 for closing in _TABLE_TAG.findall(markup))


def _as_html(event: Event) -> str:
    name, value = event
    if name in ("Html", "InlineHtml"):
        return str(value)
    if name in ("Text", "Code"):
        return escape(value)
    if name[0] in "+-" and name[1:] in _TAGS:
        return f"<{'/' if name[0] == '-' else ''}{_TAGS[name[1:]]}>"
    return " " if name in ("SoftBreak", "HardBreak", "-TableCell") else ""


def _piece(name: str, value: str) -> _Piece:
    if name == "SoftBreak":
        return _Piece("\n", said=False)
    if name == "HardBreak":
        return _Piece(_HARD_BREAK, said=False)
    if name == "InlineHtml":
        return _Piece(inline_text(value))
    return _Piece(value, said=not value.isspace())


def _text_elements(pieces: Sequence[_Piece], kind: ElementKind, level: int | None) -> Iterator[Element]:
    """Lines of nothing but pictures are the pictures' texts; a picture in a sentence is a word of it."""
    if kind == "title" or not any(piece.is_picture for piece in pieces):
        yield Element(_shown(pieces), kind, level)
        return
    for pictured, lines in groupby(_lines(pieces), _only_pictures):
        line = [piece for line in lines for piece in line]
        if pictured:
            yield from (Element(piece.text, "image_text") for piece in line if piece.is_picture)
        else:
            yield Element(_shown(line), kind, level)


def _lines(pieces: Iterable[_Piece]) -> Iterator[list[_Piece]]:
    line: list[_Piece] = []
    for piece in pieces:
        line.append(piece)
        if piece.text in ("\n", _HARD_BREAK) and not piece.said:
            yield line
            line = []
    yield line


def _only_pictures(line: Sequence[_Piece]) -> bool:
    said = [piece for piece in line if piece.said]
    return bool(said) and all(piece.is_picture for piece in said)


def _shown(pieces: Iterable[_Piece]) -> str:
    """Text as a reader sees it: lines joined, breaks and tags as blanks, pictures as words."""
    text = "".join(piece.text for piece in pieces)
    if "\n" not in text and _HARD_BREAK not in text:
        return text
    return " ".join(join_lines(part.split("\n")) for part in text.split(_HARD_BREAK))
