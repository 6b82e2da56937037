"""PDF: pages by their text layer (pdf_lines.py), by OCR where one has none. layout.py makes paragraphs of the lines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import pypdfium2
import pypdfium2.raw as pdfium

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import CorruptDocument, EncryptedDocument, NoText
from kb_pipeline.parsing.common.protection import LOCKED_REMEDY
from kb_pipeline.parsing.options import in_force
from kb_pipeline.parsing.page.layout import Line, assemble
from kb_pipeline.parsing.page.ocr import LARGEST
from kb_pipeline.parsing.page.pages import Picture, read_pages
from kb_pipeline.parsing.page.watermarks import without_watermarks
from kb_pipeline.parsing.pdf.fields import Printed, filled_in, with_forms
from kb_pipeline.parsing.pdf.lines import text_layer
from kb_pipeline.parsing.pdf.outline import outline, with_outline

POINTS_PER_INCH, DOTS_PER_INCH = 72, 200
# Shorter text layers are a scanner's stamp.
LEAST_CHARACTERS = 16
# Strokes that as many letters take if they are drawn as outlines; a frame, or a rule under a title, takes few.
LEAST_SEGMENTS = 10 * LEAST_CHARACTERS
_LOCKED = (pdfium.FPDF_ERR_PASSWORD, pdfium.FPDF_ERR_SECURITY)


def parse_pdf(data: bytes) -> list[Element]:
    """Paragraphs, titles and tables of all pages. What opens with the empty password is not taken as encrypted."""
    with closing(with_forms(_opened(data))) as document:
        if in_force().strategy == "hi_res":
            from kb_pipeline.parsing.pdf import hi_res

            return hi_res.read_pages(document)
        pages = len(document)
        lines = [line for page in read_pages(_page(document, number) for number in range(pages)) for line in page]
        lines = without_watermarks(lines, pages)
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
