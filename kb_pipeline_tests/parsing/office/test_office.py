"""Word and PowerPoint: titles by style, tables keep their cells, nothing a reader sees is lost."""

import io
import zipfile

import docx
import openpyxl
import pptx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pptx.enum.shapes import PROG_ID
from pptx.util import Inches

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.media_type import DOCM, DOCX, DOTX, PPTM, PPTX
from kb_pipeline.parsing import parse

MACRO_PRESENTATION = b"ms-powerpoint.presentation.macroEnabled"


def outline(elements: list[Element]) -> list[tuple[str, int | None, str]]:
    return [(e.kind, e.level, e.text) for e in elements]


def saved(document: "docx.document.Document") -> bytes:
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def test_styles_give_titles_with_levels_and_short_chinese_body_lines_stay_paragraphs() -> None:
    document = docx.Document()
    document.add_paragraph("员工手册", style="Title")
    document.add_heading("考勤制度", 1)
    document.add_heading("请假", 2)
    document.add_paragraph("工作时间")
    document.add_paragraph("年假", style="List Bullet")
    assert outline(parse(saved(document), DOCX)) == [
        ("title", 1, "员工手册"),
        ("title", 2, "考勤制度"),
        ("title", 3, "请假"),
        ("paragraph", None, "工作时间"),
        ("list_item", None, "年假"),
    ]


def test_tables_keep_cell_and_row_boundaries() -> None:
    document = docx.Document()
    table = document.add_table(2, 2)
    for cell, text in zip([c for row in table.rows for c in row.cells], ["品名", "单价", "纸", "10 元"], strict=True):
        cell.text = text
    assert outline(parse(saved(document), DOCX)) == [("table", None, "品名\t单价\n纸\t10 元")]


def test_a_cell_over_several_rows_stands_in_each() -> None:
    rows = (("Team", "Name", "Floor"), ("Sales", "Ada", "1"), ("", "Bo", "2"), ("Legal", "Cy", "3"))
    document = docx.Document()
    slides = pptx.Presentation()
    slide = slides.slides.add_slide(slides.slide_layouts[6])
    for table in (document.add_table(4, 3), slide.shapes.add_table(4, 3, 0, 0, 3000, 3000).table):
        for row, cells in enumerate(rows):
            for column, cell in enumerate(cells):
                table.cell(row, column).text = cell
        table.cell(1, 0).merge(table.cell(2, 0))
    expected = "Team\tName\tFloor\nSales\tAda\t1\nSales\tBo\t2\nLegal\tCy\t3"
    assert [element.text for element in parse(saved(document), DOCX)] == [expected]
    assert [element.text for element in parse(saved(slides), PPTX)] == [expected]


def test_a_table_of_one_column_is_only_a_frame() -> None:
    document = docx.Document()
    document.add_table(1, 1).cell(0, 0).text = "提示：请先备份"
    assert outline(parse(saved(document), DOCX)) == [("paragraph", None, "提示：请先备份")]


def test_page_headers_and_footers_are_dropped() -> None:
    document = docx.Document()
    document.sections[0].header.paragraphs[0].text = "内部资料"
    document.sections[0].footer.paragraphs[0].text = "第 1 页"
    document.add_paragraph("正文")
    assert outline(parse(saved(document), DOCX)) == [("paragraph", None, "正文")]


def test_tracked_insertions_content_controls_and_text_boxes_are_read_and_deletions_are_not() -> None:
    document = docx.Document()
    paragraph = document.add_paragraph("合同金额")._p
    paragraph.append(parse_xml(f"<w:ins {nsdecls('w')}><w:r><w:t>为十万元</w:t></w:r></w:ins>"))
    paragraph.append(parse_xml(f"<w:del {nsdecls('w')}><w:r><w:t>为五万元</w:t></w:r></w:del>"))
    control = f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>甲方盖章</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    paragraph.addnext(parse_xml(control))
    box = (
        f'<w:r {nsdecls("w")}><w:pict><v:textbox xmlns:v="urn:schemas-microsoft-com:vml"><w:txbxContent>'
        "<w:p><w:r><w:t>附注一</w:t></w:r></w:p><w:p><w:r><w:t>附注二</w:t></w:r></w:p>"
        "</w:txbxContent></v:textbox></w:pict></w:r>"
    )
    paragraph.append(parse_xml(box))
    texts = [e.text for e in parse(saved(document), DOCX)]
    assert texts == ["合同金额为十万元", "附注一", "附注二", "甲方盖章"]


