"""The records of Excel 97 to 2003, as far as they must be looked at before calamine reads them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import olefile  # type: ignore[import-untyped]

from kb_pipeline.errors import CorruptDocument

# Types of records ([MS-XLS] 2.3).
_SHEET, _EXTENT, _END = 0x0085, 0x0200, 0x000A
_STREAMS = ("Workbook", "Book")
# Rows and columns of any sheet of these versions.
_MOST = (65_536, 256)
# First row, row after the last, and the same of columns; with shorter numbers before Excel 97.
_EXTENTS = {14: "<IIHH", 10: "<HHHH"}


def check_extents(data: bytes) -> None:
    """Raise CorruptDocument if a sheet says that it ends before it begins, or further out than any: calamine reserves
    memory for every cell that it would have, and ends the process."""
    if not olefile.isOleFile(data):
        return
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        streams = [container.openstream(name).read() for name in _STREAMS if container.exists(name)]
    for stream in streams:
        begin = [struct.unpack_from("<I", body)[0] for body in _records(stream, 0, _SHEET) if len(body) >= 4]
        if not all(_is_sane(body) for at in {0, *begin} for body in _records(stream, at, _EXTENT)):
            raise CorruptDocument("A sheet of the workbook ends before it begins.", "Open and save it again.")


def _is_sane(body: bytes) -> bool:
    if len(body) not in _EXTENTS:
        return True
    top, bottom, left, right = struct.unpack_from(_EXTENTS[len(body)], body)
    return all(first <= last <= most for first, last, most in ((top, bottom, _MOST[0]), (left, right, _MOST[1])))


def _records(stream: bytes, at: int, wanted: int) -> Iterator[bytes]:
    """The bodies of the records of one type from `at` to the end of its part."""
    kind = None
    while kind != _END and at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        if kind == wanted:
            yield stream[at + 4 : at + 4 + length]
        at += 4 + length
