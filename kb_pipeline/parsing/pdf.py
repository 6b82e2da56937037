"""PDF: the text layer as pypdfium2 gives it, line by line with size and place, or by OCR where a page has none.

layout.py makes paragraphs of the lines.
"""

from __future__ import annotations

import ctypes
import math
import re
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import lru_cache
from itertools import groupby

import pypdfium2
import pypdfium2.raw as pdfium

from kb_pipeline.contracts import Element
from kb_pipeline.errors import CorruptDocument, EncryptedDocument, NoText
from kb_pipeline.parsing.aligned_tables import GAP, with_aligned_tables
from kb_pipeline.parsing.columns import reading_order
from kb_pipeline.parsing.headings import width
from kb_pipeline.parsing.layout import Line, assemble
from kb_pipeline.parsing.options import in_force
from kb_pipeline.parsing.pages import LARGEST, Picture, read_pages
from kb_pipeline.parsing.pdf_fields import Printed, fields_apart, filled_in, with_forms
from kb_pipeline.parsing.pdf_outline import outline, with_outline
from kb_pipeline.parsing.pdf_rules import page_rules
from kb_pipeline.parsing.protection import LOCKED_REMEDY
from kb_pipeline.parsing.ruled_tables import with_tables
from kb_pipeline.parsing.ruling import Grid, grids
from kb_pipeline.parsing.watermarks import without_watermarks

POINTS_PER_INCH, DOTS_PER_INCH = 72, 200
# Shorter text layers are a scanner's stamp.
LEAST_CHARACTERS = 16
# Strokes that as many letters take if they are drawn as outlines; a frame, or a rule under a title, takes few.
LEAST_SEGMENTS = 10 * LEAST_CHARACTERS
# So many letters of a page are asked what they are.
SAMPLE, UNMAPPED_SHARE = 64, 0.3
BOLD_WEIGHT = 600
FIXED_PITCH = 1  # PDF 32000-1, table 123
# A line is looked at for gaps if it is this many letter heights longer than its letters.
SPREAD = 3.0
# Of 255: what lets more of the page show through, or is as light, is there to be overlooked; what is lighter still
# stands on a dark ground.
FAINT_OPACITY, FAINT_SHADES = 180, range(160, 236)
_BOLD_NAME = re.compile(rb"bold|black|heavy", re.IGNORECASE)
_MONO_NAME = re.compile(rb"mono|courier|consolas|menlo|typewriter|cmtt", re.IGNORECASE)
_FontName = ctypes.c_char * 64
_UNMAPPED = re.compile("[\ufffd\ue000-\uf8ff\x00-\x08]")
_LINE = re.compile(r"[^\r\n]+")
_LOCKED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)


def parse_pdf(data: bytes) -> list[Element]:
    """Paragraphs, titles and tables of all pages. What opens with the empty password is not taken as encrypted."""
    with closing(with_forms(_opened(data))) as document:
        if in_force().strategy == "hi_res":
            from kb_pipeline.parsing import hi_res

            return hi_res.read_pages(document)
        pages = len(document)
        lines = [line for page in read_pages(_page(document, number) for number in range(pages)) for line in page]
        lines = without_watermarks(lines, pages, lambda found: _faint(document, found))
        lines = with_outline(lines, outline(document))
    if not lines:
        raise NoText(f"The PDF has no text on any of its {pages} pages.", "For a scan: parsing.strategy auto or ocr.")
    return assemble(lines, pages)


def _opened(data: bytes) -> pypdfium2.PdfDocument:
    for password in (None, *in_force().passwords):
        try:
            return pypdfium2.PdfDocument(data, password=password)
        except pypdfium2.PdfiumError as error:
            if error.err_code not in _LOCKED:
                remedy = "Open it in a PDF viewer and save it again."
                raise CorruptDocument("The file is no readable PDF.", remedy) from None
    raise EncryptedDocument("The PDF needs a password to open.", LOCKED_REMEDY)


