"""The light markup of content/: fields, an empty line, then blocks separated by empty lines.

header: shown on every page           # title             - item        | cell | cell |
footer: shown on every page           ## heading          1. item       | cell | cell |
                                      paragraph           ```code```    --- (page break)
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_CJK = re.compile(r"[\u3400-\u9fff]")


@dataclass(frozen=True, slots=True)
class Heading:
    """`level` 1 is the title of the document."""

    level: int
    text: str


@dataclass(frozen=True, slots=True)
class Paragraph:
    text: str


@dataclass(frozen=True, slots=True)
class Items:
    """A list. Numbers are counted by the renderer, from 1."""

    items: tuple[str, ...]
    ordered: bool


@dataclass(frozen=True, slots=True)
class Table:
    """The first row is the heading."""

    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Code:
    text: str


@dataclass(frozen=True, slots=True)
class PageBreak:
    pass


Block = Heading | Paragraph | Items | Table | Code | PageBreak


@dataclass(frozen=True, slots=True)
class Markup:
    """A document: `fields` say what a format needs besides text (header, footer, from, subject ...)."""

    fields: Mapping[str, str]
    blocks: tuple[Block, ...]

    @property
    def title(self) -> str:
        return next((block.text for block in self.blocks if isinstance(block, Heading)), "")

    @property
    def chinese(self) -> bool:
        """Whether the title is Chinese: it chooses the language of page numbers and labels."""
        return bool(_CJK.search(self.title + self.fields.get("subject", "")))


def read_markup(text: str) -> Markup:
    """Parse one content file. Raises ValueError for a field line without a colon."""
    head, _, body = text.partition("\n\n")
    fields = {}
    for line in head.splitlines():
        name, colon, value = line.partition(":")
        if not colon:
            raise ValueError(f"not a field: {len(line)} characters without a colon")
        fields[name.strip()] = value.strip()
    return Markup(fields, tuple(_block(part) for part in _parts(body)))


def plain(text: str) -> str:
    """Text without inline marks (only `code` exists)."""
    return text.replace("`", "")


def _parts(body: str) -> list[str]:
    """Blocks of lines; empty lines inside a code fence do not separate."""
    parts: list[list[str]] = [[]]
    fenced = False
    for line in body.splitlines():
        fenced ^= line.startswith("```")
        if line.strip() or fenced:
            parts[-1].append(line)
        elif parts[-1]:
            parts.append([])
    return ["\n".join(part) for part in parts if part]


def _block(part: str) -> Block:
    lines = part.splitlines()
    if part == "---":
        return PageBreak()
    if part.startswith("```"):
        return Code("\n".join(lines[1:-1]))
    if heading := re.fullmatch(r"(#+) (.+)", part):
        return Heading(len(heading[1]), heading[2])
    if part.startswith("| "):
        return Table(tuple(_cells(line) for line in lines if not re.fullmatch(r"[|\s:-]+", line)))
    if part.startswith("- "):
        return Items(tuple(line.removeprefix("- ") for line in lines), ordered=False)
    if part.startswith("1. "):
        return Items(tuple(re.sub(r"^\d+\. ", "", line) for line in lines), ordered=True)
    return Paragraph(" ".join(lines))


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in line.strip().strip("|").split("|"))
