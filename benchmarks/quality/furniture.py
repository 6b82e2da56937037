"""Whether page headers, footers, page numbers and watermarks go, and every line of the body stays: on PDFs made here,
of which both are known, and on those of the shared corpus."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pypdfium2
from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from benchmarks.quality.scoring import comparable
from benchmarks.quality.truth import CORPUS
from kb_pipeline.core.media_type import PDF
from kb_pipeline.parsing import parse

WIDTH, HEIGHT = A4
CHINESE_FONT = "STSong-Light"
FONTS = {"en": "Helvetica", "zh": CHINESE_FONT}
PAGES = (2, 3, 9)
# What a line of the body says, with its page and its number on the page so that no two are alike.
BODY = {
    "en": "The office on floor {floor} keeps file {line} until the audit has been closed by",
    "zh": "第{floor}层办公室保管的第{line}号档案在审计结束之前不得销毁也不得外借给其他部门使用",
}
SHORT = {"en": "Office {floor} keeps file {line} for the audit", "zh": "第{floor}层保管第{line}号档案直到审计结束"}
REPEATED = {"en": "Sign here after reading.", "zh": "阅读后请在此签名。"}
NAMES = {"en": "Example Ltd. Records Manual", "zh": "示例公司档案管理手册"}
CHAPTERS = {"en": ("Scope", "Retention", "Disposal"), "zh": ("适用范围", "保管期限", "销毁办法")}
MARKS = {"en": "CONFIDENTIAL", "zh": "内部资料"}
# What surrounds each page of the corpus's renderings in two columns.
DERIVED = "derived__*__2col_header_footer_watermark.pdf"
AROUND = re.compile(r"ACME|机密|CONFIDENTIAL|第\s*\d+\s*页|内部资料 注意保密")


@dataclass(slots=True)
class Sheet:
    """One page as it is drawn: what is said where, and which of it a reader takes for the body."""

    canvas: Canvas
    language: str
    page: int
    pages: int
    body: list[str] = field(default_factory=list)

    def write(self, x: float, y: float, text: str, size: float = 11, *, body: bool = False) -> None:
        """One line at (x, y)."""
        self.canvas.setFont(FONTS[self.language], size)
        self.canvas.drawString(x, y, text)
        if body:
            self.body.append(text)

    def paragraphs(self, first: int, last: int, x: float = 60, top: float = 740, texts: dict[str, str] = BODY) -> None:
        """Lines `first` to `last` of the body, one below the other."""
        for row, line in enumerate(range(first, last)):
            text = texts[self.language].format(floor=(7 * self.page + 3 * line) % 89, line=line)
            self.write(x, top - 16 * row, text, body=True)

    def slanted(self, text: str, size: float, grey: float) -> None:
        """A watermark across the page."""
        self.canvas.saveState()
        self.canvas.setFillGray(grey)
        self.canvas.translate(WIDTH / 2, HEIGHT / 2)
        self.canvas.rotate(45)
        self.canvas.setFont(FONTS[self.language], size)
        self.canvas.drawCentredString(0, 0, text)
        self.canvas.restoreState()


def header_and_number(sheet: Sheet) -> None:
    """The name above, the number of the page below."""
    numbers = {"en": f"Page {sheet.page} of {sheet.pages}", "zh": f"第 {sheet.page} 页 / 共 {sheet.pages} 页"}
    sheet.write(60, 805, NAMES[sheet.language], 9)
    sheet.paragraphs(1, 30)
    sheet.write(260, 28, numbers[sheet.language], 9)


def left_and_right(sheet: Sheet) -> None:
    """The name on left pages, the chapter on right ones; numbers at the outer edge, on the line of the header."""
    left = sheet.page % 2 == 0
    text = NAMES[sheet.language] if left else CHAPTERS[sheet.language][0]
    sheet.write(60 if left else 420, 805, text, 9)
    sheet.write(520 if not left else 30, 805, str(sheet.page), 9)
    sheet.paragraphs(1, 30)


def by_chapter(sheet: Sheet) -> None:
    """A header that names the chapter, three pages each; a bare number below."""
    sheet.write(60, 805, CHAPTERS[sheet.language][(sheet.page - 1) // 3], 9)
    sheet.paragraphs(1, 30)
    sheet.write(295, 28, str(sheet.page), 9)


def first_page_differs(sheet: Sheet) -> None:
    """A title and no header on the first page."""
    if sheet.page == 1:
        sheet.write(60, 780, NAMES[sheet.language], 20, body=True)
    else:
        sheet.write(60, 805, NAMES[sheet.language], 9)
    sheet.paragraphs(1, 28)
    sheet.write(280, 28, f"- {sheet.page} -", 9)


def two_columns(sheet: Sheet) -> None:
    """Two columns under a header, a slanted grey mark across."""
    sheet.write(60, 805, NAMES[sheet.language], 9)
    sheet.slanted(MARKS[sheet.language], 60, 0.85)
    sheet.paragraphs(1, 40, texts=SHORT)
    sheet.paragraphs(40, 79, x=320, texts=SHORT)
    sheet.write(290, 28, f"{sheet.page} / {sheet.pages}", 9)


def level_mark(sheet: Sheet) -> None:
    """A grey mark that is level, in letters little larger than the body's, behind lines far apart."""
    sheet.paragraphs(1, 12)
    sheet.canvas.setFillGray(0.8)
    sheet.write(230, 480, MARKS[sheet.language], 24)
    sheet.canvas.setFillGray(0)
    sheet.paragraphs(12, 30, top=440)


