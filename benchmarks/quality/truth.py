"""The renderings of known texts in the shared corpus, and those texts as a reader of the rendering sees them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lxml import html
from markdown_it import MarkdownIt
from markdown_it.token import Token

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
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
        source = corpus / "docs" / "truth" / f"{name}.md"
        yield Rendering(path, entry["format"], name.split("__")[1], variant, plain_text(source.read_text("utf-8")))


def plain_text(markdown: str) -> str:
    """What a reader sees of a Markdown text: no marks, addresses or pictures."""
    tokens = MarkdownIt("commonmark").enable("table").parse(markdown)
    return "\n".join(text for token in tokens if (text := _seen(token)).strip())


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
