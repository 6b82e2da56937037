"""What unstructured leaves out of PowerPoint files: charts as tables of their data, diagrams, text in pictures,
embedded documents, notes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pptx
from pptx.enum.shapes import MSO_SHAPE_TYPE
from pptx.shapes.graphfrm import GraphicFrame
from pptx.shapes.picture import Picture

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import PermanentError
from kb_pipeline.parsing.common.cleaning import table
from kb_pipeline.parsing.embedded import read_inside
from kb_pipeline.parsing.office.drawings import chart_rows, chart_title, diagram_texts
from kb_pipeline.parsing.page.pictures import Pictures

_DIAGRAM_DATA = (
    "string(.//*[local-name()='relIds']/@*[local-name()='dm' and"
    " namespace-uri()='http://schemas.openxmlformats.org/officeDocument/2006/relationships'])"
)


def with_merged_cells(data: bytes) -> bytes:
    """The same file with cells over several rows repeated in each; `data` itself where there are none."""
    slides = pptx.Presentation(io.BytesIO(data))
    tables = (shape.table for slide in slides.slides for shape in _shapes(slide.shapes) if shape.has_table)
    if not sum(_repeat_merged([list(row.cells) for row in grid.rows]) for grid in tables):
        return data
    copy = io.BytesIO()
    slides.save(copy)
    return copy.getvalue()


def _repeat_merged(rows: list[list[Any]]) -> int:
    """Write the text of each cell over several rows into those below it that it covers; how many such cells there
    are."""
    merged = [
        (number, column, cell)
        for number, row in enumerate(rows)
        for column, cell in enumerate(row)
        if cell.is_merge_origin and cell.span_height > 1
    ]
    for number, column, cell in merged:
        for below in rows[number + 1 : number + cell.span_height]:
            if column < len(below):
                below[column].text = cell.text
    return len(merged)


def left_out(data: bytes, pictures: Pictures | None = None) -> dict[int, list[Element]]:
    """Charts, diagrams, text in pictures, embedded documents and notes by the number of their slide, from 1."""
    found, pictures = {}, pictures or Pictures()
    for number, slide in enumerate(pptx.Presentation(io.BytesIO(data)).slides, start=1):
        elements = [element for shape in _shapes(slide.shapes) for element in _told(shape, number, pictures)]
        if slide.has_notes_slide and (frame := slide.notes_slide.notes_text_frame) is not None:
            elements += [Element(p.text, "paragraph", page=number) for p in frame.paragraphs if p.text.strip()]
        if elements:
            found[number] = elements
    return found


def with_left_out(elements: Iterable[Element], left: dict[int, list[Element]]) -> list[Element]:
    """`elements` in order, what was left out at the end of its slide."""
    result: list[Element] = []
    waiting = dict(sorted(left.items()))
    for element in elements:
        while waiting and element.page is not None and next(iter(waiting)) < element.page:
            result += waiting.pop(next(iter(waiting)))
        result.append(element)
    return [*result, *(element for rest in waiting.values() for element in rest)]


def _shapes(shapes: Iterable[Any]) -> Iterator[Any]:
    for shape in shapes:
        if hasattr(shape, "shapes"):
            yield from _shapes(shape.shapes)
        else:
            yield shape


def _told(shape: Any, number: int, pictures: Pictures) -> Iterator[Element]:
    if shape.has_chart:
        yield from _chart(shape.chart.part.blob, number)
    elif isinstance(shape, Picture):
        try:
            data = shape.image.blob
        except (KeyError, ValueError, AttributeError):  # linked, or lost
            return
        yield from (Element(text, "image_text", page=number) for text in pictures.paragraphs(data))
    elif isinstance(shape, GraphicFrame) and (named := shape.element.xpath(_DIAGRAM_DATA)):
        texts = diagram_texts(shape.part.related_part(named).blob)
        yield from (Element(text, "paragraph", page=number) for text in texts)
    elif shape.shape_type == MSO_SHAPE_TYPE.EMBEDDED_OLE_OBJECT:
        yield from _embedded(shape.ole_format.blob, number)


def _chart(part: bytes, number: int) -> Iterator[Element]:
    """A chart's title, and its data: a row a category, a column a series."""
    if title := chart_title(part):
        yield Element(title, "paragraph", page=number)
    if rows := chart_rows(part):
        yield Element(table(rows), "table", page=number)


def _embedded(data: bytes, number: int) -> list[Element]:
    """What another document inside a slide holds, below the slide's title; nothing where it cannot be read."""
    inner = read_inside(data, "")
    if isinstance(inner, PermanentError):
        return []
    return [replace(e, page=number, level=e.level + 1 if e.level else None) for e in inner]
