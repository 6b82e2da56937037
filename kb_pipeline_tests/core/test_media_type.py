"""Detection: the bytes decide, the extension is a hint."""

import io
import zipfile

import pytest

from kb_pipeline.core import media_type as types
from kb_pipeline.core.media_type import HEAD_BYTES, detect

DOTX = "application/vnd.openxmlformats-officedocument.wordprocessingml.template"
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504


def package(*names: str, content_types: str = "") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        if content_types:
            archive.writestr("[Content_Types].xml", f'<Types><Override ContentType="{content_types}"/></Types>')
        for name in names:
            archive.writestr(name, "x" * 100)
    return file.getvalue()[:HEAD_BYTES]


@pytest.mark.parametrize(
    ("head", "key", "expected"),
    [
        (b"%PDF-1.7\n", "contract.docx", types.PDF),
        (b"junk before\n%PDF-1.4\n", "old.pdf", types.PDF),
        (b"{\\rtf1\\ansi", "letter.doc", types.RTF),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 20, "scan.txt", "image/png"),
        (b"\xff\xd8\xff\xe0" + b"\0" * 20, "scan", "image/jpeg"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "photo.heic", "image/heic"),
        (b"<!DOCTYPE html><html>", "page.pdf", types.HTML),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n<html xmlns='x'>", "page", types.HTML),
        (b"<?xml version='1.0'?><feed/>", "feed", types.XML),
        (b"# Title\n", "a.md", types.MARKDOWN),
        (b"a,b\n1,2\n", "a.csv", types.CSV),
        ("姓名\t电话\n".encode("gb18030"), "a.TSV", types.TSV),
        ("标题".encode("utf-16"), "a.txt", types.TEXT),
        (b'{"a": 1}', "a.json", types.JSON),
        (b"From: a@example.com\nSubject: x\n\nbody", "mail", types.EML),
        (b"From: here to there\nis a long way", "notes", types.TEXT),
        (b"print('x')\n", "tool.py", types.TEXT),
        (b"\x01\x02\x03\x04\xff\xfe\0\0\x05" * 20, "blob.bin", types.UNKNOWN),
        (b"\x01\x02\x03\x04\xff\xfe\0\0\x05" * 20, "blob.txt", types.UNKNOWN),
        (b"", "empty.docx", types.DOCX),
        (b"", "empty", types.UNKNOWN),
    ],
)
def test_a_head_and_a_key_give_a_media_type(head: bytes, key: str, expected: str) -> None:
    assert detect(head, key) == expected


@pytest.mark.parametrize(
    ("head", "key", "expected"),
    [
        (package("word/document.xml"), "a.pdf", types.DOCX),
        (package("xl/workbook.xml"), "a.csv", types.XLSX),
        (package("xl/workbook.xml"), "a.xlsm", types.XLSM),
        (package("docProps/app.xml", content_types=f"{types.PPTX}.main+xml"), "a", types.PPTX),
        (package(content_types="application/vnd.ms-word.document.macroEnabled.main+xml"), "a.docx", types.DOCM),
        (package("word/a", content_types=f"{DOTX}.main+xml"), "a.dotx", DOTX),
        (package("_rels/.rels"), "a.docx", types.DOCX),
        (package("readme.txt"), "a.docx", types.ZIP),
        (package("readme.txt"), "a.zip", types.ZIP),
    ],
)
def test_office_packages_are_told_by_what_they_hold(head: bytes, key: str, expected: str) -> None:
    assert detect(head, key) == expected


@pytest.mark.parametrize("declared", ["application/epub+zip", "application/vnd.oasis.opendocument.text"])
def test_packages_that_declare_their_type_first_are_believed(declared: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("mimetype", declared)
        archive.writestr("content.xml", "<x/>")
    assert detect(file.getvalue(), "book.docx") == declared


@pytest.mark.parametrize(
    ("stream", "key", "expected"),
    [
        ("WordDocument", "a.bin", types.DOC),
        ("Workbook", "a.doc", types.XLS),
        ("PowerPoint Document", "a", types.PPT),
        ("__properties_version1.0", "a.eml", types.MSG),
        ("EncryptedPackage", "a.xlsx", types.OLE),
        ("", "a.xls", types.XLS),
        ("", "a.docx", types.DOCX),
        ("", "a.bin", types.OLE),
    ],
)
def test_ole_containers_are_told_by_their_streams(stream: str, key: str, expected: str) -> None:
    assert detect(OLE + stream.encode("utf-16-le"), key) == expected
