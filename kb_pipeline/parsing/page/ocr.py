"""Text and ruling in pictures. rapidocr's wheel carries PP-OCR's models of Chinese and English, none is downloaded."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from kb_pipeline.parsing.page.columns import reading_order
from kb_pipeline.parsing.page.layout import Line
from kb_pipeline.parsing.page.ruled_tables import with_tables
from kb_pipeline.parsing.page.ruling import Rule, grids

if TYPE_CHECKING:
    import PIL.Image

# Longer sides are scaled down by the engine: a page of A4 at 200 dots an inch has 2,339.
LONGEST_SIDE = 2400
# Pictures of twice this size and more are made smaller first: it takes memory to hold what the engine will not look at.
LARGEST = 2 * LONGEST_SIDE
# Below this the recognizer guesses; it is rapidocr's own default.
LEAST_CONFIDENCE = 0.5
# A picture that is taken for a line as a whole is one only if the recognizer is sure.
CERTAIN = 0.8
# What is longer and narrower is a rule or a spacer: the engine would make the short side 30 pixels, the long one to
# match.
MOST_STRETCHED = LONGEST_SIDE // 30
# Times as high as wide; the engine's own measure for wide ones.
NARROWEST = 8
# Lines slanted this much against the page (degrees) are stamps and watermarks.
SLANTED = 8.0
# Shorter strokes than this share of a picture's width are no rules of a table.
RULE_SHARE = 0.02
# Boxes this much taller than wide hold lines that lie on their sides; it is the engine's own measure.
TALL = 1.5
# The classifier's word that a line stands on its head counts from here on, for the engine too.
TURNED = 0.9
# The mean of what is drawn, from 0 to 255, above which it would not be seen on white.
LIGHT = 200
_LETTER_SHARE = 0.75
LATIN_WIDTH = 0.52  # of a character's height, on average of a text
BOX_MARGIN = 0.3  # what boxes are wider than their text, in characters' heights


class Frame(NamedTuple):
    """A picture of a file: height x width x 3, uint8, RGB; and how many of the file's pixels one of its is long."""

    image: np.ndarray
    scale: float


def read_page(image: np.ndarray, page: int, points_per_pixel: float = 1.0) -> list[Line]:
    """Lines and ruled tables of `image` (height x width x 3, uint8, RGB), as they are read; lengths in points."""
    if _is_stretched(image):
        return []
    image, result = _upright(_wide_enough(image))
    if result.boxes is None:
        return []
    quads = [np.asarray(box, dtype=float) for box in result.boxes]
    skew = median(_angle(quad) for quad in quads)
    level = _Leveller(image.shape, skew, points_per_pixel)
    found = zip(quads, result.txts, result.scores, strict=True)
    lines = [
        level.line(quad, text, page)
        for quad, text, confidence in found
        if confidence >= LEAST_CONFIDENCE and text.strip() and abs(_angle(quad) - skew) < SLANTED
    ]
    tables = grids([level.rule(*ends) for ends in _strokes(image)])
    return reading_order(with_tables(reading_order(lines), tables))


def _is_stretched(image: np.ndarray) -> bool:
    return bool(max(image.shape[:2]) > MOST_STRETCHED * min(image.shape[:2]))


def _wide_enough(image: np.ndarray) -> np.ndarray:
    """With white on its right, if `image` is so narrow that the engine would enlarge it beyond measure; wide ones it
    pads itself."""
    missing = image.shape[0] // NARROWEST - image.shape[1]
    return np.pad(image, ((0, 0), (0, missing), (0, 0)), constant_values=255) if missing > 0 else image


def _upright(image: np.ndarray) -> tuple[np.ndarray, Any]:
    """What the engine finds in `image`, and the picture it was found in: turned, if its lines lie on their sides or
    stand on their heads."""
    turns, found = _looked(image)
    if turns:
        image = np.rot90(image, turns)
        _, found = _looked(image)
    return image, found


def _looked(image: np.ndarray) -> tuple[int, Any]:
    """How often `image` should be turned, and what the engine finds in it as it is. Raises MemoryError."""
    import cv2
    from rapidocr.inference_engine.onnxruntime.main import ONNXRuntimeError

    engine, pixels = _engine(), np.ascontiguousarray(image[:, :, ::-1])
    scaled, record = engine.preprocess_img(pixels)
    try:
        boxes, classes, texts, crops = engine.run_ocr_steps(scaled, record)
    except (ONNXRuntimeError, cv2.error) as error:
        if "alloc" in str(error):
            raise MemoryError from None
        raise
    turns = _quarter_turns(boxes.boxes, classes.cls_res)
    return turns, engine.build_final_output(pixels, boxes, classes, texts, crops, record)


def _quarter_turns(boxes: np.ndarray | None, classes: Sequence[tuple[str, float]] | None) -> int:
    """How often a picture is to be turned to the left until most of its text, by length, is upright. Boxes that are
    taller than wide were turned to the left once before the classifier saw them."""
    if boxes is None or classes is None:
        return 0
    lengths: Counter[int] = Counter()
    for box, (label, confidence) in zip(boxes, classes, strict=True):
        wide, high = math.dist(box[0], box[1]), math.dist(box[0], box[3])
        lengths[(high >= TALL * wide) + 2 * (label == "180" and confidence > TURNED)] += round(max(wide, high))
    return lengths.most_common(1)[0][0]


