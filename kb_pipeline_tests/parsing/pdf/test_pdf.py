"""PDF: text with page numbers, titles by size, lines joined, what repeats on every page dropped."""

import io
from collections.abc import Callable

import pytest
from pypdf import PdfReader, PdfWriter
from pypdf.annotations import FreeText
from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, FloatObject, NameObject
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from kb_pipeline.core.errors import CorruptDocument, EncryptedDocument, NoText
from kb_pipeline.core.media_type import PDF
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.options import ParseOptions, reading_with
from kb_pipeline.parsing.pdf.outline import MOST_BOOKMARKS

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


def test_a_document_without_text_says_so() -> None:
    with pytest.raises(NoText, match="no text on any of its 1 pages"):
        parse(pdf(lambda canvas: canvas.rect(10, 10, 100, 100)), PDF)


def test_a_password_to_open_is_encrypted_and_a_password_to_edit_is_not() -> None:
    def write(canvas: Canvas) -> None:
        canvas.drawString(50, 700, "readable")

    locked = pdf(write, encrypt=StandardEncryption("user", "owner"))
    with pytest.raises(EncryptedDocument, match="KB_PASSWORDS_"):
        parse(locked, PDF)
    with reading_with(ParseOptions(passwords=("wrong", "user"))):
        assert [element.text for element in parse(locked, PDF)] == ["readable"]
    (element,) = parse(pdf(write, encrypt=StandardEncryption("", "owner", canModify=0)), PDF)
    assert element.text == "readable"


def test_a_broken_file_is_corrupt() -> None:
    with pytest.raises(CorruptDocument):
        parse(b"%PDF-1.7\nthis is no PDF", PDF)


def ruled(canvas: Canvas) -> None:
    """A table of three rows and two columns, the first cell of the second row over two rows; a word in a cell is
    underlined; text above and below."""
    canvas.setFont(FONT, 12)
    canvas.drawString(60, 760, "价格如下。")
    for x, y, text in (
        *((65, 705, "品名"), (165, 705, "单价"), (65, 665, "水泵"), (165, 685, "一百元"), (165, 665, "二百元")),
        (60, 620, "以上含税。"),
    ):
        canvas.drawString(x, y, text)
    for y in (720, 700, 660):
        canvas.line(60, y, 260, y)
    canvas.line(160, 680, 260, 680)
    for x in (60, 160, 260):
        canvas.line(x, 660, x, 720)
    canvas.line(165, 683, 200, 683)


def test_a_ruled_table_is_a_table_and_a_cell_over_two_rows_stands_in_both() -> None:
    elements = parse(pdf(ruled), PDF)
    assert [(e.kind, e.text) for e in elements] == [
        ("paragraph", "价格如下。"),
        ("table", "品名\t单价\n水泵\t一百元\n水泵\t二百元"),
        ("paragraph", "以上含税。"),
    ]


def test_every_element_has_its_place_on_the_page() -> None:
    boxes = [element.box for element in parse(pdf(ruled), PDF)]
    assert all(box and box.page == 1 for box in boxes)
    table = boxes[1]
    assert table
    assert (table.x0, table.x1) == pytest.approx((60, 260), abs=1)
    assert table.y1 - table.y0 == pytest.approx(60, abs=1)
    assert [box.y0 for box in boxes if box] == sorted(box.y0 for box in boxes if box)


def test_a_paragraph_s_place_is_that_of_all_its_lines() -> None:
    def write(canvas: Canvas) -> None:
        canvas.drawString(60, 700, "The supplier delivers within the agreed time to the")
        canvas.drawString(50, 686, "office of the customer.")

    (element,) = parse(pdf(write), PDF)
    assert element.text == "The supplier delivers within the agreed time to the office of the customer."
    end = 60 + pdfmetrics.stringWidth("The supplier delivers within the agreed time to the", "Helvetica", 12)
    assert element.box
    assert (element.box.x0, element.box.x1) == pytest.approx((50, end), abs=1)
    assert element.box.y1 - element.box.y0 == pytest.approx(26, abs=1)


def test_letters_that_the_text_leaves_out_do_not_move_those_after_them() -> None:
    def write(canvas: Canvas) -> None:
        canvas.setFont(FONT, 12)
        canvas.drawString(60, 700, "The supplier delivers in time\x03\x03\x03\x03\x03.")
        canvas.setFont("Helvetica", 20)
        canvas.drawString(60, 660, "Term")
        canvas.setFont("Helvetica", 12)
        canvas.drawString(60, 630, "It ends after a year.")

    delivery, *others = parse(pdf(write), PDF)
    assert delivery.text == "The supplier delivers in time."
    assert [(e.kind, e.text) for e in others] == [("title", "Term"), ("paragraph", "It ends after a year.")]


def test_code_keeps_its_lines() -> None:
    def write(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 10)
        canvas.drawString(60, 760, "Run this:")
        canvas.setFont("Courier", 10)
        for row, text in enumerate(("mkdir data", "cd data")):
            canvas.drawString(60, 740 - 12 * row, text)

    assert [(e.kind, e.text) for e in parse(pdf(write), PDF)] == [
        ("paragraph", "Run this:"),
        ("code", "mkdir data\ncd data"),
    ]


