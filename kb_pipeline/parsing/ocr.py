"""Text in pictures, by rapidocr: PP-OCR's models for Chinese and English come in its wheel, nothing is downloaded."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from kb_pipeline.parsing.layout import Line

# Below this the recognizer guesses; rapidocr's own default, which left noise in none of the corpus's scans.
LEAST_CONFIDENCE = 0.5
# Longer sides are scaled down by the engine: a page of A4 at 200 dots an inch has 2,339.
LONGEST_SIDE = 2400


def read_lines(image: np.ndarray, page: int, points_per_pixel: float = 1.0) -> list[Line]:
    """Lines of text in `image` (height x width x 3, uint8, RGB), from the top down; lengths in points.

    A line's size is the height of its box, which is about a third more than that of its letters.
    """
    result = _engine()(np.ascontiguousarray(image[:, :, ::-1]))
    if result.boxes is None:
        return []
    height = image.shape[0]
    found = zip(result.boxes, result.txts, result.scores, strict=True)
    return [
        _line(np.asarray(box), text, page, height, points_per_pixel)
        for box, text, confidence in found
        if confidence >= LEAST_CONFIDENCE and text.strip()
    ]


def _line(box: np.ndarray, text: str, page: int, height: int, scale: float) -> Line:
    (left, top), (right, bottom) = box.min(axis=0), box.max(axis=0)
    return Line(
        text=text.strip(),
        page=page,
        size=float(bottom - top) * scale,
        left=float(left) * scale,
        right=float(right) * scale,
        bottom=float(height - bottom) * scale,
    )


@cache
def _engine() -> Any:
    """The engine of this process, on one thread: documents, and pages of one document, are read side by side."""
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    settings = {"Global.text_score": LEAST_CONFIDENCE, "Global.max_side_len": LONGEST_SIDE}
    return RapidOCR(params={**threads, **settings, "Global.log_level": "error"})


def frames(data: bytes) -> Iterator[np.ndarray]:
    """The pictures of an image file, one or (tiff, gif) several, upright, in RGB."""
    import io

    from PIL import Image, ImageOps, ImageSequence

    with Image.open(io.BytesIO(data)) as image:
        for frame in ImageSequence.Iterator(image):
            yield np.asarray(ImageOps.exif_transpose(frame).convert("RGB"))
