"""Pictures of pages: photographs, scans, screenshots. What is written on them is laid out as on a page of PDF."""

from __future__ import annotations

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import NoText
from kb_pipeline.parsing.options import in_force
from kb_pipeline.parsing.page.layout import assemble
from kb_pipeline.parsing.page.ocr import frames, read_strip
from kb_pipeline.parsing.page.pages import Picture, read_pages


def parse_image(data: bytes) -> list[Element]:
    """Titles and paragraphs of every picture in the file; the page counts them. Raises NoText."""
    if in_force().strategy == "hi_res":
        from kb_pipeline.parsing.pdf.hi_res import read_pictures

        return read_pictures(frame.image for frame in frames(data))
    read = read_pages(Picture(image, number, scale) for number, (image, scale) in enumerate(frames(data), start=1))
    lines = [line for page in read for line in page] or read_strip(next(frames(data)).image, 1)
    if not lines:
        raise NoText("No text was recognised in the picture.", "Nothing, if it shows none.")
    return assemble(lines, len(read))
