"""What kind of document an object is: by its first bytes, with the extension of its key as a hint only.

Text formats have no magic bytes, so there the extension decides among the formats of text; where the bytes say one
thing and the extension another (a PDF named .docx), the bytes win.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

import filetype

HEAD_BYTES = 8192

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PPTX = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
DOCM = "application/vnd.ms-word.document.macroenabled.12"
XLSM = "application/vnd.ms-excel.sheet.macroenabled.12"
PPTM = "application/vnd.ms-powerpoint.presentation.macroenabled.12"
DOTX = "application/vnd.openxmlformats-officedocument.wordprocessingml.template"
POTX = "application/vnd.openxmlformats-officedocument.presentationml.template"
DOC, XLS, PPT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"
MSG = "application/vnd.ms-outlook"
OLE = "application/x-ole-storage"
PDF, RTF, ZIP, EPUB = "application/pdf", "application/rtf", "application/zip", "application/epub+zip"
TEXT, MARKDOWN, HTML, CSV, TSV = "text/plain", "text/markdown", "text/html", "text/csv", "text/tab-separated-values"
EML = "message/rfc822"
XML, JSON, JSON_LINES, YAML = "application/xml", "application/json", "application/x-ndjson", "application/yaml"
ODT, ODS = "application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.spreadsheet"
RST, ORG = "text/x-rst", "text/x-org"
PICTURES = ("image/jpeg", "image/png", "image/tiff", "image/bmp", "image/gif", "image/webp", "image/heic")
UNKNOWN = "application/octet-stream"

_BY_EXTENSION = {
    **dict.fromkeys(("txt", "text", "log"), TEXT),
    **dict.fromkeys(("md", "markdown"), MARKDOWN),
    **dict.fromkeys(("html", "htm", "xhtml"), HTML),
    **dict.fromkeys(("ndjson", "jsonl"), JSON_LINES),
    **dict.fromkeys(("yaml", "yml"), YAML),
    **{"csv": CSV, "tsv": TSV, "tab": TSV, "eml": EML, "xml": XML, "json": JSON},
    **{"rst": RST, "org": ORG, "rtf": RTF, "pdf": PDF, "zip": ZIP, "epub": EPUB},
    **{"docx": DOCX, "xlsx": XLSX, "pptx": PPTX, "docm": DOCM, "xlsm": XLSM, "pptm": PPTM},
    **{"doc": DOC, "xls": XLS, "ppt": PPT, "msg": MSG, "odt": ODT, "ods": ODS},
    **{"heic": "image/heic", "tif": "image/tiff", "tiff": "image/tiff", "bmp": "image/bmp"},
    **{"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp"},
}
_TEXT_FORMATS = {TEXT, MARKDOWN, HTML, CSV, TSV, EML, XML, JSON, JSON_LINES, YAML, RST, ORG}

# The main part's content type, as [Content_Types].xml spells it; the macro forms first, they are longer.
_OOXML_CONTENT = (
    (b"ms-word.document.macroEnabled", DOCM),
    (b"ms-excel.sheet.macroEnabled", XLSM),
    (b"ms-powerpoint.presentation.macroEnabled", PPTM),
    (b"wordprocessingml.template.main", DOTX),
    (b"presentationml.template.main", POTX),
    (b"wordprocessingml.document.main", DOCX),
    (b"spreadsheetml.sheet.main", XLSX),
    (b"presentationml.presentation.main", PPTX),
)
_OOXML_FOLDER = ((b"word/", DOCX), (b"xl/", XLSX), (b"ppt/", PPTX))
_OLE_STREAM = (
    ("EncryptedPackage", OLE),
    ("__properties_version1.0", MSG),
    ("WordDocument", DOC),
    ("Workbook", XLS),
    ("PowerPoint Document", PPT),
)
_LOCAL_HEADER = re.compile(rb"PK\x03\x04.{22}", re.DOTALL)
_MAIL_HEADER = re.compile(r"^(from|to|subject|date|message-id|mime-version|received|return-path|delivered-to):", re.I)
_PROLOGUE = re.compile(r"\s*(?:<\?xml[^>]*\?>|<!--.*?-->|\s)*", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def detect(head: bytes, key: str) -> str:
    """Media type of an object from its first HEAD_BYTES bytes and its key; UNKNOWN when neither tells."""
    hint = _BY_EXTENSION.get(PurePosixPath(key).suffix.lower().lstrip("."), UNKNOWN)
    if not head.strip():
        return hint
    if head.startswith(b"PK\x03\x04"):
        return _zip_type(head, hint)
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):
        return _ole_type(head, hint)
    if head.lstrip().startswith(b"%PDF-") or (hint == PDF and b"%PDF-" in head[:1024]):
        return PDF
    if head.lstrip().startswith(b"{\\rtf"):
        return RTF
    known = filetype.guess_mime(head)
    if known and known != "application/xml":
        return str(known)
    text = _as_text(head)
    if text is None:
        return UNKNOWN if hint in _TEXT_FORMATS else hint
    return _text_type(text, hint)


def _zip_type(head: bytes, hint: str) -> str:
    """OOXML by the declared type of its main part, ODF and EPUB by their first entry, else by folder names and hint."""
    names: list[bytes] = []
    for name, body in _entries(head):
        names.append(name)
        if name == b"mimetype":
            declared = re.match(rb"[\w.+/-]+", body)
            return declared.group().decode("ascii") if declared else ZIP
        if name == b"[Content_Types].xml":
            for marker, media_type in _OOXML_CONTENT:
                if marker in _inflated(body):
                    return media_type
    for folder, media_type in _OOXML_FOLDER:
        if any(name.startswith(folder) for name in names):
            return hint if hint in (DOCM, XLSM, PPTM) else media_type
    ooxml_like = any(name.startswith((b"[Content_Types]", b"_rels/", b"docProps/")) for name in names)
    return hint if ooxml_like and hint in (DOCX, XLSX, PPTX, DOCM, XLSM, PPTM) else ZIP


def _entries(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Name and packed bytes of each archive entry whose local header lies in `head`; what follows where unsized."""
    for header in _LOCAL_HEADER.finditer(head):
        start, packed = header.end(), int.from_bytes(header.group()[18:22], "little")
        # What is left of the 30-byte header: the lengths of name and extra field.
        name_length = int.from_bytes(head[start : start + 2], "little")
        extra_length = int.from_bytes(head[start + 2 : start + 4], "little")
        name = head[start + 4 : start + 4 + name_length]
        body = head[start + 4 + name_length + extra_length :]
        yield name, body[:packed] if packed else body