def test_slides_give_their_titles_and_numbers_with_macros_or_without() -> None:
    deck = pptx.Presentation()
    for title, body in (("季度总结", "销售情况"), ("下一步", "人员安排")):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = title
        slide.shapes.add_textbox(Inches(1), Inches(3), Inches(4), Inches(1)).text_frame.text = body
    file = io.BytesIO()
    deck.save(file)
    macro = io.BytesIO()
    with zipfile.ZipFile(file) as package, zipfile.ZipFile(macro, "w") as copy:
        for name in package.namelist():
            plain, main = b"openxmlformats-officedocument.presentationml.presentation", b".main+xml"
            copy.writestr(name, package.read(name).replace(plain + main, MACRO_PRESENTATION + main))
    assert parse(macro.getvalue(), PPTM) == parse(file.getvalue(), PPTX)
    assert [(e.kind, e.level, e.page, e.text) for e in parse(file.getvalue(), PPTX)] == [
        ("title", 1, 1, "季度总结"),
        ("paragraph", None, 1, "销售情况"),
        ("title", 1, 2, "下一步"),
        ("paragraph", None, 2, "人员安排"),
    ]


def test_a_short_paragraph_that_is_bold_from_end_to_end_is_a_title() -> None:
    document = docx.Document()
    document.add_heading("手册", level=1)
    document.add_paragraph().add_run("适用范围").bold = True
    document.add_paragraph("适用于全体员工。")
    document.add_paragraph().add_run("请务必注意安全。").bold = True
    mixed = document.add_paragraph("其中")
    mixed.add_run("重点").bold = True
    file = io.BytesIO()
    document.save(file)
    assert [(e.kind, e.level, e.text) for e in parse(file.getvalue(), DOCX)] == [
        ("title", 1, "手册"),
        ("title", 2, "适用范围"),
        ("paragraph", None, "适用于全体员工。"),
        ("paragraph", None, "请务必注意安全。"),
        ("paragraph", None, "其中重点"),
    ]


@pytest.mark.parametrize(
    ("media_type", "declared"),
    [
        (DOCM, b"application/vnd.ms-word.document.macroEnabled.main+xml"),
        (DOTX, b"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml"),
    ],
)
def test_documents_with_macros_and_templates_are_read_as_documents(media_type: str, declared: bytes) -> None:
    document, other = docx.Document(), io.BytesIO()
    document.add_heading("模板", level=1)
    plain = b"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    with zipfile.ZipFile(io.BytesIO(saved(document))) as package, zipfile.ZipFile(other, "w") as copy:
        for name in package.namelist():
            copy.writestr(name, package.read(name).replace(plain, declared))
    assert outline(parse(other.getvalue(), media_type)) == [("title", 1, "模板")]


CHART = (
    '<c:chartSpace xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart"'
    ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><c:chart>'
    "<c:title><c:tx><c:rich><a:p><a:r><a:t>销售</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser>"
    "<c:tx><c:strRef><c:strCache><c:pt idx='0'><c:v>金额</c:v></c:pt></c:strCache></c:strRef></c:tx>"
    "<c:cat><c:strRef><c:strCache><c:pt idx='0'><c:v>一季度</c:v></c:pt><c:pt idx='1'><c:v>二季度</c:v></c:pt>"
    "</c:strCache></c:strRef></c:cat>"
    "<c:val><c:numRef><c:numCache><c:pt idx='0'><c:v>8.1999999999999993</c:v></c:pt></c:numCache></c:numRef></c:val>"
    "</c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>"
)
NOTES = (
    '<w:footnotes xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main">'
    '<w:footnote w:id="7"><w:p><w:r><w:t>见附件。</w:t></w:r></w:p></w:footnote></w:footnotes>'
)
DIAGRAM = (
    '<dgm:dataModel xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram"'
    ' xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><dgm:ptLst>'
    "<dgm:pt><dgm:t><a:p><a:r><a:t>立项</a:t></a:r></a:p></dgm:t></dgm:pt>"
    "<dgm:pt><dgm:t><a:p><a:r><a:t>验收</a:t></a:r></a:p></dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"
)
FRAME = (
    '<w:r {w}><w:drawing><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData>'
    "{inside}</a:graphicData></a:graphic></w:drawing></w:r>"
)
OFFICE = 'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'


