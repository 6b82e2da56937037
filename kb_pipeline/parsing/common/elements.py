"""From the elements of unstructured to ours, and what every parser's output goes through at the end."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from lxml import html  # type: ignore[import-untyped]

from kb_pipeline.core.contracts import Element, ElementKind
from kb_pipeline.parsing.common.cleaning import block, clean, fold, language, table
from kb_pipeline.parsing.common.headings import MAX_TITLE_WIDTH, ends_sentence, width
from kb_pipeline.parsing.common.spanning_cells import MOST_ADDED, spread

MAX_LEVEL = 9
# What is longer is no heading: it would stand before every passage under it, and be masked again with each.
MAX_TITLE_CHARACTERS = 1000
_DROPPED = {"Header", "Footer", "PageNumber", "PageBreak"}
_KINDS: dict[str, ElementKind] = {
    "Title": "title",
    "ListItem": "list_item",
    "Table": "table",
    "CodeSnippet": "code",
    "Image": "image_text",
}


def convert(partitioned: Iterable[Any]) -> list[Element]:
    """Elements of unstructured as ours: headers, footers and breaks dropped, tables as rows, title levels from 1.

    A short paragraph that is bold from end to end is a title, one level below the last that is styled as one.
    """
    elements: list[Element] = []
    styled = 0
    for item in partitioned:
        if item.category in _DROPPED:
            continue
        kind, page = _KINDS.get(item.category, "paragraph"), item.metadata.page_number
        if kind == "table" and item.metadata.text_as_html:
            elements += table_elements(html_rows(item.metadata.text_as_html), page)
            continue
        level = None
        if kind == "title":
            level = styled = (item.metadata.category_depth or 0) + 1
        elif kind == "paragraph" and _is_bold_title(item):
            kind, level = "title", styled + 1
        elements.append(Element(text=item.text, kind=kind, level=level, page=page))
    return elements


def _is_bold_title(item: Any) -> bool:
    text, marked = item.text.strip(), item.metadata.emphasized_text_contents
    bold = marked == [text] and item.metadata.emphasized_text_tags == ["b"]
    return bold and width(text) <= MAX_TITLE_WIDTH and not ends_sentence(text)


def table_elements(rows: list[list[str]], page: int | None) -> list[Element]:
    """One table; but paragraphs where no row has two cells with text: such tables only frame or place something."""
    filled = [[cell for cell in row if cell.strip()] for row in rows]
    if all(len(row) <= 1 for row in filled):
        return [Element(row[0], "paragraph", page=page) for row in filled if row]
    return [Element(table(rows), "table", page=page)]


def finish(elements: Iterable[Element]) -> list[Element]:
    """Text cleaned as its kind wants, the language set, levels within 1 to MAX_LEVEL; what is empty goes, and what
    is too long for a title is none."""
    done = []
    for element in elements:
        kind = element.kind
        if kind == "code":
            text = block(element.text)
        elif kind == "table":
            text = clean(element.text).strip("\n")
        else:
            text = fold(element.text)
        if not text.strip():
            continue
        if kind == "title" and len(text) > MAX_TITLE_CHARACTERS:
            kind = "paragraph"
        level = min(element.level or 1, MAX_LEVEL) if kind == "title" else None
        places = (element.page, element.box, language(text), element.source_start, element.source_end)
        done.append(Element(text, kind, level, *places))
    return done


def html_rows(markup: str) -> list[list[str]]:
    """Rows of cells of one HTML table, those over several rows in each; the text of a table inside a cell belongs to
    that cell."""
    root = html.fragment_fromstring(markup, create_parent="div")
    if "span=" in markup:
        for one in root.xpath(".//table[not(ancestor::table)]"):
            spread(one, MOST_ADDED)
    rows = root.xpath(".//tr[not(ancestor::td) and not(ancestor::th)]")
    return [[" ".join(cell.itertext()) for cell in row.xpath("./td | ./th")] for row in rows]
