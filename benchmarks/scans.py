"""A scan of eight pages in worker processes, which read one page at a time, and as many as the machine has cores."""

from __future__ import annotations

import io
import os
import time
from functools import partial
from statistics import median

from PIL import Image, ImageDraw, ImageFont

from benchmarks.result import Result
from kb_pipeline.core.media_type import PDF
from kb_pipeline.demo.writing import contents
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.execution.worker import parts_at_once, step_done
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.options import ParseOptions

PAGES, LINES, COLUMNS = 8, 40, 80
REPEATS = 3
# Room for as many pages as there are cores.
MEMORY_MB = 1024 * (1 + len(os.sched_getaffinity(0)))


def run() -> list[Result]:
    """Wall seconds, the median of three, the two in turn; both must read the same."""
    document = scan()
    taken: dict[int | None, list[float]] = {1: [], None: []}
    read = set()
    for _ in range(REPEATS):
        for workers, seconds in taken.items():
            elapsed, elements = _read(document, workers)
            seconds.append(elapsed)
            read.add(elements)
    if len(read) != 1:
        raise AssertionError("The pages read side by side differ from those read one by one.")
    measured, baseline = f"a scan of {PAGES} pages, a page a core at a time", "one page at a time"
    return [Result(measured, median(taken[None]), baseline, median(taken[1]), "s")]


def scan() -> bytes:
    """A PDF of A4 pages at 200 dots an inch that are pictures of the demo's English text."""
    words = " ".join(text for text in contents().values() if text.isascii()).split()
    text = " ".join(words * 20)
    font = ImageFont.load_default(30)
    pages = []
    for page in range(PAGES):
        image = Image.new("RGB", (1654, 2339), "white")
        start = page * LINES * COLUMNS
        lines = [text[at : at + COLUMNS] for at in range(start, start + LINES * COLUMNS, COLUMNS)]
        ImageDraw.Draw(image).multiline_text((150, 150), "\n".join(lines), fill="black", font=font, spacing=18)
        pages.append(image)
    file = io.BytesIO()
    pages[0].save(file, "PDF", save_all=True, append_images=pages[1:], resolution=200)
    return file.getvalue()


def _read(document: bytes, workers: int | None) -> tuple[float, str]:
    """Wall seconds from an idle pool to the answer, the recognizer's start included; what was read."""
    work = partial(parse, media_type=PDF, options=ParseOptions(on_step=step_done, at_once=parts_at_once))
    with LocalWorkers(work, Limits(600.0, MEMORY_MB, workers), ("kb_pipeline.parsing.pdf.reader",)) as pool:
        started = time.perf_counter()
        ((_, answer),) = pool.run([document])
        elapsed = time.perf_counter() - started
    if isinstance(answer, Exception):
        raise answer
    return elapsed, "\n".join(element.text for element in answer)
