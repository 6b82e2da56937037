"""Every failure has its class and says nothing of the document's text."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import msoffcrypto.format.ooxml
import openpyxl
import pytest

from kb_pipeline.core import media_type as types
from kb_pipeline.core.errors import (
    CorruptDocument,
    DocumentTooLarge,
    EncryptedDocument,
    MemoryLimitExceeded,
    NoText,
    UnsupportedFormat,
)
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.text import plain

SECRET = "绝密内容 top secret"


def docx_bytes(text: str = SECRET) -> bytes:
    document, file = docx.Document(), io.BytesIO()
    document.add_paragraph(text)
    document.save(file)
    return file.getvalue()


def xlsx_bytes() -> bytes:
    book, file = openpyxl.Workbook(), io.BytesIO()
    book.active.append([SECRET])
    book.save(file)
    return file.getvalue()


def with_part(package: bytes, name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(package)) as old, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.namelist():
            if entry != name:
                new.writestr(entry, old.read(entry))
        new.writestr(name, content)
    return file.getvalue()


def protected(package: bytes) -> bytes:
    file = io.BytesIO()
    msoffcrypto.format.ooxml.OOXMLFile(io.BytesIO(package)).encrypt("password", file)
    return file.getvalue()


@pytest.mark.parametrize("media_type", ["image/x-icon", types.UNKNOWN])
def test_formats_without_parser_are_named(media_type: str) -> None:
    with pytest.raises(UnsupportedFormat, match=f"^unsupported format: {media_type}, see docs/formats"):
        parse(b"x", media_type)


@pytest.mark.parametrize("media_type", [types.DOCX, types.XLSX, types.OLE])
def test_a_password_on_an_office_file_is_encrypted(media_type: str) -> None:
    with pytest.raises(EncryptedDocument, match="password"):
        parse(protected(docx_bytes()), media_type)


def test_a_legacy_file_under_a_modern_name_is_unsupported() -> None:
    legacy = protected(docx_bytes()).replace(
        "EncryptedPackage".encode("utf-16-le"), "WordDocumentXXXX".encode("utf-16-le")
    )
    legacy = legacy.replace("EncryptionInfo".encode("utf-16-le"), "SomethingElse_".encode("utf-16-le"))
    with pytest.raises(UnsupportedFormat, match="legacy Office"):
        parse(legacy, types.DOCX)


@pytest.mark.parametrize(("make", "media_type"), [(docx_bytes, types.DOCX), (xlsx_bytes, types.XLSX)])
@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"PK\x03\x04" + data[999:]])
def test_a_damaged_office_file_is_corrupt(
    make: Callable[[], bytes], media_type: str, damage: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(CorruptDocument):
        parse(damage(make()), media_type)


def test_broken_xml_is_corrupt_and_the_message_names_parser_and_type_only() -> None:
    broken = with_part(docx_bytes(), "word/document.xml", f"<w:document>{SECRET}</oops>".encode())
    with pytest.raises(CorruptDocument) as caught:
        parse(broken, types.DOCX)
    assert str(caught.value).startswith("parse_docx cannot read the document (XMLSyntaxError).")
    assert caught.value.__cause__ is None


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = with_part(docx_bytes(), "word/document.xml", b"<a/>" + b" " * (30 * 1024**2))
    with pytest.raises(DocumentTooLarge, match="times its size"):
        parse(bomb, types.DOCX)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("make", "part", "media_type"),
    [(docx_bytes, "word/document.xml", types.DOCX), (xlsx_bytes, "xl/worksheets/sheet1.xml", types.XLSX)],
)
def test_entities_of_an_xml_bomb_are_not_expanded(make: Callable[[], bytes], part: str, media_type: str) -> None:
    entities = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, 12))
    bomb = f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY e0 'lol'>{entities}]><r>&e11;</r>".encode()
    with pytest.raises((CorruptDocument, NoText)):
        parse(with_part(make(), part, bomb), media_type)


def test_an_external_entity_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("stolen")
    body = (
        f"<?xml version='1.0'?><!DOCTYPE r [<!ENTITY x SYSTEM '{(tmp_path / 'other.txt').as_uri()}'>]>"
        "<w:document xmlns:w='http://schemas.openxmlformats.org/wordprocessingml/2006/main'>"
        "<w:body><w:p><w:r><w:t>before &x; after</w:t></w:r></w:p></w:body></w:document>"
    )
    elements = parse(with_part(docx_bytes(), "word/document.xml", body.encode()), types.DOCX)
    assert elements
    assert "stolen" not in " ".join(element.text for element in elements)


def test_empty_and_textless_files_hold_no_text() -> None:
    for data, media_type in ((b"", types.DOCX), (docx_bytes(""), types.DOCX), (b"<p></p>", types.HTML)):
        with pytest.raises(NoText):
            parse(data, media_type)


def nested_list() -> bytes:
    return b"".join(b" " * depth + b"- x\n" for depth in range(0, 600, 2))


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("data", "media_type"),
    [(b"<div>" * 50_000 + b"x" + b"</div>" * 50_000, types.HTML), (nested_list(), types.MARKDOWN)],
    ids=["html", "markdown"],
)
def test_deep_nesting_ends_in_a_result_or_an_error_of_ours(data: bytes, media_type: str) -> None:
    with contextlib.suppress(CorruptDocument, NoText):
        assert parse(data, media_type)


def test_running_out_of_memory_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(_data: bytes) -> list[object]:
        raise MemoryError

    monkeypatch.setattr(plain, "parse_text", exhausted)
    with pytest.raises(MemoryLimitExceeded):
        parse(b"x", types.TEXT)


def test_a_parser_in_rust_that_panics_cannot_read_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        """As pyo3's, which is no Exception."""

    def panicking(_data: bytes) -> list[object]:
        raise PanicException(SECRET)

    monkeypatch.setattr(plain, "parse_text", panicking)
    with pytest.raises(CorruptDocument) as caught:
        parse(b"x", types.TEXT)
    assert "PanicException" in str(caught.value)
    assert SECRET not in str(caught.value)
