"""PDF: the text layer as pypdfium2 gives it, line by line with size and place, or by OCR where a page has none.

layout.py makes paragraphs of the lines.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator, Sequence
from contextlib import closing

import pypdfium2
import pypdfium2.raw as pdfium

from kb_pipeline.contracts import Element
from kb_pipeline.errors import CorruptDocument, EncryptedDocument, NoText
from kb_pipeline.parsing.layout import Line, assemble

POINTS_PER_INCH, DOTS_PER_INCH = 72, 200
LEAST_CHARACTERS = 16
UNMAPPED_SHARE = 0.3
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08]")
_LINE = re.compile(r"[^\r\n]+")
_LOCKED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)


def parse_pdf(data: bytes) -> list[Element]:
    """Paragraphs and titles of all pages. A file that opens with the empty password is not taken as encrypted."""
    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in _LOCKED:
            raise EncryptedDocument("The PDF needs a password to open.", "Save it without a password.") from None
        raise CorruptDocument("The file is no readable PDF.", "Open it in a PDF viewer and save it again.") from None
    with closing(document):
        pages = len(document)
        lines = [line for number in range(pages) for line in _page_lines(document, number)]
    if not lines:
        raise NoText(f"The PDF has no text on any of its {pages} pages, in no picture either.", "Nothing, if so it is.")
    return assemble(lines, pages)


def _page_lines(document: pypdfium2.PdfDocument, number: int) -> list[Line]:
    """Lines of one page in the order of the file; nothing for a page that cannot be loaded."""
    try:
        page = document[number]
    except pypdfium2.PdfiumError:
        return []
    with closing(page):
        lines = list(_text_layer(page, number + 1))
        return lines if is_usable(lines) else _recognised(page, number + 1) or lines


def _text_layer(page: pypdfium2.PdfPage, number: int) -> Iterator[Line]:
    with closing(page.get_textpage()) as content:
        for match in _LINE.finditer(content.get_text_range()):
            line = _measured(content.raw, match, number)
            if line is not None:
                yield line


def is_usable(lines: Sequence[Line]) -> bool:
    """Whether a text layer is one: a scanner's stamp on a page, or glyphs that no font maps to characters, is none."""
    text = "".join(line.text for line in lines)
    unmapped = len(_UNMAPPED.findall(text))
    return len(text) >= LEAST_CHARACTERS and unmapped <= UNMAPPED_SHARE * len(text)


def _recognised(page: pypdfium2.PdfPage, number: int) -> list[Line]:
    """Lines of a page that is a picture. A page without any picture is blank: nothing is looked for on it."""
    if not any(page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE], max_depth=3)):
        return []
    from kb_pipeline.parsing.ocr import read_lines

    bitmap = page.render(scale=DOTS_PER_INCH / POINTS_PER_INCH, rev_byteorder=True)
    return read_lines(bitmap.to_numpy()[:, :, :3], number, POINTS_PER_INCH / DOTS_PER_INCH)


def _measured(content: pdfium.FPDF_TEXTPAGE, match: re.Match[str], page: int) -> Line | None:
    """Size and extent of a line, from its first and last visible characters. None for a line of spaces."""
    text = match.group()
    if not text.strip():
        return None
    first = pdfium.FPDFText_GetCharIndexFromTextIndex(content, match.start() + len(text) - len(text.lstrip()))
    last = pdfium.FPDFText_GetCharIndexFromTextIndex(content, match.start() + len(text.rstrip()) - 1)
    matrix, start, end = pdfium.FS_MATRIX(), pdfium.FS_RECTF(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetMatrix(content, first, ctypes.byref(matrix))
    pdfium.FPDFText_GetLooseCharBox(content, first, ctypes.byref(start))
    pdfium.FPDFText_GetLooseCharBox(content, last, ctypes.byref(end))
    return Line(
        text=text.strip(),
        page=page,
        size=pdfium.FPDFText_GetFontSize(content, first) * math.hypot(matrix.c, matrix.d),
        left=start.left,
        right=end.right,
        bottom=start.bottom,
        angle=math.degrees(math.atan2(matrix.b, matrix.a)),
    )