def tiled_mark(sheet: Sheet) -> None:
    """Small see-through marks all over the page."""
    sheet.paragraphs(1, 30)
    sheet.canvas.saveState()
    sheet.canvas.setFillAlpha(0.2)
    sheet.canvas.rotate(20)
    for x in range(100, 700, 200):
        for y in range(0, 700, 150):
            sheet.write(x, y, MARKS[sheet.language], 14)
    sheet.canvas.restoreState()


def two_rows_above(sheet: Sheet) -> None:
    """A header of two rows with a date, a footer of two."""
    sheet.write(60, 812, NAMES[sheet.language], 9)
    sheet.write(60, 800, "2026-11-01", 9)
    sheet.paragraphs(1, 30)
    sheet.write(60, 40, MARKS[sheet.language], 8)
    sheet.write(60, 28, f"www.example.com  {sheet.page}", 8)


def repeated_body(sheet: Sheet) -> None:
    """Pages without any header, each of which ends with the same sentence, in the middle of the page."""
    sheet.paragraphs(1, 20)
    sheet.write(60, 400, REPEATED[sheet.language], body=True)


def numbered_titles(sheet: Sheet) -> None:
    """Each page begins with a large title that only its number tells from the others."""
    titles = {"en": f"Chapter {sheet.page}", "zh": f"第{sheet.page}章"}
    sheet.write(60, 790, titles[sheet.language], 18, body=True)
    sheet.paragraphs(1, 30)
    sheet.write(295, 28, str(sheet.page), 9)


LAYOUTS: Sequence[Callable[[Sheet], None]] = (
    header_and_number,
    left_and_right,
    by_chapter,
    first_page_differs,
    two_columns,
    level_mark,
    tiled_mark,
    two_rows_above,
    repeated_body,
    numbered_titles,
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One page: what was left of its furniture, and which lines of its body are missing."""

    layout: str
    language: str
    pages: int
    page: int
    left: str
    lost: tuple[str, ...]


def judged() -> Iterator[Judged]:
    """Every page of every layout, in documents of every length, then those of the corpus."""
    pdfmetrics.registerFont(UnicodeCIDFont(CHINESE_FONT))
    for layout in LAYOUTS:
        for language in FONTS:
            for pages in PAGES:
                yield from _judge(layout.__name__.replace("_", " "), language, *_drawn(layout, language, pages))
    for path in sorted((CORPUS / "docs" / "pdf").rglob(DERIVED)):
        yield from _judge_rendering(path)


def _drawn(layout: Callable[[Sheet], None], language: str, pages: int) -> tuple[bytes, list[list[str]]]:
    """A document, and the body of each of its pages."""
    file = io.BytesIO()
    canvas = Canvas(file, pagesize=A4)
    sheets = [Sheet(canvas, language, page, pages) for page in range(1, pages + 1)]
    for sheet in sheets:
        layout(sheet)
        canvas.showPage()
    canvas.save()
    return file.getvalue(), [sheet.body for sheet in sheets]


def _judge_rendering(path: Path) -> Iterator[Judged]:
    """Pages of the corpus by their characters: lines are told apart where fonts change, and hyphens come and go."""
    read = parse(path.read_bytes(), PDF)
    with closing(pypdfium2.PdfDocument(path)) as document:
        pages = [page.get_textpage().get_text_range().splitlines() for page in document]
    for page, lines in enumerate(pages, start=1):
        wanted = _characters("".join(line for line in lines if not AROUND.search(line)))
        got = _characters("".join(element.text for element in read if element.page == page))
        left, lost = "".join((got - wanted).elements()), "".join((wanted - got).elements())
        yield Judged("of the corpus", path.parent.name, len(pages), page, left, (lost,) if lost else ())


def _characters(text: str) -> Counter[str]:
    return Counter(comparable(text).replace("-", "").replace("\ufffe", ""))


def _judge(layout: str, language: str, document: bytes, bodies: Sequence[Sequence[str]]) -> Iterator[Judged]:
    read = parse(document, PDF)
    for page, body in enumerate(bodies, start=1):
        left = comparable("".join(element.text for element in read if element.page == page))
        lost = []
        # The longest first: a short line may also be a part of a long one.
        for line in sorted(map(comparable, body), key=len, reverse=True):
            before, found, after = left.partition(line)
            left = f"{before}\n{after}"
            if not found:
                lost.append(line)
        yield Judged(layout, language, len(bodies), page, "".join(left.split()), tuple(lost))
