"""Markup to PDF through reportlab: A4, a page header, page numbers, tables, Chinese as extractable text.

Chinese uses STSong-Light, a font every PDF reader must provide: nothing is embedded, so files stay a few KB. A machine
without any Chinese font extracts the text but cannot show it.
"""

from __future__ import annotations

import io
from typing import Any
from xml.sax.saxutils import escape

from kb_pipeline.core.errors import MissingExtra
from kb_pipeline.demo.markup import Block, Code, Heading, Items, Markup, PageBreak, Paragraph, Table, plain

_CHINESE = "STSong-Light"
_LATIN, _LATIN_BOLD = "Helvetica", "Helvetica-Bold"


def render(markup: Markup) -> bytes:
    """The document as PDF, the same bytes for the same markup. Raises MissingExtra without reportlab."""
    _load_fonts()
    pages = _build(markup, total=0)[1]
    return _build(markup, total=pages)[0]


def _load_fonts() -> None:
    try:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    except ImportError:
        raise MissingExtra(
            "The demo's PDF documents need reportlab, which is not installed.", "pip install 'kb-pipeline[demo]'"
        ) from None
    pdfmetrics.registerFont(UnicodeCIDFont(_CHINESE))


def _build(markup: Markup, total: int) -> tuple[bytes, int]:
    """The bytes and the number of pages. The footer names `total`, which only a first pass can count."""
    from reportlab.lib.pagesizes import A4
    from reportlab.lib.units import mm
    from reportlab.platypus import SimpleDocTemplate

    written = io.BytesIO()
    template = SimpleDocTemplate(
        written,
        pagesize=A4,
        leftMargin=28 * mm,
        rightMargin=28 * mm,
        topMargin=30 * mm,
        bottomMargin=26 * mm,
        title=markup.title,
        author=markup.fields.get("owner", ""),
        invariant=1,
    )
    pages = 0

    def frame_page(canvas: Any, _: Any) -> None:
        nonlocal pages
        pages = canvas.getPageNumber()
        width, height = A4
        number = f"第 {pages} 页 共 {total} 页" if markup.chinese else f"Page {pages} of {total}"
        canvas.setFont(_CHINESE if markup.chinese else _LATIN, 8.5)
        canvas.drawString(28 * mm, height - 18 * mm, markup.fields.get("header", ""))
        canvas.line(28 * mm, height - 20 * mm, width - 28 * mm, height - 20 * mm)
        canvas.drawString(28 * mm, 15 * mm, markup.fields.get("footer", ""))
        canvas.drawRightString(width - 28 * mm, 15 * mm, number)

    template.build(
        [flowable for block in markup.blocks for flowable in _flowables(block, markup.chinese)],
        onFirstPage=frame_page,
        onLaterPages=frame_page,
    )
    return written.getvalue(), pages


def _style(kind: str, chinese: bool) -> Any:
    """One font a document: pdfium loses a Chinese character that stands alone between two runs of another font."""
    from reportlab.lib.styles import ParagraphStyle

    shape: dict[str, dict[str, Any]] = {
        "title": {"fontSize": 17, "leading": 24, "alignment": 1, "spaceAfter": 14, "fontName": _LATIN_BOLD},
        "heading": {"fontSize": 12.5, "leading": 19, "spaceBefore": 10, "spaceAfter": 4, "fontName": _LATIN_BOLD},
        "body": {"fontSize": 10.5, "leading": 17, "spaceAfter": 6, "fontName": _LATIN},
        "item": {"fontSize": 10.5, "leading": 16, "spaceAfter": 3, "leftIndent": 16, "fontName": _LATIN},
        "cell": {"fontSize": 9.5, "leading": 14, "fontName": _LATIN},
    }
    chosen = {**shape[kind], "fontName": _CHINESE, "wordWrap": "CJK"} if chinese else shape[kind]
    return ParagraphStyle(kind, **chosen)


def _flowables(block: Block, chinese: bool) -> list[Any]:
    from reportlab.lib import colors
    from reportlab.platypus import PageBreak as NewPage
    from reportlab.platypus import Paragraph as Text
    from reportlab.platypus import Preformatted, Spacer
    from reportlab.platypus import Table as Grid

    def text(content: str, kind: str) -> Any:
        return Text(escape(plain(content)), _style(kind, chinese))

    match block:
        case Heading(level, content):
            return [text(content, "title" if level == 1 else "heading")]
        case Paragraph(content):
            return [text(content, "body")]
        case Items(items, ordered):
            return [text(f"{n}. {item}" if ordered else f"- {item}", "item") for n, item in enumerate(items, 1)]
        case Table(rows):
            grid = Grid([[text(cell, "cell") for cell in row] for row in rows], repeatRows=1)
            grid.setStyle([("GRID", (0, 0), (-1, -1), 0.5, colors.grey), ("VALIGN", (0, 0), (-1, -1), "TOP")])
            return [Spacer(1, 4), grid, Spacer(1, 8)]
        case Code(content):
            return [Preformatted(content, _style("cell", False))]
        case PageBreak():
            return [NewPage()]
