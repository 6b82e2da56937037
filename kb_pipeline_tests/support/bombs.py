"""Documents made to cost their reader far more than their size: seconds, memory or a stack. Nothing in them is real."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Callable, Mapping

import docx
import openpyxl
import pptx

_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_WORDS = [f"word{n}" for n in range(2000)]


def _with_part(package: bytes, name: str, content: bytes) -> bytes:
    """The zip with one part replaced."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry.filename, old.read(entry.filename))
        new.writestr(name, content)
    return out.getvalue()


def _docx() -> bytes:
    out = io.BytesIO()
    docx.Document().save(out)
    return out.getvalue()


def _xlsx() -> bytes:
    out = io.BytesIO()
    openpyxl.Workbook().save(out)
    return out.getvalue()


def _pptx() -> bytes:
    out = io.BytesIO()
    deck = pptx.Presentation()
    deck.slides.add_slide(deck.slide_layouts[5])
    deck.save(out)
    return out.getvalue()


def _word_document(body: str, declaration: str = "") -> bytes:
    text = f'<?xml version="1.0"?>{declaration}<w:document xmlns:w="{_WORD}"><w:body>{body}</w:body></w:document>'
    return _with_part(_docx(), "word/document.xml", text.encode())


def docx_of_equal_paragraphs() -> bytes:
    """A zip bomb: 40 MB of XML in 40 kB."""
    return _word_document("<w:p><w:r><w:t>a</w:t></w:r></w:p>" * 1_200_000)


def docx_of_many_words() -> bytes:
    """What no ratio gives away: 90 MB of XML that deflate as text does, and make a tree ten times as large."""
    some = random.Random(0)
    pieces = [
        f"<w:p><w:r><w:t>{' '.join(some.choices(_WORDS, k=3))}</w:t></w:r><w:r/><w:r/><w:r/></w:p>"
        for _ in range(100_000)
    ]
    return _word_document("".join(pieces) * 10)


def docx_nested() -> bytes:
    """Tables in tables, a thousand deep."""
    deep = 1000
    return _word_document("<w:tbl><w:tr><w:tc>" * deep + "<w:p/>" + "</w:tc></w:tr></w:tbl>" * deep)


def billion_laughs() -> str:
    """Ten entities, each ten of the one before."""
    lines = ['<!ENTITY l0 "laugh">'] + [f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 11)]
    return f"<!DOCTYPE w:document [{''.join(lines)}]>"


def docx_of_laughs() -> bytes:
    return _word_document("<w:p><w:r><w:t>&l10;</w:t></w:r></w:p>", billion_laughs())


def xlsx_with_far_cells() -> bytes:
    """A few cells at the far corner: a million rows, 16,384 columns."""
    rows = "".join(
        f'<row r="{n}"><c r="XFD{n}" t="inlineStr"><is><t>far</t></is></c></row>' for n in range(1, 1_048_576, 4000)
    )
    sheet = (
        '<?xml version="1.0"?><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        f"<sheetData>{rows}</sheetData></worksheet>"
    )
    return _with_part(_xlsx(), "xl/worksheets/sheet1.xml", sheet.encode())


def pptx_of_laughs() -> bytes:
    slide = f'<?xml version="1.0"?>{billion_laughs().replace("w:document", "a")}<a>&l10;</a>'
    return _with_part(_pptx(), "ppt/slides/slide1.xml", slide.encode())


def nested_html() -> bytes:
    return b"<html><body>" + b"<div><b>" * 100_000 + b"deep"


def html_of_cells() -> bytes:
    """A table of a million cells with attributes, without an end tag."""
    return b"<table>" + b"<tr>" + b"<td colspan=1000 rowspan=1000>x" * 1_000_000


def csv_of_one_line() -> bytes:
    return b"," * 30_000_000 + b"end"


def csv_of_an_open_quote() -> bytes:
    return b'a,"' + b"b" * 40_000_000


def markdown_of_brackets() -> bytes:
    return b"[" * 200_000 + b"a" + b"](" * 100_000


def markdown_of_quotes() -> bytes:
    return b"> " * 100_000 + b"deep"


def markdown_of_stars() -> bytes:
    return b"*a **b " * 10_000


def text_of_one_line() -> bytes:
    return "没有空格的一行".encode() * 100_000


def mail_of_parts() -> bytes:
    """Messages in messages, three thousand deep."""
    head = b"Content-Type: message/rfc822\r\n\r\n"
    return b"From: a@example.com\r\nSubject: deep\r\nMIME-Version: 1.0\r\n" + head * 3000 + b"\r\nend"


def _pdf(objects: list[bytes]) -> bytes:
    out = io.BytesIO(b"%PDF-1.4\n")
    out.seek(0, io.SEEK_END)
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.writelines(b"%010d 00000 n \n" % place for place in places)
    out.write(b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return out.getvalue()


def pdf_of_endless_pages() -> bytes:
    """A page tree that is its own child, and says that it has two billion pages."""
    return _pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 2000000000 /Kids [2 0 R 3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
        ]
    )


def pdf_of_itself() -> bytes:
    """Forms that draw one another, each ten times."""
    draw = b" ".join(b"/F%d Do" % n for n in range(10))
    forms = b" ".join(b"/F%d %d 0 R" % (n, 5 + n) for n in range(10))
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << %s >> >> /Length %d >>"
    stream = form % (forms, len(draw)) + b"\nstream\n" + draw + b"\nendstream"
    return _pdf(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R"
            b" /Resources << /XObject << %s >> >> >>" % forms,
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(draw), draw),
            *[stream] * 10,
        ]
    )


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "equal-paragraphs.docx": docx_of_equal_paragraphs,
    "many-words.docx": docx_of_many_words,
    "nested.docx": docx_nested,
    "laughs.docx": docx_of_laughs,
    "far-cells.xlsx": xlsx_with_far_cells,
    "laughs.pptx": pptx_of_laughs,
    "nested.html": nested_html,
    "cells.html": html_of_cells,
    "one-line.csv": csv_of_one_line,
    "open-quote.csv": csv_of_an_open_quote,
    "brackets.md": markdown_of_brackets,
    "quotes.md": markdown_of_quotes,
    "stars.md": markdown_of_stars,
    "one-line.txt": text_of_one_line,
    "parts.eml": mail_of_parts,
    "endless-pages.pdf": pdf_of_endless_pages,
    "itself.pdf": pdf_of_itself,
}
