"""The records of Excel 97 to 2003, as far as they must be looked at before calamine reads them."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator

import olefile  # type: ignore[import-untyped]

from kb_pipeline.core.errors import CorruptDocument

# Types of records ([MS-XLS] 2.3).
_SHEET, _EXTENT, _END = 0x0085, 0x0200, 0x000A
# Those of cells begin with row and column; those of several cells end with the last column.
_CELL = frozenset((0x0006, 0x00D6, 0x00FD, 0x0201, 0x0203, 0x0204, 0x0205, 0x027E))
_CELLS = frozenset((0x00BD, 0x00BE))
_STREAMS = ("Workbook", "Book")
# Rows and columns of any sheet of these versions.
_MOST = (65_536, 256)
# First row, row after the last, and the same of columns; with shorter numbers before Excel 97.
_EXTENTS = {14: "<IIHH", 10: "<HHHH"}


def check_extents(data: bytes) -> None:
    """Raise CorruptDocument if a sheet says that it ends before it begins, or has a cell further out than any: calamine
    reserves memory for every cell that there would be, and ends the process."""
    if not olefile.isOleFile(data):
        return
    with olefile.OleFileIO(io.BytesIO(data)) as container:
        streams = [container.openstream(name).read() for name in _STREAMS if container.exists(name)]
    for stream in streams:
        sheets = [body for kind, body in _records(stream, 0) if kind == _SHEET and len(body) >= 4]
        begin = {0, *(int.from_bytes(body[:4], "little") for body in sheets)}
        if not all(_is_sane(kind, body) for at in begin for kind, body in _records(stream, at)):
            raise CorruptDocument("A sheet of the workbook has cells beyond its end.", "Open and save it again.")


def _is_sane(kind: int, body: bytes) -> bool:
    if kind in _CELL:
        return int.from_bytes(body[2:4], "little") < _MOST[1]
    if kind in _CELLS:
        return max(int.from_bytes(body[2:4], "little"), int.from_bytes(body[-2:], "little")) < _MOST[1]
    if kind != _EXTENT or len(body) not in _EXTENTS:
        return True
    top, bottom, left, right = struct.unpack_from(_EXTENTS[len(body)], body)
    return all(first <= last <= most for first, last, most in ((top, bottom, _MOST[0]), (left, right, _MOST[1])))


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Type and body of each record from `at` to the end of its part."""
    kind = None
    while kind != _END and at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length