def _page(document: pypdfium2.PdfDocument, number: int) -> list[Line] | Picture:
    """Lines of one page in the order of the file, or what to recognise; nothing for a page that cannot be loaded."""
    try:
        page, form = filled_in(document, number)
    except pypdfium2.PdfiumError:
        return []
    with closing(page):
        strategy = in_force().strategy
        layer = None if strategy == "ocr" else text_layer(page, number + 1, form)
        if strategy == "fast" or (layer is not None and _is_all(page, layer, form)):
            return layer or []
        scale = min(DOTS_PER_INCH / POINTS_PER_INCH, LARGEST / max(page.get_size()))
        image = page.render(scale=scale, rev_byteorder=True).to_numpy()[:, :, :3]
        return Picture(image, number + 1, 1 / scale, layer or [])


def text_layer(page: pypdfium2.PdfPage, number: int, form: Printed | None = None) -> list[Line] | None:
    """Lines of a page's text, [] for a scan; None if it has text, but no font says which characters its letters are.
    A page on which something was filled in, a `form`, is read by place: the fields come last in the file."""
    with closing(page.get_textpage()) as content:
        matches = list(_LINE.finditer(content.get_text_range()))
        if not matches:
            return []
        if not _is_mapped(content.raw):
            return None
        if form:
            matches = [piece for match in matches for piece in fields_apart(content.raw, match)]
        tables, high = grids(form.rules if form else page_rules(page)), page.get_height()
        lines = []
        for match in matches:
            line = _measured(content.raw, match, number, high)
            if line is not None:
                lines += _in_cells(content.raw, match, line, tables)
    if form:
        lines = reading_order(lines)
    return with_aligned_tables(with_tables(lines, tables) if tables else lines)


def _in_cells(content: pdfium.FPDF_TEXTPAGE, match: re.Match[str], line: Line, tables: Sequence[Grid]) -> list[Line]:
    """A line that runs through several cells of a row, or over wide gaps, in its parts."""
    borders = next(filter(None, (g.borders(line.left, line.right, line.bottom + line.size / 3) for g in tables)), ())
    if line.oblique or not (borders or _is_spread(line)):
        return [line]
    pieces: dict[int, list[tuple[str, float, float]]] = {}
    cell, end = 0, line.left
    for character, left, right in _characters(content, match):
        if not character.isspace():
            apart = left - end > GAP * line.size
            cell, end = bisect(borders, (left + right) / 2) if borders else cell + apart, right
        elif not pieces:
            continue
        pieces.setdefault(cell, []).append((character, left, right))
    return [
        replace(line, text="".join(c for c, _, _ in told).strip(), left=told[0][1], right=max(r for _, _, r in told))
        for told in pieces.values()
    ]


def _characters(content: pdfium.FPDF_TEXTPAGE, match: re.Match[str]) -> Iterator[tuple[str, float, float]]:
    """Each character of a line with its left and its right edge."""
    box = [ctypes.c_double() for _ in range(4)]
    into = [ctypes.byref(edge) for edge in box]
    for place, character in enumerate(match.group(), start=match.start()):
        index = pdfium.FPDFText_GetCharIndexFromTextIndex(content, place)
        pdfium.FPDFText_GetCharBox(content, index, *into)
        yield character, box[0].value, box[1].value


def _is_spread(line: Line) -> bool:
    """Whether a line is so much longer than its letters that they must stand apart; Latin ones are half as wide as
    high. Code keeps its lines as they are."""
    room = line.right - line.left - SPREAD * line.size
    return room > 0 and not line.mono and " " in line.text and room > 0.55 * line.size * width(line.text)


def _faint(document: pypdfium2.PdfDocument, lines: Sequence[Line]) -> list[Line]:
    """Those of `lines` that are set in a light colour, or let the page show through."""
    found: list[Line] = []
    for number, group in groupby(sorted(lines, key=lambda line: line.page), key=lambda line: line.page):
        with closing(document[number - 1]) as page, closing(page.get_textpage()) as content:
            found += [line for line in group if _is_faint(content.raw, line)]
    return found


def _is_faint(content: pdfium.FPDF_TEXTPAGE, line: Line) -> bool:
    near, colour = line.size / 2, [ctypes.c_uint() for _ in range(4)]
    index = pdfium.FPDFText_GetCharIndexAtPos(content, line.left + near, line.bottom + near, near, near)
    if index < 0 or not pdfium.FPDFText_GetFillColor(content, index, *map(ctypes.byref, colour)):
        return False
    *shades, opacity = (part.value for part in colour)
    return opacity < FAINT_OPACITY or min(shades) in FAINT_SHADES


