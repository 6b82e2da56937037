"""Small documents that once took a worker's time, its memory or its life. Each goes through all stages in a limited
worker, as in a sync; a document that fails again takes twenty seconds at most."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Iterator

import openpyxl
import pytest
from PIL import Image

from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.pipeline.catalogue import PRELOAD
from kb_pipeline_tests.fuzzing.documents import Case
from kb_pipeline_tests.fuzzing.job import FuzzJob, Verdict
from kb_pipeline_tests.parsing.test_failures import with_part, xlsx_bytes

Read = Callable[[str, bytes], str]

LIMITS = Limits(seconds=20, memory_mb=1024, workers=1)


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """What becomes of a document: "ok" or the name of an error, if nothing was wrong with that."""
    yield from reading_with(LIMITS, tmp_path_factory)


@pytest.fixture(scope="module")
def recognise(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    """The same with the memory that recognising a page takes."""
    yield from reading_with(Limits(seconds=60, memory_mb=2048, workers=1), tmp_path_factory)


def reading_with(limits: Limits, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Read]:
    job = FuzzJob(str(tmp_path_factory.mktemp("cases")), limits.memory_mb)
    with LocalWorkers(job, limits, PRELOAD) as workers:

        def read(key: str, data: bytes) -> str:
            ((_, answer),) = workers.run([Case(0, key, data, strategy="auto")])
            assert isinstance(answer, Verdict), answer
            assert not answer.violations
            return answer.ended

        yield read


@pytest.mark.parametrize("key", ["deep.org", "deep.rst"])
def test_lists_in_lists(read: Read, key: str) -> None:
    """pandoc takes eight seconds for 320, and ever more."""
    assert read(key, b"\n".join(b"  " * depth + b"- x" for depth in range(2000))) == "CorruptDocument"
    assert read(key, b"\n\n".join(b"  " * depth + b"- x" for depth in range(50))) == "ok"


def test_cells_over_a_million_places(read: Read) -> None:
    row = b"<tr><td colspan=1000 rowspan=1000>x<td>y</tr>"
    assert read("wide.html", b"<table>" + row * 500 + b"</table>") == "ok"


@pytest.mark.parametrize("text", ["a\n" * 100_000, "字\n" * 100_000, "a" + "\t" * 100_000 + "b", "a" + "." * 100_000])
def test_a_hundred_thousand_lines_or_marks_in_one_paragraph(read: Read, text: str) -> None:
    assert read("long.md", text.encode()) == "ok"
    assert read("long.csv", text.encode()) == "ok"


def test_a_book_that_names_a_chapter_ten_thousand_times(read: Read) -> None:
    """pandoc reads it as often as it is named."""
    assert read("book.epub", book(chapters=10_000)) == "CorruptDocument"
    assert read("book.epub", book(chapters=1)) == "ok"


def book(chapters: int) -> bytes:
    """An EPUB with one chapter, named so often."""
    file, reference = io.BytesIO(), '<itemref idref="a"/>'
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        package.writestr(
            "META-INF/container.xml",
            '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0"><rootfiles>'
            '<rootfile full-path="a.opf" media-type="application/oebps-package+xml"/></rootfiles></container>',
        )
        package.writestr(
            "a.opf",
            '<package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata/><manifest>'
            '<item id="a" href="a.xhtml" media-type="application/xhtml+xml"/></manifest>'
            f"<spine>{reference * chapters}</spine></package>",
        )
        package.writestr("a.xhtml", "<html><body><p>Delivery within ten days.</p></body></html>")
    return file.getvalue()


def test_words_of_twenty_thousand_letters(read: Read) -> None:
    """Whether letters with accents follow was looked up for each of its endings."""
    assert read("word.txt", ("字é " + "nospace" * 3000 + "\n\n").encode() * 30) == "ok"


def test_a_row_that_says_it_is_the_thousand_millionth(read: Read) -> None:
    row = '<row r="{0}"><c r="A{0}" t="inlineStr"><is><t>text</t></is></c></row>'
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{row.format(1)}{row.format(999_999_999)}</sheetData></worksheet>"
    )
    assert read("far.xlsx", with_part(xlsx_bytes(), "xl/worksheets/sheet1.xml", sheet.encode())) == "ok"


def test_a_text_that_a_thousand_cells_share(read: Read) -> None:
    workbook, file = openpyxl.Workbook(), io.BytesIO()
    for _ in range(1000):
        workbook.worksheets[0].append(["字" * 32_000])
    workbook.save(file)
    assert read("shared.xlsx", file.getvalue()) == "DocumentTooLarge"


def test_a_heading_of_two_hundred_thousand_characters_over_a_thousand_passages(read: Read) -> None:
    body = "".join(f"<p>{'word ' * 150}{n}</p>" for n in range(1000))
    assert read("long.html", f"<h1>{'%41' * 70_000}</h1>{body}".encode()) == "ok"


def test_a_picture_forty_times_as_high_as_wide(recognise: Read) -> None:
    """The engine would make its short side 736 pixels."""
    file = io.BytesIO()
    Image.new("RGB", (7, 300), "grey").save(file, "PNG")
    assert recognise("narrow.png", file.getvalue()) == "NoText"


def test_a_spacer_is_no_text(read: Read) -> None:
    """A picture of one line of pixels is made 30 high, and as wide as goes with that, before anyone looks at it."""
    file = io.BytesIO()
    Image.new("L", (400, 1)).save(file, "GIF")
    assert read("spacer.gif", file.getvalue()) == "NoText"


def ole(following: list[int], *sectors: bytes) -> bytes:
    """An OLE2 file: its table of which sector follows which, then the sectors from 1 on, of which that is the
    directory."""
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<10I", 0, 1, 1, 0, 4096, 0xFFFFFFFE, 0, 0xFFFFFFFE, 0, 0) + b"\xff" * 432
    table = struct.pack(f"<{len(following) + 1}I", 0xFFFFFFFD, *following).ljust(512, b"\xff")
    return header + table + b"".join(sector.ljust(512, b"\0") for sector in sectors)


def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    """A line of an OLE2 directory."""
    written = f"{name}\0".encode("utf-16-le")
    links = struct.pack("<HBBIII", len(written), kind, 1, 0xFFFFFFFF, 0xFFFFFFFF, child)
    return written.ljust(64, b"\0") + links + bytes(36) + struct.pack("<III", start, size, 0)


def test_a_chain_of_sectors_that_never_ends(read: Read) -> None:
    """An OLE2 file whose directory goes on in itself."""
    assert read("endless.xls", ole([1], entry("Root Entry", 5, 0xFFFFFFFF, 0xFFFFFFFE, 0))) == "CorruptDocument"


@pytest.mark.parametrize(
    "record",
    [
        struct.pack("<HHIIHHH", 0x0200, 14, 43, 2, 0, 5, 0),
        struct.pack("<HHIIHHH", 0x0200, 14, 0, 5_000_000, 0, 5, 0),
        struct.pack("<HHHHHI", 0x00FD, 10, 65_535, 65_535, 0, 0),
        struct.pack("<HHHHHIHIH", 0x00BD, 18, 0, 250, 0, 0, 0, 0, 900),
    ],
)
def test_a_sheet_that_ends_before_it_begins_or_has_cells_far_out(read: Read, record: bytes) -> None:
    """Room was made for all of its cells, which ended the process."""
    root = entry("Root Entry", 5, 1, 0xFFFFFFFE, 0) + entry("Workbook", 2, 0xFFFFFFFF, 2, 4096)
    begin = struct.pack("<HHHHHHII", 0x0809, 16, 0x0600, 0x0005, 0, 0, 0, 0)
    sheet = begin.replace(b"\x05\x00", b"\x10\x00") + record + struct.pack("<HH", 0x000A, 0)
    names = struct.pack("<HHIBBBB", 0x0085, 9, 37, 0, 0, 1, 0) + b"a"
    stream = begin + names + struct.pack("<HH", 0x000A, 0) + sheet
    chain = [0xFFFFFFFE, 3, 4, 5, 6, 7, 8, 9, 0xFFFFFFFE]
    assert read("extent.xls", ole(chain, root, stream.ljust(4096, b"\0"))) == "CorruptDocument"


def test_numbers_without_end_in_a_line_of_code(read: Read) -> None:
    """pandoc coloured the code, which took a minute."""
    code = "export A=${B:-" + "1." * 20_000 + "}"
    assert read("code.rst", f"Settings\n\n.. code-block:: bash\n\n   {code}\n".encode()) == "ok"
