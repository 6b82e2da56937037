"""Markup to docx: Word's own heading, list and table styles, a page header, a footer with the page number."""

from __future__ import annotations

import io
from typing import Any

from docx import Document
from docx.enum.text import WD_ALIGN_PARAGRAPH
from docx.oxml import OxmlElement
from docx.oxml.ns import qn

from kb_pipeline.demo.archive import without_times
from kb_pipeline.demo.markup import Block, Code, Heading, Items, Markup, PageBreak, Paragraph, Table, plain

_EAST_ASIAN_FONT = "SimSun"  # on every Windows and macOS Office; other readers substitute


def render(markup: Markup) -> bytes:
    """The document as docx, the same bytes for the same markup."""
    document = Document()
    document.core_properties.title = markup.title
    document.core_properties.author = markup.fields.get("owner", "")
    document.styles["Normal"].element.get_or_add_rPr().get_or_add_rFonts().set(qn("w:eastAsia"), _EAST_ASIAN_FONT)
    section = document.sections[0]
    section.header.paragraphs[0].text = markup.fields.get("header", "")
    _footer(section.footer.paragraphs[0], markup)
    for block in markup.blocks:
        _add(document, block)
    written = io.BytesIO()
    document.save(written)
    return without_times(written.getvalue())


def _add(document: Any, block: Block) -> None:
    match block:
        case Heading(level, text):
            document.add_heading(plain(text), level)
        case Paragraph(text):
            document.add_paragraph(plain(text))
        case Items(items, ordered):
            # Word's automatic numbers run on from one list to the next, so the numbers are written out.
            for number, item in enumerate(items, 1):
                text = f"{number}. {plain(item)}" if ordered else plain(item)
                document.add_paragraph(text, style="List Paragraph" if ordered else "List Bullet")
        case Table(rows):
            table = document.add_table(len(rows), len(rows[0]), style="Table Grid")
            for row, cells in zip(table.rows, rows, strict=True):
                for cell, text in zip(row.cells, cells, strict=True):
                    cell.text = plain(text)
        case Code(text):
            document.add_paragraph(text, style="No Spacing")
        case PageBreak():
            document.add_page_break()


def _footer(paragraph: Any, markup: Markup) -> None:
    before, after = ("第 ", " 页") if markup.chinese else ("Page ", "")
    paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
    paragraph.add_run(f"{markup.fields.get('footer', '')}  {before}")
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    paragraph._p.append(field)  # python-docx has no fields of its own, and no public name for a paragraph's XML
    paragraph.add_run(after)