def read_strip(image: np.ndarray, page: int) -> list[Line]:
    """A picture cut out so closely around one line that no line is found in it, read as that line; none if it shows
    none."""
    if _is_stretched(image):
        return []
    engine = _engine()
    upright, _ = engine.cls_and_rotate([np.ascontiguousarray(image[:, :, ::-1])])
    read = engine.recognize_txt(upright)
    (text,), (confidence,) = read.txts, read.scores
    if not text.strip() or confidence < CERTAIN:
        return []
    height, width = image.shape[:2]
    return [Line(text.strip(), page, _LETTER_SHARE * height, 0.0, float(width), 0.0, page_height=float(height))]


class _Leveller:
    """From pixels of a page that was scanned askew to points of a level one, counted from the lower left corner."""

    def __init__(self, shape: Sequence[int], skew: float, scale: float) -> None:
        self.height, self.scale = shape[0], scale
        self.centre = np.array([shape[1] / 2, shape[0] / 2])
        turn = math.radians(-skew)
        self.turn = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])

    def points(self, pixels: np.ndarray) -> np.ndarray:
        """(n, 2) pixels, x and y from the upper left, to points."""
        turned = (pixels - self.centre) @ self.turn.T + self.centre
        return np.stack([turned[:, 0], self.height - turned[:, 1]], axis=1) * self.scale

    def line(self, quad: np.ndarray, text: str, page: int) -> Line:
        """A recognised line. Its size is told by its width where most of it is Chinese, whose characters are as wide as
        they are high; else by the height of its box, which is a third more."""
        corners = self.points(quad)
        (left, bottom), (right, top) = corners.min(axis=0), corners.max(axis=0)
        wide = [character > "\u2e7f" for character in text]
        ems = sum(1.0 if one else LATIN_WIDTH for one in wide) + BOX_MARGIN
        size = (right - left) / ems if 2 * sum(wide) >= len(wide) else _LETTER_SHARE * (top - bottom)
        high = self.height * self.scale
        return Line(text.strip(), page, float(size), float(left), float(right), float(bottom), page_height=high)

    def rule(self, x0: int, y0: int, x1: int, y1: int) -> Rule:
        """A stroke from one end to the other."""
        (left, bottom), (right, top) = np.sort(self.points(np.array([[x0, y0], [x1, y1]], dtype=float)), axis=0)
        return Rule(float(left), float(bottom), float(right), float(top))


def _angle(quad: np.ndarray) -> float:
    """Degrees by which a box's upper edge falls to the right."""
    (x0, y0), (x1, y1) = quad[0], quad[1]
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _strokes(image: np.ndarray) -> Iterator[tuple[int, int, int, int]]:
    """Ends of long level and upright strokes, in pixels."""
    import cv2

    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    ink = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, 31, 12)
    length = max(12, round(RULE_SHARE * image.shape[1]))
    for level in (True, False):
        kernel = np.ones((1, length) if level else (length, 1), np.uint8)
        strokes = cv2.dilate(cv2.morphologyEx(ink, cv2.MORPH_OPEN, kernel), np.ones((3, 3), np.uint8))
        for x, y, width, height, _ in cv2.connectedComponentsWithStats(strokes)[2][1:]:
            if level and width > 3 * height:
                yield x, y + height // 2, x + width, y + height // 2
            elif not level and height > 3 * width:
                yield x + width // 2, y, x + width // 2, y + height


@cache
def _engine() -> Any:
    """The engine of this process, on the thread that calls it: documents, and pages of one, are read side by side."""
    import cv2
    from rapidocr import RapidOCR

    cv2.setNumThreads(1)
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    threads = {f"EngineConfig.onnxruntime.{kind}_op_num_threads": 1 for kind in ("intra", "inter")}
    settings = {"Global.text_score": LEAST_CONFIDENCE, "Global.max_side_len": LONGEST_SIDE}
    return RapidOCR(params={**threads, **settings, "Global.log_level": "error"})


def frames(data: bytes) -> Iterator[Frame]:
    """The pictures of an image file, one or (tiff, gif) several, upright."""
    from PIL import Image, ImageOps, ImageSequence

    if data[4:8] == b"ftyp":
        import pi_heif

        pi_heif.register_heif_opener()
    with Image.open(BytesIO(data)) as image:
        longest = max(image.size)
        if longest >= 2 * LARGEST:
            image.draft("RGB", (image.width * LARGEST // longest, image.height * LARGEST // longest))  # JPEG alone
        drafted = longest / max(image.size)
        for frame in ImageSequence.Iterator(image):
            times = max(1, max(frame.size) // LARGEST)
            shrunk = _with_plain_colours(frame).reduce(times) if times > 1 else frame
            yield Frame(_on_paper(ImageOps.exif_transpose(shrunk)), drafted * times)


def _with_plain_colours(image: PIL.Image.Image) -> PIL.Image.Image:
    """What can be scaled: no palette, no single bits."""
    return image.convert({"1": "L", "P": "RGBA"}.get(image.mode, image.mode))


def _on_paper(image: PIL.Image.Image) -> np.ndarray:
    from PIL import Image

    if not image.has_transparency_data:
        return np.asarray(image.convert("RGB"))
    drawn = image.convert("RGBA")
    light = _is_light(np.asarray(drawn))
    paper = Image.new("RGBA", drawn.size, "black" if light else "white")
    seen = np.asarray(Image.alpha_composite(paper, drawn).convert("RGB"))
    return 255 - seen if light else seen


def _is_light(image: np.ndarray) -> bool:
    """Whether what is drawn on a transparent ground is so light that it would not be seen on a white page."""
    weight = image[:, :, 3].astype(float)
    drawn = (image[:, :, :3].mean(axis=2) * weight).sum() / (weight.sum() or 1.0)
    return bool(drawn > LIGHT and not weight.all())