def _inflated(body: bytes) -> bytes:
    """As much of a deflated entry as is there, at most 256 KiB; the bytes themselves when they are not deflated."""
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(body, 1 << 18)
    except zlib.error:
        return body


def _ole_type(head: bytes, hint: str) -> str:
    """Legacy Office by the stream names of its directory, as far as the head holds them, else by the extension.

    An extension of modern Office is kept: such a file is an encrypted one, which only its parser can tell.
    """
    for stream, media_type in _OLE_STREAM:
        if stream.encode("utf-16-le") in head:
            return media_type
    return hint if hint in (DOC, XLS, PPT, MSG, DOCX, XLSX, PPTX, DOCM, XLSM, PPTM) else OLE


def _as_text(head: bytes) -> str | None:
    """The head as text, read roughly: enough to look for markers. None when it is binary."""
    if head.startswith((b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff")):
        return head.decode("utf-32", "replace")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", "replace")
    nul_even, nul_odd = head[0::2].count(0), head[1::2].count(0)
    if max(nul_even, nul_odd) > len(head) // 5 and min(nul_even, nul_odd) == 0:
        return head.decode("utf-16-le" if nul_odd else "utf-16-be", "replace")
    text = head.decode("utf-8", "replace").removeprefix("\ufeff")
    return None if len(_CONTROL.findall(text)) > len(text) // 100 else text


def _text_type(text: str, hint: str) -> str:
    body = text[_PROLOGUE.match(text).end() :].lower()  # type: ignore[union-attr]  # it matches the empty string
    if body.startswith(("<!doctype html", "<html")):
        return HTML
    if hint in _TEXT_FORMATS:
        return hint
    if text.lstrip().startswith("<?xml"):
        return XML
    lines = text.lstrip().splitlines()[:20]
    if lines and _MAIL_HEADER.match(lines[0]) and sum(bool(_MAIL_HEADER.match(line)) for line in lines) >= 2:
        return EML
    return TEXT
