"""Markdown straight from the parser's tokens: no HTML is made, and none is parsed but what a file holds itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby

from markdown_it import MarkdownIt
from markdown_it.token import Token

from kb_pipeline.contracts import Element, ElementKind
from kb_pipeline.parsing.cleaning import join_lines
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.elements import table_elements
from kb_pipeline.parsing.fragments import fragment_elements, inline_text

# As GitHub renders it. The nesting allowed by default, 20, is less than 10 lists deep.
_MARKDOWN = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table")
_MARKDOWN.normalizeLink = lambda url: url  # type: ignore[method-assign] # targets are not kept
_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_TABLE_TAG = re.compile(r"<(/?)table\b", re.IGNORECASE)
_HARD_BREAK = "\v"


def parse_markdown(data: bytes) -> list[Element]:
    """A Markdown file; YAML front matter becomes one paragraph, not a heading."""
    text = decode(data).replace("\r\n", "\n").replace("\x00", "").replace(_HARD_BREAK, "\n")
    matter = _FRONT_MATTER.match(text)
    elements = [Element(matter.group(1), "paragraph")] if matter else []
    return elements + _Reader(_MARKDOWN.parse(text[matter.end() :] if matter else text)).elements()


class _Reader:
    """One walk over the tokens of a file. `kind` is what the next text is: each block token that opens sets it."""

    def __init__(self, tokens: Sequence[Token]) -> None:
        self.tokens = tokens
        self.place = 0
        self.unclosed = False

    def elements(self) -> list[Element]:
        found: list[Element] = []
        kind: ElementKind = "paragraph"
        level = None
        while self.place < len(self.tokens):
            token = self.tokens[self.place]
            self.place += 1
            if token.type == "inline":
                found += _text_elements(token, kind, level)
                kind, level = "paragraph", None
            elif token.type == "heading_open":
                kind, level = "title", int(token.tag[1:])
            elif token.type == "list_item_open":
                kind = "list_item"
            elif token.type == "list_item_close":
                kind = "paragraph"
            elif token.type in ("fence", "code_block"):
                found.append(Element(token.content, "code"))
            elif token.type == "table_open":
                found += table_elements(list(self._rows()), None)
            elif token.type == "html_block":
                found += fragment_elements(self._markup())
        return found

    def _rows(self) -> Iterator[list[str]]:
        row: list[str] = []
        while self.tokens[self.place].type != "table_close":
            token = self.tokens[self.place]
            self.place += 1
            if token.type == "inline":
                row.append(_shown(token.children or ()))
            elif token.type == "tr_close":
                yield row
                row = []

    def _markup(self) -> str:
        """The HTML that began one token before. CommonMark ends it at an empty line; neighbours are put together again,
        and a table is read to its end, with what stands in its cells as Markdown."""
        first, end, missing = self.place - 1, self.place, _open_tables(self.tokens[self.place - 1].content)
        while end < len(self.tokens):
            token = self.tokens[end]
            if token.type == "html_block":
                missing += _open_tables(token.content)
            elif missing <= 0 or self.unclosed:
                break
            end += 1
        else:
            if missing > 0 and not self.unclosed:  # a table that never ends: what follows is no part of it
                self.unclosed = True
                return self.tokens[first].content
        self.place = end
        markup: str = _MARKDOWN.renderer.render(self.tokens[first:end], _MARKDOWN.options, {})
        return markup


def _open_tables(markup: str) -> int:
    return sum(-1 if closing else 1 for closing in _TABLE_TAG.findall(markup))


def _text_elements(inline: Token, kind: ElementKind, level: int | None) -> Iterator[Element]:
    """Lines of nothing but pictures are the pictures' texts; a picture in a sentence is a word of it."""
    children = inline.children or []
    if kind == "title" or not any(child.type == "image" for child in children):
        yield Element(_shown(children), kind, level)
        return
    for pictured, lines in groupby(_lines(children), _only_pictures):
        line = [child for line in lines for child in line]
        if pictured:
            yield from (Element(_shown([child]), "image_text") for child in line if child.type == "image")
        else:
            yield Element(_shown(line), kind, level)


def _lines(children: Sequence[Token]) -> Iterator[list[Token]]:
    line: list[Token] = []
    for child in children:
        line.append(child)
        if child.type in ("softbreak", "hardbreak"):
            yield line
            line = []
    yield line


def _only_pictures(line: Sequence[Token]) -> bool:
    shown = [child for child in line if child.type == "image" or child.content.strip()]
    return bool(shown) and all(child.type == "image" for child in shown)


def _shown(children: Sequence[Token]) -> str:
    """Inline tokens as a reader sees them: lines joined, breaks and tags as blanks, pictures as words."""
    text = "".join(_pieces(children))
    if "\n" not in text and _HARD_BREAK not in text:
        return text
    return " ".join(join_lines(part.split("\n")) for part in text.split(_HARD_BREAK))


def _pieces(children: Sequence[Token]) -> Iterator[str]:
    for child in children:
        if child.type == "softbreak":
            yield "\n"
        elif child.type == "hardbreak":
            yield _HARD_BREAK
        elif child.type == "html_inline":
            yield inline_text(child.content)
        elif child.type == "image":
            yield _shown(child.children or ())
        else:
            yield child.content