def _is_mapped(content: pdfium.FPDF_TEXTPAGE) -> bool:
    """Whether the fonts of a page say which characters its letters are, by a sample of them."""
    count = pdfium.FPDFText_CountChars(content)
    unmapped = visible = 0
    for index in range(0, count, max(1, count // SAMPLE)):
        code = pdfium.FPDFText_GetUnicode(content, index)
        visible += code > ord(" ")
        unmapped += pdfium.FPDFText_HasUnicodeMapError(content, index) == 1 or bool(_UNMAPPED.match(chr(code)))
    return unmapped <= UNMAPPED_SHARE * max(visible, unmapped)


def _is_all(page: pypdfium2.PdfPage, layer: Sequence[Line], form: Printed | None) -> bool:
    """Whether a page shows no text but its layer: in a picture, or as outlines. What was filled in on a scan is little
    of it."""
    if (form.characters if form else sum(len(line.text) for line in layer)) >= LEAST_CHARACTERS:
        return True
    drawn = 0
    for found in page.get_objects(filter=[pdfium.FPDF_PAGEOBJ_IMAGE, pdfium.FPDF_PAGEOBJ_PATH], max_depth=3):
        drawn += LEAST_SEGMENTS if found.type == pdfium.FPDF_PAGEOBJ_IMAGE else pdfium.FPDFPath_CountSegments(found)
        if drawn >= LEAST_SEGMENTS:
            return False
    return True


def _measured(content: pdfium.FPDF_TEXTPAGE, match: re.Match[str], page: int, high: float) -> Line | None:
    """Size and extent of a line, from its first and last visible characters. None for a line of spaces."""
    text = match.group().rstrip()
    told = text.lstrip()
    if not told:
        return None
    first = pdfium.FPDFText_GetCharIndexFromTextIndex(content, match.start() + len(text) - len(told))
    last = pdfium.FPDFText_GetCharIndexFromTextIndex(content, match.start() + len(text) - 1)
    bold, mono = _letters(content, first)
    bold_last, mono_last = _letters(content, last) if bold or mono else (False, False)
    matrix, start, end = pdfium.FS_MATRIX(), pdfium.FS_RECTF(), pdfium.FS_RECTF()
    pdfium.FPDFText_GetMatrix(content, first, ctypes.byref(matrix))
    pdfium.FPDFText_GetLooseCharBox(content, first, ctypes.byref(start))
    pdfium.FPDFText_GetLooseCharBox(content, last, ctypes.byref(end))
    return Line(
        text=told,
        page=page,
        size=_finite(abs(pdfium.FPDFText_GetFontSize(content, first)) * math.hypot(matrix.c, matrix.d)),
        left=_finite(start.left),
        right=_finite(end.right),
        bottom=_finite(start.bottom),
        angle=_finite(math.degrees(math.atan2(matrix.b, matrix.a))),
        bold=bold and bold_last,
        mono=mono and mono_last,
        page_height=high,
    )


def _finite(length: float) -> float:
    """`length`, or 0 where the file's numbers lead out of those that can be compared."""
    return length if math.isfinite(length) else 0.0


def _letters(content: pdfium.FPDF_TEXTPAGE, index: int) -> tuple[bool, bool]:
    """Whether a character is bold, and set in a font of one width: by the font's flags, weight or name."""
    flags, name = ctypes.c_int(), _FontName()
    pdfium.FPDFText_GetFontInfo(content, index, name, len(name), ctypes.byref(flags))
    bold, mono = _said_by_name(name.value)
    bold = bold or pdfium.FPDFText_GetFontWeight(content, index) >= BOLD_WEIGHT
    return bold, mono or bool(flags.value & FIXED_PITCH)


@lru_cache(maxsize=256)
def _said_by_name(font: bytes) -> tuple[bool, bool]:
    """Whether a font's name says that it is bold, and of one width."""
    return _BOLD_NAME.search(font) is not None, _MONO_NAME.search(font) is not None
