"""Pictures of text: recognised, laid out, and only where there is nothing better."""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageDraw, ImageFont
from pypdf import PdfWriter
from reportlab.lib.utils import ImageReader
from reportlab.pdfbase.pdfmetrics import registerFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import NoText
from kb_pipeline.core.media_type import PDF
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.options import ParseOptions, Strategy, reading_with
from kb_pipeline.parsing.page.ocr import LARGEST, frames
from kb_pipeline.parsing.page.pages import Picture
from kb_pipeline.parsing.page.pictures import Pictures
from kb_pipeline_tests.parsing.pdf.test_pdf import pdf

STRATEGIES: tuple[Strategy, ...] = ("auto", "fast", "ocr")
WORDS = ("Annual leave policy", "Employees receive 22 days of leave.")


def picture(*texts: str, ruled: bool = False, turn: float = 0.0) -> Image.Image:
    """A white page with large lines of text, or with a ruled table of two columns."""
    image = Image.new("RGB", (1200, 700), "white")
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(40)
    for place, text in enumerate(texts):
        where = (110 + 500 * (place % 2), 115 + 100 * (place // 2)) if ruled else (100, 100 + 90 * place)
        draw.text(where, text, fill="black", font=font)
    if ruled:
        for y in range(100, 101 + 100 * (len(texts) // 2), 100):
            draw.line((100, y, 1100, y), fill="black", width=3)
        for x in (100, 600, 1100):
            draw.line((x, 100, x, 100 + 100 * (len(texts) // 2)), fill="black", width=3)
    return image.rotate(turn, fillcolor="white")


def png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def scanned(*texts: str, layer: str = "") -> bytes:
    """A PDF page that is a picture, with `layer` as its text layer."""

    def write(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(picture(*texts)), 0, 0, 600, 350)
        if layer:
            canvas.drawString(40, 400, layer)

    return pdf(write)


def read(data: bytes, strategy: Strategy) -> list[Element]:
    with reading_with(ParseOptions(strategy)):
        return parse(data, PDF)


@pytest.mark.parametrize("turn", [0.0, 1.0])
def test_a_picture_is_read_also_when_it_is_askew(turn: float) -> None:
    assert " ".join(e.text for e in parse(png(picture(*WORDS, turn=turn)), "image/png")) == " ".join(WORDS)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_page_on_its_side_or_head_is_set_upright(turn: int) -> None:
    texts = picture(*WORDS).rotate(turn, expand=True)
    assert " ".join(element.text for element in parse(png(texts), "image/png")) == " ".join(WORDS)
    table = picture("Item", "Price", "Valve", "100", ruled=True).rotate(turn, expand=True)
    assert [element.text for element in parse(png(table), "image/png")] == ["Item\tPrice\nValve\t100"]


def test_a_photograph_is_turned_as_its_camera_says() -> None:
    exif, file = Image.Exif(), io.BytesIO()
    exif[ExifTags.Base.Orientation] = 6  # to be turned to the right by 90 degrees
    picture(*WORDS).rotate(90, expand=True).save(file, "JPEG", exif=exif)
    ((image, _),) = frames(file.getvalue())
    assert image.shape[:2] == (700, 1200)
    assert " ".join(element.text for element in parse(file.getvalue(), "image/jpeg")) == " ".join(WORDS)


@pytest.mark.parametrize(("mode", "file_format"), [("1", "PNG"), ("P", "PNG"), ("L", "JPEG")])
def test_a_picture_much_larger_than_the_recognizer_looks_at_is_made_smaller_first(mode: str, file_format: str) -> None:
    file = io.BytesIO()
    picture(*WORDS).convert(mode).resize((12_000, 7_000)).save(file, file_format)
    ((image, scale),) = frames(file.getvalue())
    assert max(image.shape) <= 2 * LARGEST
    assert image.shape[1] * scale == pytest.approx(12_000, rel=0.01)
    elements = parse(file.getvalue(), f"image/{file_format.lower()}")
    assert " ".join(element.text for element in elements) == " ".join(WORDS)
    assert elements[-1].box is not None
    assert elements[-1].box.x1 > image.shape[1], "in pixels of the file"


def test_a_page_that_its_pdf_turns_is_read_as_it_is_shown() -> None:
    def write(canvas: Canvas) -> None:
        canvas.setPageRotation(90)
        canvas.drawImage(ImageReader(picture(*WORDS).rotate(90, expand=True)), 0, 0, 350, 600)

    elements = read(pdf(write), "auto")
    assert " ".join(element.text for element in elements) == " ".join(WORDS)
    assert all(element.box and element.box.x1 > element.box.x0 > 0 for element in elements)


def test_what_is_recognised_with_little_confidence_is_dropped() -> None:
    image = picture(*WORDS)
    noise = Image.effect_noise((1200, 400), 90).convert("RGB").resize((1000, 330))
    image.paste(noise, (100, 330))
    assert " ".join(element.text for element in parse(png(image), "image/png")) == " ".join(WORDS)


def test_a_ruled_table_in_a_picture_is_a_table() -> None:
    (table,) = parse(png(picture("Item", "Price", "Valve", "100", ruled=True)), "image/png")
    assert (table.kind, table.text) == ("table", "Item\tPrice\nValve\t100")


def test_a_picture_without_text_says_so() -> None:
    with pytest.raises(NoText):
        parse(png(picture()), "image/png")


def test_a_scanned_page_is_read_and_has_its_page_and_place() -> None:
    elements = read(scanned(*WORDS), "auto")
    assert " ".join(element.text for element in elements) == " ".join(WORDS)
    assert all(element.page == 1 and element.box for element in elements)


def test_the_strategy_says_whether_pictures_or_text_layers_count() -> None:
    layered = scanned(*WORDS, layer="The text layer of this page says something else.")
    seen = {strategy: " ".join(e.text for e in read(layered, strategy)) for strategy in STRATEGIES}
    assert [WORDS[1] in seen[strategy] for strategy in STRATEGIES] == [False, False, True]
    assert all("something else" in text for text in seen.values())
    with pytest.raises(NoText):
        read(scanned(*WORDS), "fast")


def test_a_stamp_on_a_scan_is_no_text_layer() -> None:
    assert WORDS[1] in " ".join(element.text for element in read(scanned(*WORDS, layer="p. 7"), "auto"))


def test_a_scanned_form_is_recognised_with_what_was_filled_in_on_it() -> None:
    def write(canvas: Canvas) -> None:
        canvas.drawImage(ImageReader(picture(*WORDS)), 0, 0, 600, 350)
        canvas.acroForm.textfield(value="Seen by the board of directors", x=50, y=120, width=400, height=30)

    text = " ".join(element.text for element in read(pdf(write), "auto"))
    assert WORDS[1] in text
    assert "the board of directors" in text


def outlined(*texts: str) -> bytes:
    """A PDF page with the same picture drawn in strokes, as of letters that were made outlines."""
    bits = np.asarray(picture(*texts).convert("L")) < 128
    edges = np.diff(bits.astype(int), axis=1)

    def write(canvas: Canvas) -> None:
        for y, row in enumerate(edges):
            for begin, end in zip(np.flatnonzero(row == 1), np.flatnonzero(row == -1), strict=True):
                canvas.rect(begin / 2, 400 - y / 2, (end - begin) / 2, 0.5, stroke=0, fill=1)

    return pdf(write)


def unmapped(*texts: str) -> bytes:
    """A PDF page whose font has its letters under numbers of its own, and does not say which they are."""

    def write(canvas: Canvas) -> None:
        canvas.setFont("unmapped", 20)
        for place, text in enumerate(texts):
            canvas.drawString(60, 400 - 40 * place, text)

    registerFont(TTFont("unmapped", "Vera.ttf", asciiReadable=0))
    writer = PdfWriter(clone_from=io.BytesIO(pdf(write)))
    for font in writer.pages[0]["/Resources"]["/Font"].values():
        font.get_object().pop("/ToUnicode", None)
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize("page", [outlined, unmapped])
def test_letters_that_are_only_drawn_or_that_no_font_names_are_recognised(page: Callable[..., bytes]) -> None:
    assert " ".join(element.text for element in read(page(*WORDS), "auto")) == " ".join(WORDS)
    with pytest.raises(NoText):
        read(page(*WORDS), "fast")


def test_a_page_with_a_frame_and_few_letters_is_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(canvas: Canvas) -> None:
        canvas.rect(40, 40, 500, 700)
        canvas.drawString(60, 400, "Annexes")

    monkeypatch.setattr(Picture, "read", lambda _: pytest.fail("was recognised"))
    assert [element.text for element in read(pdf(write), "auto")] == ["Annexes"]


def test_a_picture_in_a_document_that_cannot_be_opened_costs_itself_alone() -> None:
    """One that says it has 3.6 thousand million pixels, which Pillow refuses, and one that ends in its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n\0\0\0\r" + header + struct.pack(">I", zlib.crc32(header)) + b"\0\0\0\0IDAT" + bytes(20)
    assert [Pictures().paragraphs(data) for data in (bomb, bomb[:20])] == [[], []]


def test_a_strip_cut_out_around_one_line_is_that_line_and_light_letters_are_seen_on_nothing() -> None:
    strip = Image.new("RGB", (110, 18), "white")
    ImageDraw.Draw(strip).text((4, 2), "Annual leave", fill="black", font=ImageFont.load_default(14))
    assert [e.text for e in parse(png(strip), "image/png")] == ["Annual leave"]
    clear = Image.new("RGBA", (1200, 300), (255, 255, 255, 0))
    ImageDraw.Draw(clear).text((100, 100), WORDS[0], fill="white", font=ImageFont.load_default(60))
    assert [e.text for e in parse(png(clear), "image/png")] == [WORDS[0]]
    with pytest.raises(NoText):
        parse(png(Image.new("RGB", (110, 18), "green")), "image/png")
