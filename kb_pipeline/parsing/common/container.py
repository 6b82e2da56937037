"""What an Office file is before anything opens it: encrypted, broken, a bomb, or a legacy file under a modern name."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Sequence

import olefile  # type: ignore[import-untyped]

from kb_pipeline.core.errors import CorruptDocument, DocumentTooLarge, EncryptedDocument, UnsupportedFormat

# A parsed XML tree takes some ten times its text; images and other parts are held as they are.
MAX_XML_BYTES = 200 * 1024**2
MAX_UNPACKED_BYTES = 1024**3
# Office XML deflates about ten to one, spreadsheets of equal cells up to fifty to one.
MAX_RATIO = 200
RATIO_MATTERS_FROM = 20 * 1024**2

_CONTENT_TYPES = "[Content_Types].xml"
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
REMEDY_TOO_LARGE = "Split the document, or remove what is repeated in it."


def check_ooxml(data: bytes, main_part: str) -> None:
    """Raise if `data` is no OOXML package that holds `main_part` (a folder name) and unpacks to a sane size.

    The declared sizes are enough: Python's zipfile reads no further than them.
    """
    if data.startswith(_OLE_MAGIC):
        check_ole(data)
    check_package(data, "Office", main_part)


def check_package(data: bytes, kind: str, main_part: str) -> None:
    """Raise if `data` is no zip package that holds `main_part` (if any) and unpacks to a sane size. `kind` names it in
    words."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entries = package.infolist()
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError) as error:
        raise CorruptDocument(
            f"The {kind} file is no complete zip archive ({type(error).__name__}).", "Fetch or save the file again."
        ) from None
    if any(entry.flag_bits & 0x1 for entry in entries):
        raise EncryptedDocument(f"The {kind} file has encrypted parts.", "Save it without a password.")
    if main_part and not any(entry.filename.startswith(main_part) for entry in entries):
        raise CorruptDocument(f"The {kind} file has no {main_part} part.", "Open and save it again.")
    _check_sizes(entries, kind)


def as_plain(data: bytes, kinds: tuple[re.Pattern[bytes], bytes]) -> bytes:
    """The same package with its main part declared as a plain document; `data` itself where it is."""
    other, plain = kinds
    with zipfile.ZipFile(io.BytesIO(data)) as package:
        declared = package.read(_CONTENT_TYPES) if _CONTENT_TYPES in package.namelist() else b""
        if not other.search(declared):
            return data
        parts = {entry.filename: package.read(entry) for entry in package.infolist()}
    copy = io.BytesIO()
    with zipfile.ZipFile(copy, "w") as package:
        for name, content in parts.items():
            package.writestr(name, other.sub(plain, content) if name == _CONTENT_TYPES else content)
    return copy.getvalue()


def _check_sizes(entries: list[zipfile.ZipInfo], kind: str) -> None:
    unpacked = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries) or 1
    xml = sum(entry.file_size for entry in entries if entry.filename.endswith((".xml", ".rels", ".vml")))
    for what, size, limit in (("XML", xml, MAX_XML_BYTES), ("data", unpacked, MAX_UNPACKED_BYTES)):
        if size > limit:
            raise DocumentTooLarge(
                f"The {kind} file unpacks to {size // 1024**2} MiB of {what}; the limit is {limit // 1024**2} MiB.",
                REMEDY_TOO_LARGE,
            )
    if unpacked > RATIO_MATTERS_FROM and unpacked > MAX_RATIO * packed:
        raise DocumentTooLarge(
            f"The {kind} file unpacks to {unpacked // packed} times its size; the limit is {MAX_RATIO} times.",
            REMEDY_TOO_LARGE,
        )


def check_chains(data: bytes) -> None:
    """Raise CorruptDocument if `data` is an OLE2 file with a chain of sectors that never ends: calamine follows such a
    chain until there is no memory left, and ends the process."""
    if not data.startswith(_OLE_MAGIC):
        return
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            container.loadminifat()
            endless = _goes_round(container.fat) or _goes_round(container.minifat)
    except (OSError, ValueError, IndexError, TypeError) as error:
        raise _unreadable_ole(error) from None
    if endless:
        raise CorruptDocument("The OLE2 file refers to itself without end.", "Fetch or save the file again.")


def _goes_round(following: Sequence[int]) -> bool:
    """Whether a chain, in which each number is the place of the next, comes back to where it was."""
    seen = [0] * len(following)
    for start in range(len(following)):
        at = start
        while at < len(following) and not seen[at]:
            seen[at] = start + 1
            at = following[at]
        if at < len(following) and seen[at] == start + 1:
            return True
    return False


def check_ole(data: bytes) -> None:
    """Raise what an OLE2 file is here: EncryptedDocument for a protected modern file, else UnsupportedFormat."""
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as container:
            encrypted = container.exists("EncryptedPackage") or container.exists("EncryptionInfo")
    except (OSError, ValueError, IndexError) as error:
        raise _unreadable_ole(error) from None
    if encrypted:
        raise EncryptedDocument("The Office file is protected by a password.", "Save it without a password.")
    raise UnsupportedFormat(
        "unsupported format: legacy Office (OLE2), see docs/formats.md", "Save it as docx, xlsx or pptx."
    )


def _unreadable_ole(error: Exception) -> CorruptDocument:
    return CorruptDocument(f"The OLE2 file cannot be read ({type(error).__name__}).", "Fetch or save the file again.")
