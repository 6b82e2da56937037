"""Strategy hi_res: what unstructured's models see becomes our elements, and what they lack is named.

The models themselves run where the extra hi-res is installed, with weights of a few kilobytes that are made here.
"""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from dataclasses import astuple
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path

import pypdfium2
import pytest

from kb_pipeline.core import media_type
from kb_pipeline.core.contracts import Box, Element
from kb_pipeline.core.errors import MissingExtra
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.bootstrap import warm_up
from kb_pipeline.parsing.options import ParseOptions
from kb_pipeline.parsing.page.layout import Levels, Line
from kb_pipeline.parsing.pdf import hi_res
from kb_pipeline_tests.offline import asked_for, offline
from kb_pipeline_tests.parsing.pdf.tiny_layout_models import FOOTER, HEADER, TEXT, TITLE, write_cache

warm_up(["docx"])  # before anything else of unstructured is imported, which would ask the network

from unstructured.documents.coordinates import PixelSpace  # noqa: E402
from unstructured.documents.elements import (  # noqa: E402
    CoordinatesMetadata,
    ElementMetadata,
    Footer,
    Header,
    Image,
    ListItem,
    NarrativeText,
    Table,
    Text,
    Title,
)

OPTIONS = ParseOptions("hi_res")
HAS_EXTRA = importlib.util.find_spec("unstructured_inference") is not None
A4 = (595.0, 842.0)


def seen(kind: type[Text], text: str, *, top: float = 0.0, html: str | None = None) -> Text:
    """An element as hi_res gives it, a line high, on a picture of 1190 x 1684 pixels."""
    corners = ((100.0, top), (100.0, top + 40), (1100.0, top + 40), (1100.0, top))
    where = CoordinatesMetadata(corners, PixelSpace(1190, 1684))
    return kind(text=text, metadata=ElementMetadata(coordinates=where, text_as_html=html))


def read(*items: Text, lines: tuple[Line, ...] = (), levels: Levels | None = None) -> list[Element]:
    return list(hi_res.to_elements(items, 3, A4, lines, levels or Levels({}, None)))


def test_kinds_places_and_running_text() -> None:
    elements = read(
        seen(Header, "Internal"),
        seen(Title, "总 则", top=200),
        seen(NarrativeText, "本 手册 适用于 Qwen3 与 全体 员工", top=300),
        seen(ListItem, "• 员工 名册"),
        seen(Image, "组织 结构"),
        seen(Footer, "3"),
    )
    assert [(e.kind, e.text) for e in elements] == [
        ("title", "总则"),
        ("paragraph", "本手册适用于 Qwen3 与全体员工"),
        ("list_item", "员工名册"),
        ("image_text", "组织结构"),
    ]
    assert {e.page for e in elements} == {3}
    assert elements[0].box == Box(3, 50.0, 100.0, 550.0, 120.0)


def test_a_table_is_one_by_its_rows_and_cells() -> None:
    markup = "<table><tr><th>部 门</th><th>Head count</th></tr><tr><td>人 事 部</td><td>12</td></tr></table>"
    (table,) = read(seen(Table, "部 门 Head count 人 事 部 12", html=markup))
    assert (table.kind, table.text) == ("table", "部门\tHead count\n人事部\t12")
    assert table.box is not None


def test_a_title_has_the_level_of_its_letters_or_of_its_number() -> None:
    line = Line("Leave", 3, 20.0, 60.0, 300.0, 842.0 - 118, page_height=842.0)
    levels = Levels({20: 2}, None)
    titles = (seen(Title, "Leave", top=200), seen(Title, "1.1.1 Carry-over", top=400), seen(Title, "Handbook", top=600))
    assert [e.level for e in read(*titles, lines=(line,), levels=levels)] == [2, 3, 1]


def test_what_ends_as_a_sentence_is_no_title() -> None:
    (element,) = read(seen(Title, "本手册自发布之日起施行。"))
    assert (element.kind, element.level) == ("paragraph", None)


