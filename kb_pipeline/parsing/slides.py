"""What unstructured leaves out of PowerPoint files: charts as tables of their data, text in pictures, notes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from typing import Any

import pptx
from pptx.shapes.picture import Picture

from kb_pipeline.contracts import Element
from kb_pipeline.parsing.cleaning import table
from kb_pipeline.parsing.pictures import Pictures


def left_out(data: bytes) -> dict[int, list[Element]]:
    """Charts, text in pictures and notes by the number of their slide, from 1."""
    found, pictures = {}, Pictures()
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
        yield from _chart(shape.chart, number)
    elif isinstance(shape, Picture):
        try:
            data = shape.image.blob
        except (KeyError, ValueError, AttributeError):  # linked, or lost
            return
        yield from (Element(text, "image_text", page=number) for text in pictures.paragraphs(data))


def _chart(chart: Any, number: int) -> Iterator[Element]:
    """A chart's title, and its data: a row a category, a column a series."""
    if chart.has_title and chart.chart_title.has_text_frame:
        yield Element(chart.chart_title.text_frame.text, "paragraph", page=number)
    for plot in chart.plots:
        series = [(str(one.name), list(one.values)) for one in plot.series]
        rows = [
            [str(category), *(_value(values, n) for _, values in series)] for n, category in enumerate(plot.categories)
        ]
        if rows:
            yield Element(table([["", *(name for name, _ in series)], *rows]), "table", page=number)


def _value(values: list[float | None], place: int) -> str:
    value = values[place] if place < len(values) else None
    return "" if value is None else f"{value:.15g}"