def with_parts(data: bytes, parts: dict[str, str], relations: str) -> bytes:
    """A docx with more parts, which the main part knows by `relations`."""
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as package, zipfile.ZipFile(file, "w") as copy:
        for name in package.namelist():
            content = package.read(name)
            if name == "word/_rels/document.xml.rels":
                content = content.replace(b"</Relationships>", f"{relations}</Relationships>".encode())
            copy.writestr(name, content)
        for name, text in parts.items():
            copy.writestr(name, text)
    return file.getvalue()


def test_charts_diagrams_and_footnotes_follow_the_paragraph_they_belong_to() -> None:
    document = docx.Document()
    chart = f'<c:chart xmlns:c="http://schemas.openxmlformats.org/drawingml/2006/chart" {OFFICE} r:id="rId91"/>'
    smart = f'<dgm:relIds xmlns:dgm="http://schemas.openxmlformats.org/drawingml/2006/diagram" {OFFICE} r:dm="rId92"/>'
    for text, run in (
        ("甲", FRAME.format(w=nsdecls("w"), inside=chart)),
        ("乙", FRAME.format(w=nsdecls("w"), inside=smart)),
        ("丙", f'<w:r {nsdecls("w")}><w:footnoteReference w:id="7"/></w:r>'),
    ):
        document.add_paragraph(text)._p.append(parse_xml(run))
    parts = {"word/charts/chart1.xml": CHART, "word/diagrams/data1.xml": DIAGRAM, "word/footnotes.xml": NOTES}
    relation = '<Relationship Id="{}" Type="urn:example" Target="{}"/>'
    relations = relation.format("rId91", "charts/chart1.xml") + relation.format("rId92", "diagrams/data1.xml")
    assert outline(parse(with_parts(saved(document), parts, relations), DOCX)) == [
        ("paragraph", None, "甲"),
        ("paragraph", None, "销售"),
        ("table", None, "\t金额\n一季度\t8.2\n二季度"),
        ("paragraph", None, "乙"),
        ("paragraph", None, "立项"),
        ("paragraph", None, "验收"),
        ("paragraph", None, "丙"),
        ("paragraph", None, "见附件。"),
    ]


def test_a_letterhead_is_its_header_and_an_empty_form_its_properties() -> None:
    document = docx.Document()
    document.core_properties.title, document.core_properties.keywords = "请假单", "人事"
    assert [e.text for e in parse(saved(document), DOCX)] == ["请假单", "人事"]
    document.sections[0].header.paragraphs[0].text = "示例公司用笺"
    assert [e.text for e in parse(saved(document), DOCX)] == ["示例公司用笺"]


def test_a_workbook_on_a_slide_is_read_with_it() -> None:
    book, deck, file, packed = openpyxl.Workbook(), pptx.Presentation(), io.BytesIO(), io.BytesIO()
    book.active.title = "报价"
    book.active.append(["品名", "单价"])
    book.save(packed)
    slide = deck.slides.add_slide(deck.slide_layouts[5])
    slide.shapes.title.text = "附件"
    slide.shapes.add_ole_object(packed, PROG_ID.XLSX, Inches(1), Inches(2))
    deck.save(file)
    assert [(e.kind, e.level, e.page, e.text) for e in parse(file.getvalue(), PPTX)] == [
        ("title", 1, 1, "附件"),
        ("title", 2, 1, "报价"),
        ("table", None, 1, "品名\t单价"),
    ]
