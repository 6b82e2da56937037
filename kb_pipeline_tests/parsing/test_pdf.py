"""PDF: text with page numbers, titles by size, lines joined, what repeats on every page dropped."""

import io
from collections.abc import Callable

import pytest
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from kb_pipeline.errors import CorruptDocument, EncryptedDocument, NoText
from kb_pipeline.media_type import PDF
from kb_pipeline.parsing import parse

FONT = "STSong-Light"
pdfmetrics.registerFont(UnicodeCIDFont(FONT))


def pdf(draw: Callable[[Canvas], None], **options: object) -> bytes:
    file = io.BytesIO()
    canvas = Canvas(file, pageCompression=1, **options)
    draw(canvas)
    canvas.save()
    return file.getvalue()


def contract(canvas: Canvas) -> None:
    """Three pages with header, footer, watermark, a title and a paragraph of two full lines and a short one."""
    for page in (1, 2, 3):
        canvas.setFont(FONT, 9)
        canvas.drawString(60, 800, "示例公司合同文本")
        canvas.drawString(280, 30, f"第 {page} 页 共 3 页")
        canvas.saveState()
        canvas.rotate(45)
        canvas.setFont(FONT, 60)
        canvas.drawString(300, 100, "机密")
        canvas.restoreState()
        canvas.setFont(FONT, 18)
        canvas.drawString(60, 740, f"标题{'一二三'[page - 1]}")
        canvas.setFont(FONT, 12)
        for row, text in enumerate(("甲方应当按照合同约定的时间和金额向乙方支付款项" * 2, "逾期" * 23, "违约。")):
            canvas.drawString(40, 700 - 18 * row, text[:46])
        canvas.showPage()


def test_pages_titles_and_joined_paragraphs_without_header_footer_and_watermark() -> None:
    elements = parse(pdf(contract), PDF)
    body = "甲方应当按照合同约定的时间和金额向乙方支付款项" * 2
    assert [(e.kind, e.level, e.page, e.text) for e in elements] == [
        element
        for page in (1, 2, 3)
        for element in (
            ("title", 1, page, f"标题{'一二三'[page - 1]}"),
            ("paragraph", None, page, body[:46] + "逾期" * 23 + "违约。"),
        )
    ]


def test_a_page_without_text_layer_says_so() -> None:
    with pytest.raises(NoText, match="no text layer on any of its 1 pages"):
        parse(pdf(lambda canvas: canvas.rect(10, 10, 100, 100)), PDF)


def test_a_password_to_open_is_encrypted_and_a_password_to_edit_is_not() -> None:
    def write(canvas: Canvas) -> None:
        canvas.drawString(50, 700, "readable")

    with pytest.raises(EncryptedDocument):
        parse(pdf(write, encrypt=StandardEncryption("user", "owner")), PDF)
    (element,) = parse(pdf(write, encrypt=StandardEncryption("", "owner", canModify=0)), PDF)
    assert element.text == "readable"


def test_a_broken_file_is_corrupt() -> None:
    with pytest.raises(CorruptDocument):
        parse(b"%PDF-1.7\nthis is no PDF", PDF)