def test_of_two_pages_what_stands_in_the_margin_of_both_goes_and_repeated_body_text_stays() -> None:
    def write(canvas: Canvas) -> None:
        for page in (1, 2):
            canvas.setFont(FONT, 9)
            canvas.drawString(60, 820, "示例公司知识库")
            canvas.drawString(280, 20, f"第 {page} 页 / 共 2 页")
            canvas.setFont(FONT, 12)
            canvas.drawString(60, 700, "两页都有的正文。")
            canvas.showPage()

    assert [e.text for e in parse(pdf(write), PDF)] == ["两页都有的正文。"] * 2


def test_bold_lines_of_the_body_s_size_are_titles_below_those_by_size() -> None:
    def write(canvas: Canvas) -> None:
        canvas.setFont("Helvetica", 18)
        canvas.drawString(60, 780, "Handbook")
        for row, title in enumerate(("Scope", "Limits")):
            canvas.setFont("Helvetica-Bold", 11)
            canvas.drawString(60, 740 - 90 * row, title)
            canvas.setFont("Helvetica", 11)
            for line in range(4):
                canvas.drawString(60, 720 - 90 * row - 14 * line, "These words fill a line of the body of this page.")

    titles = [(e.text, e.level) for e in parse(pdf(write), PDF) if e.kind == "title"]
    assert titles == [("Handbook", 1), ("Scope", 2), ("Limits", 2)]


def test_letters_of_a_negative_size_turned_the_right_way_up_are_letters() -> None:
    """Programs that count from the upper edge write fonts so."""
    text = "(The supplier delivers within the agreed time to the) Tj 0 14 Td (office of the customer.) Tj"
    lines = f"BT /F1 -12 Tf -1 0 0 -1 60 700 Tm {text} ET"
    (element,) = parse(pdf(lambda canvas: canvas._code.append(lines)), PDF)
    assert element.text == "The supplier delivers within the agreed time to the office of the customer."


def test_level_watermarks_go_by_their_colour_or_size_and_repeated_body_lines_stay() -> None:
    def write(canvas: Canvas) -> None:
        for page in (1, 2, 3):
            canvas.setFont("Helvetica", 60)
            canvas.drawString(120, 500, "DRAFT")
            canvas.setFillGray(0.8)
            canvas.setFont(FONT, 14)
            canvas.drawString(250, 400, "仅供内部使用")
            canvas.setFillGray(0)
            canvas.setFillAlpha(0.4)
            canvas.drawString(250, 350, "样本不得外传")
            canvas.setFillAlpha(1)
            canvas.setFont(FONT, 12)
            canvas.rect(50, 560, 300, 20, fill=1)
            canvas.setFillGray(1)
            canvas.drawString(60, 565, "深底白字的表头")
            canvas.setFillGray(0)
            canvas.drawString(60, 450, "每页都有的一句正文。")
            canvas.drawString(60, 300, f"这里是第{'一二三'[page - 1]}部分的正文内容。")
            canvas.showPage()

    assert [e.text for e in parse(pdf(write), PDF)] == [
        text
        for page in "一二三"
        for text in ("深底白字的表头", "每页都有的一句正文。", f"这里是第{page}部分的正文内容。")
    ]


def test_a_slanted_stamp_on_a_single_page_goes_if_it_is_faint() -> None:
    def write(canvas: Canvas) -> None:
        canvas.drawString(60, 700, "The body of the page.")
        for place, grey in ((300, 0.8), (100, 0)):
            canvas.saveState()
            canvas.rotate(30)
            canvas.setFillGray(grey)
            canvas.drawString(place, 300, f"note {grey:g}")
            canvas.restoreState()

    assert [e.text for e in parse(pdf(write), PDF)] == ["The body of the page.", "note 0"]


def bookmarked(canvas: Canvas) -> None:
    """A large title that the outline leaves out; headings that only the outline tells from the body, one of them also
    named in a list above."""
    canvas.setFont("Helvetica", 20)
    canvas.drawString(60, 790, "Manual")
    canvas.setFont("Helvetica", 11)
    for row, (text, level) in enumerate(
        (
            ("Restore", None),
            ("Backup", 0),
            ("Copies are made every night and kept for a month.", None),
            ("1.1 Restore", 1),
            ("Ask the operators to bring a copy back.", None),
        )
    ):
        height = 740 - 40 * row
        canvas.drawString(60, height, text)
        if level is not None:
            canvas.bookmarkPage(text, fit="XYZ", top=height + 12)
            canvas.addOutlineEntry(text.removeprefix("1.1 "), text, level)


def test_the_outline_tells_headings_and_their_levels() -> None:
    assert [(e.kind, e.level, e.text) for e in parse(pdf(bookmarked), PDF)] == [
        ("title", 1, "Manual"),
        ("paragraph", None, "Restore"),
        ("title", 1, "Backup"),
        ("paragraph", None, "Copies are made every night and kept for a month."),
        ("title", 2, "1.1 Restore"),
        ("paragraph", None, "Ask the operators to bring a copy back."),
    ]


