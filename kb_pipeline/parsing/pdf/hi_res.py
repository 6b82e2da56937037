"""Strategy hi_res: pages by the layout and table models of unstructured, letters on pictures by tesseract.

All of it comes with the extra hi-res but tesseract and the models' weights, which are fetched beforehand: a worker
downloads nothing.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import pypdfium2

from kb_pipeline.core.contracts import Box, Element
from kb_pipeline.core.errors import MissingExtra
from kb_pipeline.parsing.bootstrap import page_partitioner
from kb_pipeline.parsing.common.cleaning import join_lines
from kb_pipeline.parsing.common.elements import convert
from kb_pipeline.parsing.common.headings import MAX_TITLE_WIDTH, ends_sentence, title_level, width, without_bullet
from kb_pipeline.parsing.options import in_force
from kb_pipeline.parsing.page.layout import Levels, Line, heading_levels
from kb_pipeline.parsing.pdf.fields import filled_in
from kb_pipeline.parsing.pdf.lines import text_layer

MODEL = "yolox"
# What the models are loaded from, in the Hugging Face cache: layout, then tables.
WEIGHTS = (
    ("unstructuredio/yolo_x_layout", "yolox_l0.05.onnx"),
    ("microsoft/table-transformer-structure-recognition", "model.safetensors"),
)
_PACKAGES = ("unstructured_inference", "unstructured_pytesseract", "pdfminer", "pi_heif", "pikepdf")
_LANGUAGES = ("chi_sim", "eng")
_NO_LEVELS = Levels({}, None)
_STRATEGY = "strategy hi_res:"


def read_pages(document: pypdfium2.PdfDocument) -> list[Element]:
    """Elements of a PDF, page by page: each is a file of its own to the models, so that memory does not grow."""
    load()
    pages, layers = len(document), []
    for number in range(pages):
        try:
            page, form = filled_in(document, number)
            with closing(page):
                layers.append((number, page.get_size(), text_layer(page, number + 1, form) or []))
        except pypdfium2.PdfiumError:
            continue
    levels = heading_levels([line for _, _, lines in layers for line in lines])
    return [
        element
        for number, size, lines in layers
        for element in to_elements(_partition(_alone(document, number)), number + 1, size, lines, levels)
    ]


def read_pictures(frames: Iterable[np.ndarray]) -> list[Element]:
    """Elements of the pictures in an image file; the page counts them."""
    from PIL import Image

    load()
    elements: list[Element] = []
    for number, frame in enumerate(frames, start=1):
        file = BytesIO()
        Image.fromarray(frame).save(file, "PNG")
        size = (float(frame.shape[1]), float(frame.shape[0]))
        elements += to_elements(_partition(file, is_image=True), number, size)
    return elements


def _alone(document: pypdfium2.PdfDocument, number: int) -> BytesIO:
    """One page as a document, without a password."""
    file = BytesIO()
    with closing(pypdfium2.PdfDocument.new()) as one:
        one.import_pages(document, [number])
        one.save(file)
    return file


def _partition(file: BytesIO, *, is_image: bool = False) -> list[Any]:
    """What unstructured makes of one page."""
    file.seek(0)
    items: list[Any] = page_partitioner()(
        file=file,
        is_image=is_image,
        strategy="hi_res",
        hi_res_model_name=MODEL,
        infer_table_structure=True,
        languages=list(_LANGUAGES),
    )
    in_force().on_step()
    return items


def to_elements(
    items: Iterable[Any], page: int, size: tuple[float, float], lines: Sequence[Line] = (), levels: Levels = _NO_LEVELS
) -> Iterator[Element]:
    """Elements of unstructured on a page of this size as ours; `lines` of its text layer say how its titles rank."""
    for item in items:
        box = _box(item.metadata.coordinates, page, size)
        for element in convert([item]):
            yield _told(replace(element, page=page, box=box), lines, levels)


def _box(coordinates: Any, page: int, size: tuple[float, float]) -> Box | None:
    """From pixels of the picture that the models saw to points, both from the upper left corner."""
    if coordinates is None:
        return None
    across, down = size[0] / coordinates.system.width, size[1] / coordinates.system.height
    left, top = (min(one) for one in zip(*coordinates.points, strict=True))
    right, bottom = (max(one) for one in zip(*coordinates.points, strict=True))
    return Box(page, *(round(float(edge), 1) for edge in (left * across, top * down, right * across, bottom * down)))


def _told(element: Element, lines: Sequence[Line], levels: Levels) -> Element:
    """The element in running text, with the level that our reading of the letters gives a title. What is as long as a
    paragraph, or ends as one, is one, whatever the model calls it."""
    if element.kind == "table":
        rows = (row.split("\t") for row in element.text.split("\n"))
        return replace(element, text="\n".join("\t".join(join_lines(cell.split()) for cell in row) for row in rows))
    text = join_lines(element.text.split())
    if element.kind == "list_item":
        return replace(element, text=without_bullet(text))
    if element.kind != "title":
        return replace(element, text=text)
    if width(text) > MAX_TITLE_WIDTH or ends_sentence(text):
        return replace(element, text=text, kind="paragraph", level=None)
    inside = [line for line in lines if element.box and _is_inside(line, element.box)]
    return replace(element, text=text, level=levels.of_group(inside) or title_level(text) or 1)


def _is_inside(line: Line, box: Box) -> bool:
    across, down = (line.left + line.right) / 2, line.page_height - (line.bottom + line.top) / 2
    return box.x0 <= across <= box.x1 and box.y0 <= down <= box.y1


@cache
def load() -> None:
    """Load the models, once a process. Raises MissingExtra for a package, program or weights that are not there."""
    lacking = [name for name in _PACKAGES if importlib.util.find_spec(name) is None]
    if lacking:
        raise MissingExtra(
            f"{_STRATEGY} the packages {', '.join(lacking)} are not installed.", "pip install 'kb_pipeline[hi-res]'"
        )
    _check_tesseract()
    _check_weights()
    try:
        from unstructured_inference.models import tables
        from unstructured_inference.models.base import get_model

        page_partitioner()
        get_model(MODEL)
        tables.load_agent()
    except Exception as error:  # noqa: BLE001 - the libraries raise anything
        raise MissingExtra(
            f"{_STRATEGY} its models cannot be loaded ({type(error).__name__}).",
            f"Fetch the weights again ({_fetch()}), and see that torch and torchvision are of one build.",
        ) from None


def _check_tesseract() -> None:
    program = shutil.which("tesseract")
    told = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False) if program else None  # noqa: S603
    lacking = set(_LANGUAGES) - set(told.stdout.split() if told else ())
    if lacking:
        what = f"tesseract has no data for {', '.join(sorted(lacking))}" if program else "there is no tesseract"
        raise MissingExtra(
            f"{_STRATEGY} {what}.", "apt-get install tesseract-ocr tesseract-ocr-chi-sim, or choose strategy auto."
        )


def _check_weights() -> None:
    from huggingface_hub import try_to_load_from_cache

    lacking = [name for name, file in WEIGHTS if not isinstance(try_to_load_from_cache(name, file), str)]
    if lacking:
        raise MissingExtra(
            f"{_STRATEGY} the weights of {' and '.join(lacking)} are not in this machine's Hugging Face cache, and"
            " nothing is downloaded here.",
            f"Fetch them beforehand: {_fetch()}; or set HF_HOME to a cache that has them.",
        )


def _fetch() -> str:
    layout, tables = WEIGHTS
    return f"`hf download {' '.join(layout)}` and `hf download {tables[0]}`"