@pytest.fixture
def tesseract(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with a tesseract alone, which says that it knows English and Chinese; and all packages are there."""
    program = tmp_path / "bin" / "tesseract"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho eng chi_sim\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(hi_res, "_PACKAGES", ())
    return program


@pytest.mark.parametrize("data", [b"%PDF", b"PNG"])
def test_the_extra_is_named_and_the_document_not_blamed(data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hi_res, "_PACKAGES", ("no_such_package",))
    document, kind = (pdf(), media_type.PDF) if data == b"%PDF" else (picture(pdf()), "image/png")
    mail = EmailMessage()
    mail.add_attachment(document, *kind.split("/"), filename="a.bin")
    for whole, of in ((document, kind), (mail.as_bytes(), media_type.EML)):
        with pytest.raises(MissingExtra, match=r"no_such_package are not installed.*kb_pipeline\[hi-res\]"):
            parse(whole, of, OPTIONS)


def test_tesseract_and_its_languages_are_named(tesseract: Path) -> None:
    tesseract.write_text("#!/bin/sh\necho eng osd\n")
    with pytest.raises(MissingExtra, match="tesseract has no data for chi_sim"):
        hi_res.load()
    tesseract.unlink()
    with pytest.raises(MissingExtra, match="there is no tesseract"):
        hi_res.load()


@pytest.mark.usefixtures("tesseract")
def test_weights_are_named_with_how_to_fetch_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(MissingExtra, match=r"hf download unstructuredio/yolo_x_layout yolox_l0\.05\.onnx") as told:
        hi_res.load()
    assert "nothing is downloaded" in told.value.message


def pdf(scan: bytes | None = None) -> bytes:
    """A page three wide and four high: header, title, a Chinese and an English paragraph, footer; then `scan`."""
    from reportlab.lib.utils import ImageReader
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(UnicodeCIDFont("STSong-Light"))
    file = BytesIO()
    canvas = Canvas(file, pagesize=(576, 768))
    for size, high, font, text in (
        (10, 730, "Helvetica", "Internal use only"),
        (24, 660, "STSong-Light", "员工手册"),
        (14, 584, "STSong-Light", "本手册适用于全体员工，入职当日由办公室"),
        (14, 560, "STSong-Light", "发放，离职时应当归还。"),
        (14, 344, "Helvetica", "The handbook is handed out on the"),
        (14, 320, "Helvetica", "first day and has to be given back."),
        (10, 24, "Helvetica", "Page 1"),
    ):
        canvas.setFont(font, size)
        canvas.drawString(70, high, text)
    canvas.showPage()
    if scan:
        canvas.drawImage(ImageReader(BytesIO(scan)), 0, 0, 576, 768)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def picture(document: bytes) -> bytes:
    """The first page as a scan of it would look."""
    file = BytesIO()
    pypdfium2.PdfDocument(document)[0].render(scale=200 / 72).to_pil().save(file, "PNG")
    return file.getvalue()


REGIONS = [
    (HEADER, 0.1, 0.02, 0.9, 0.06),
    (TITLE, 0.1, 0.1, 0.9, 0.16),
    (TEXT, 0.1, 0.2, 0.9, 0.4),
    (TEXT, 0.1, 0.5, 0.9, 0.7),
    (FOOTER, 0.1, 0.94, 0.9, 0.98),
]
PROGRAM = """
import pickle, sys
from functools import partial
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.parsing import load_models, parse
from kb_pipeline.parsing.options import ParseOptions

options = ParseOptions("hi_res")
read = partial(parse, media_type="application/pdf", options=options)
with LocalWorkers(read, Limits(250, 2048, 1), (), partial(load_models, options)) as workers:
    ((_, result),) = workers.run([sys.stdin.buffer.read()])
sys.stdout.buffer.write(pickle.dumps(result))
"""


@pytest.mark.skipif(not HAS_EXTRA, reason="the extra hi-res is not installed")
def test_the_models_read_text_and_scans_in_a_limited_worker_without_network(tmp_path: Path) -> None:
    write_cache(tmp_path, REGIONS)
    environment = {**offline(tmp_path / "asked"), "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=pdf(picture(pdf())),
        env=environment,
        capture_output=True,
        check=True,
        timeout=270,
    )
    elements = pickle.loads(done.stdout)
    assert asked_for(tmp_path / "asked") == []
    first = [element for element in elements if element.page == 1]
    assert [(e.kind, e.level, e.text) for e in first] == [
        ("title", 1, "员工手册"),
        ("paragraph", None, "本手册适用于全体员工，入职当日由办公室发放，离职时应当归还。"),
        ("paragraph", None, "The handbook is handed out on the first day and has to be given back."),
    ]
    assert astuple(first[0].box) == pytest.approx((1, 57.6, 76.8, 518.4, 122.9), abs=0.5)
    # What a picture shows of Chinese depends on the fonts of the machine.
    second = {element.text for element in elements if element.page == 2}
    assert first[2].text in second
    assert second.isdisjoint(("Internal use only", "Page 1"))
