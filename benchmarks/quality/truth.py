"""The renderings of known texts in the shared corpus, and those texts as a reader of the rendering sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pypdfium2
from lxml import html  # type: ignore[import-untyped]
from markdown_it import MarkdownIt
from markdown_it.token import Token

from benchmarks.quality.scoring import score

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
SCANNED_PAGES = 3
# What each was scanned from, by looking at it; the others from the plain one.
_SCANNED_FROM = {"dolphinscheduler__zh__pytorch": "__2col_header_footer_watermark"}
_RENDERING = re.compile(r"derived__(dolphinscheduler__(?:en|zh)__[a-z0-9-]+?)(__[a-z0-9_]+)?\.\w+$")


@dataclass(frozen=True, slots=True)
class Rendering:
    """A file made from a text that is known whole. `variant` tells renderings of one format apart: scanned, 2col ..."""

    path: Path
    format: str
    language: str
    variant: str
    truth: str


def renderings(corpus: Path = CORPUS) -> Iterator[Rendering]:
    """Every rendering of a text in docs/truth that is whole: pictures of a first page are left out."""
    for line in (corpus / "docs" / "manifest.jsonl").read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        path = corpus / entry["path"]
        named = _RENDERING.search(path.name)
        if named is None or "messy" in path.parts:
            continue
        name, variant = named.group(1), (named.group(2) or "").strip("_")
        if variant.startswith("page"):
            continue
        source = (corpus / "docs" / "truth" / f"{name}.md").read_text("utf-8")
        # The plain text files are the Markdown as it stands.
        truth = source if entry["format"] == "txt" else plain_text(source)
        if variant == "scanned" or entry["format"] == "tiff":
            truth = _as_far_as(path, name, truth)
        yield Rendering(path, entry["format"], name.split("__")[1], variant, truth)


def _as_far_as(scan: Path, name: str, truth: str) -> str:
    """The part of `truth` on a scan's pages: scans have the first three pages of a PDF with a text layer, whose end is
    looked for."""
    folder = scan.parents[2] / "pdf" / "zh"
    twin = folder / f"derived__{name}{_SCANNED_FROM.get(name, '')}.pdf"
    with closing(pypdfium2.PdfDocument(twin)) as document:
        pages = [document[n].get_textpage().get_text_bounded() for n in range(min(SCANNED_PAGES, len(document)))]
    shown = "".join(pages)
    ends = [match.end() for match in re.finditer("\n|\\Z", truth)]
    return truth[: max(ends, key=lambda end: score(shown, truth[:end]).order)]


def plain_text(markdown: str) -> str:
    """What a reader sees of a Markdown text: no marks, addresses or pictures. A | in code divides no cells, though GFM
    says so: what made the renderings thinks otherwise."""
    lines = [_escaped(line) if line.startswith("|") else line for line in markdown.splitlines()]
    tokens = MarkdownIt("commonmark").enable("table").parse("\n".join(lines))
    return "\n".join(text for token in tokens if (text := _seen(token)).strip())


def _escaped(row: str) -> str:
    """A row of a table with \\| for every | in code."""
    return "`".join(part.replace("|", "\\|") if place % 2 else part for place, part in enumerate(row.split("`")))


def _seen(token: Token) -> str:
    if token.type == "inline":
        return "".join(
            child.content if child.type in ("text", "code_inline") else " " if child.type.endswith("break") else ""
            for child in token.children or ()
        )
    if token.type in ("fence", "code_block"):
        return token.content
    if token.type == "html_block":
        return str(html.fragment_fromstring(token.content, create_parent="div").text_content())
    return ""