def test_a_title_on_two_lines_is_one_that_the_outline_names() -> None:
    def write(canvas: Canvas) -> None:
        for row, text in enumerate(("What the operators of a site do", "before a restore", "They make a copy.")):
            canvas.drawString(60, 700 - 30 * row, text)
        canvas.bookmarkPage("restore", fit="XYZ", top=712)
        canvas.addOutlineEntry("What the operators of a site do before a restore", "restore", 0)

    assert [(e.kind, e.text) for e in parse(pdf(write), PDF)] == [
        ("title", "What the operators of a site do before a restore"),
        ("paragraph", "They make a copy."),
    ]


def test_an_outline_of_many_entries_is_read_only_so_far() -> None:
    def write(canvas: Canvas) -> None:
        canvas.drawString(60, 700, "The body of the page.")
        for number in range(MOST_BOOKMARKS + 1):
            canvas.bookmarkPage(str(number))
            canvas.addOutlineEntry("The body of the page." if number == MOST_BOOKMARKS else "x", str(number), 0)

    assert [(e.kind, e.text) for e in parse(pdf(write), PDF)] == [("paragraph", "The body of the page.")]


def test_words_in_columns_are_a_table_and_two_columns_of_prose_are_none() -> None:
    def write(canvas: Canvas) -> None:
        canvas.setFont(FONT, 11)
        for row, cells in enumerate((("品名", "数量", "单价"), ("水泵", "3", "一百元"), ("阀门", "", "二十元"))):
            for place, text in zip((60, 200, 340), cells, strict=True):
                canvas.drawString(place, 700 - 18 * row, text)
        for row in range(5):
            canvas.drawString(60, 600 - 18 * row, "左栏的正文一行接着一行写到栏底为止")
            canvas.drawString(320, 600 - 18 * row, "右栏的正文也是一行接着一行写到栏底")

    table, *prose = parse(pdf(write), PDF)
    assert (table.kind, table.text) == ("table", "品名\t数量\t单价\n水泵\t3\t一百元\n阀门\t\t二十元")
    assert "table" not in {e.kind for e in prose}


def test_a_row_set_in_one_piece_is_parted_at_its_gaps() -> None:
    def write(canvas: Canvas) -> None:
        for row, cells in enumerate((("Part", "Count", "Price"), ("Pump", "3", "100"), ("Valve", "12", "20"))):
            text = canvas.beginText(60, 700 - 16 * row)
            text.setFont("Helvetica", 11)
            for cell in cells:
                text.textOut(cell)
                text.moveCursor(120, 0)
            canvas.drawText(text)

    assert [(e.kind, e.text) for e in parse(pdf(write), PDF)] == [
        ("table", "Part\tCount\tPrice\nPump\t3\t100\nValve\t12\t20")
    ]


def form(canvas: Canvas) -> None:
    for row, (label, value) in enumerate((("Employee", "Example Person"), ("Days", "22"))):
        canvas.drawString(60, 700 - 40 * row, f"{label}:")
        canvas.acroForm.textfield(name=label, value=value, x=160, y=690 - 40 * row, width=200, height=24)
    canvas.drawString(60, 600, "Hand this form to the office.")


def typed_on(writer: PdfWriter, text: str) -> FreeText:
    """Text typed onto a page with a viewer's own tool."""
    (page,) = PdfReader(io.BytesIO(pdf(lambda canvas: canvas.drawString(4, 10, text)))).pages
    drawn = DecodedStreamObject()
    drawn.set_data(page.get_contents().get_data())
    box = ArrayObject(map(FloatObject, (0, 0, 240, 40)))
    drawn.update({NameObject("/Subtype"): NameObject("/Form"), NameObject("/BBox"): box})
    drawn[NameObject("/Resources")] = page["/Resources"].clone(writer)
    annotation = FreeText(text=text, rect=(60, 500, 300, 540))
    annotation[NameObject("/AP")] = DictionaryObject({NameObject("/N"): writer._add_object(drawn)})
    return annotation


@pytest.mark.parametrize("is_drawn", [True, False])
def test_what_is_filled_in_on_a_form_stands_by_its_label(is_drawn: bool) -> None:
    """Also where the file has the values of its fields alone, and leaves it to the reader to draw them."""
    writer = PdfWriter(clone_from=io.BytesIO(pdf(form)))
    if not is_drawn:
        writer.set_need_appearances_writer(True)
        for annotation in writer.pages[0]["/Annots"]:
            del annotation.get_object()["/AP"]
    writer.add_annotation(0, typed_on(writer, "Seen by the board."))
    file = io.BytesIO()
    writer.write(file)
    assert [element.text for element in parse(file.getvalue(), PDF)] == [
        "Employee: Example Person",
        "Days: 22",
        "Hand this form to the office.",
        "Seen by the board.",
    ]
