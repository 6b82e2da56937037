"""Each format, opened by a reader that is not ours."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage
from html.parser import HTMLParser
from pathlib import Path

import docx
import openpyxl
import pypdfium2
import pytest

from kb_pipeline.demo import DAMAGED


def _pages(path: Path) -> list[str]:
    with pypdfium2.PdfDocument(path) as document:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in document]


def test_chinese_pdf_text_can_be_extracted_whole(documents: Path) -> None:
    first = _pages(documents / "contracts" / "办公室租赁合同.pdf")[0]
    assert "自2026年4月1日起至2029年3月31日止" in first.replace("\n", "")


def test_every_contract_has_several_pages_each_with_header_and_number(documents: Path) -> None:
    for path in (documents / "contracts").glob("*.pdf"):
        if path.name == Path(DAMAGED).name:
            continue
        pages = _pages(path)
        assert len(pages) >= 2, path.name
        assert len({page.splitlines()[0] for page in pages}) == 1, path.name
        for number, page in enumerate(pages, 1):
            assert f"第 {number} 页 共 {len(pages)} 页" in page or f"Page {number} of {len(pages)}" in page, path.name


def test_a_pdf_page_has_ink_on_it(documents: Path) -> None:
    with pypdfium2.PdfDocument(documents / "contracts" / "purchase-contract-storage-servers.pdf") as document:
        picture = document[0].render(scale=0.5).to_pil().convert("L")
    dark = sum(picture.histogram()[:128])
    assert 0.005 < dark / (picture.width * picture.height) < 0.5


def test_no_reader_opens_the_damaged_pdf(documents: Path) -> None:
    with pytest.raises(pypdfium2.PdfiumError):
        pypdfium2.PdfDocument(documents / DAMAGED)


@pytest.mark.parametrize("name", ["annual-leave-policy.docx", "休假制度.docx"])
def test_docx_has_word_headings_a_table_and_a_page_header(documents: Path, name: str) -> None:
    document = docx.Document(str(documents / "hr" / name))
    styles = [paragraph.style.name for paragraph in document.paragraphs if paragraph.style]
    assert styles[0] == "Heading 1"
    assert styles.count("Heading 2") >= 5
    assert len(document.tables[0].rows) == 5 + (name == "annual-leave-policy.docx")
    assert "HR-02" in document.sections[0].header.paragraphs[0].text
    assert 'w:instr="PAGE"' in document.sections[0].footer._element.xml


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append(tag)
        if tag not in {"meta", "input", "hr"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_pages_are_well_formed_with_navigation_around_the_article(documents: Path) -> None:
    for path in (documents / "wiki").glob("*.html"):
        tags = _Tags()
        tags.feed(path.read_text(encoding="utf-8"))
        assert not tags.open
        assert {"header", "nav", "main", "footer", "table", "h1", "h2"} <= set(tags.seen), path.name


def _message(path: Path) -> EmailMessage:
    message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_plain_mail_in_chinese_reads_back(documents: Path) -> None:
    message = _message(documents / "wiki" / "工单-1063-发票抬头更正.eml")
    assert message.get_content_type() == "text/plain"
    assert "申请红冲重开" in str(message["Subject"])
    assert "发票尚未认证的" in message.get_content()


def test_multipart_mail_says_the_same_in_text_and_html(documents: Path) -> None:
    message = _message(documents / "wiki" / "工单-1071-账号锁定.eml")
    assert message.get_content_type() == "multipart/alternative"
    bodies = [message.get_body((kind,)) for kind in ("plain", "html")]
    for body in bodies:
        assert body is not None
        assert "凭据管理器" in body.get_content()


def test_the_price_list_has_two_sheets_with_numbers_as_numbers(documents: Path) -> None:
    book = openpyxl.load_workbook(documents / "wiki" / "price-list-2026.xlsx")
    assert len(book.worksheets) == 2
    header, first = list(book.worksheets[0].iter_rows(min_row=1, max_row=2, values_only=True))
    assert dict(zip(header, first, strict=True))["List price USD"] == 86.4


def test_markdown_tables_have_their_rule(documents: Path) -> None:
    lines = (documents / "hr" / "onboarding-checklist.md").read_text(encoding="utf-8").splitlines()
    heading = lines.index("| Review | Led by | Outcome |")
    assert lines[heading + 1] == "| --- | --- | --- |"
    assert lines[heading + 2].startswith("| Day 30")
    assert lines[0].startswith("# ")
