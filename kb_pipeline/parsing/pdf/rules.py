"""The straight lines that are drawn on a page of PDF."""

from __future__ import annotations

import ctypes

import pypdfium2
import pypdfium2.raw as pdfium

from kb_pipeline.parsing.page.ruling import MOST_RULES, Rule

# What is no wider than this is a line, however it is drawn: as a stroke, or as a rectangle filled.
THICKEST = 3.0
_RECTANGLE_SEGMENTS = (4, 5, 6)


def page_rules(page: pypdfium2.PdfPage) -> list[Rule]:
    """Rules of a page, the edges of stroked rectangles among them; none of a page that is full of drawings."""
    rules: list[Rule] = []
    edges = [ctypes.c_float() for _ in range(4)]
    into = [ctypes.byref(edge) for edge in edges]
    for number in range(pdfium.FPDFPage_CountObjects(page.raw)):
        drawn = pdfium.FPDFPage_GetObject(page.raw, number)
        if pdfium.FPDFPageObj_GetType(drawn) != pdfium.FPDF_PAGEOBJ_PATH:
            continue
        pdfium.FPDFPageObj_GetBounds(drawn, *into)
        left, bottom, right, top = (edge.value for edge in edges)
        if min(right - left, top - bottom) <= THICKEST:
            rules.append(_through_the_middle(left, bottom, right, top))
        elif _is_stroked_rectangle(drawn):
            rules += _edges(left, bottom, right, top)
        if len(rules) > MOST_RULES:
            return []
    return rules


def _through_the_middle(left: float, bottom: float, right: float, top: float) -> Rule:
    if right - left >= top - bottom:
        return Rule(left, (bottom + top) / 2, right, (bottom + top) / 2)
    return Rule((left + right) / 2, bottom, (left + right) / 2, top)


def _is_stroked_rectangle(drawn: pdfium.FPDF_PAGEOBJECT) -> bool:
    if pdfium.FPDFPath_CountSegments(drawn) not in _RECTANGLE_SEGMENTS:
        return False
    fill, stroke = ctypes.c_int(), pdfium.FPDF_BOOL()
    pdfium.FPDFPath_GetDrawMode(drawn, ctypes.byref(fill), ctypes.byref(stroke))
    return bool(stroke.value)


def _edges(left: float, bottom: float, right: float, top: float) -> list[Rule]:
    return [
        *(Rule(left, y, right, y) for y in (bottom, top)),
        *(Rule(x, bottom, x, top) for x in (left, right)),
    ]
