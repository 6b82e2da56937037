"""What was filled in on a page of PDF: values of form fields, and text typed onto it, which no text layer holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple

import pypdfium2
import pypdfium2.raw as pdfium

from kb_pipeline.parsing.page.aligned_tables import GAP
from kb_pipeline.parsing.page.ruling import Rule
from kb_pipeline.parsing.pdf.letters import Letters
from kb_pipeline.parsing.pdf.rules import page_rules

_TYPED = (pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT)


def with_forms(document: pypdfium2.PdfDocument) -> pypdfium2.PdfDocument:
    """`document`, its fields drawn also where the file has their values alone."""
    if document.get_formtype() != pdfium.FORMTYPE_NONE:
        document.init_forms()
    return document


class Printed(NamedTuple):
    """What was on a page before something was filled in: its ruling, without the frames of fields, and the number of
    its characters."""

    rules: list[Rule]
    characters: int


def filled_in(document: pypdfium2.PdfDocument, number: int) -> tuple[pypdfium2.PdfPage, Printed | None]:
    """Page `number` (from 0) with what was filled in made a part of it, after all else in the file's order; None if
    nothing was. Raises pypdfium2.PdfiumError for a page that cannot be loaded."""
    page = document[number]
    if not _has_typed(page):
        return page, None
    with closing(page):
        with closing(page.get_textpage()) as content:
            printed = Printed(page_rules(page), content.count_chars())
        done = pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS
    return document[number], printed if done else None


def _has_typed(page: pypdfium2.PdfPage) -> bool:
    for index in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, index)
        if annotation:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            pdfium.FPDFPage_CloseAnnot(annotation)
            if kind in _TYPED:
                return True
    return False


def fields_apart(letters: Letters, line: re.Match[str]) -> Iterator[re.Match[str]]:
    """The pieces of a line of the text layer that stand apart: fields one after the other in the file are one line."""
    begin = line.start()
    for space in re.finditer(" ", line.group()):
        place = line.start() + space.start()
        if begin < place < line.end() - 1 and _stand_apart(letters, place - 1, place + 1):
            yield from line.re.finditer(line.string, begin, place)
            begin = place + 1
    yield from line.re.finditer(line.string, begin, line.end())


def _stand_apart(letters: Letters, before: int, after: int) -> bool:
    """Whether two characters are further apart than words, or on different heights."""
    (_, end, low, high), (start, _, bottom, top) = (letters.room(letters.index(place)) for place in (before, after))
    size = max(high - low, top - bottom)
    return min(high, top) < max(low, bottom) or not -size < start - end <= GAP * size
