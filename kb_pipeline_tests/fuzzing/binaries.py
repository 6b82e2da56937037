"""Damage to pictures (what their headers say of their size) and to OLE2 files (the chains of their sectors)."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Mapping
from random import Random

from kb_pipeline_tests.fuzzing.octets import Mutation, with_another_word, with_noise
from kb_pipeline_tests.fuzzing.words import hard_text

_SIZES = (0, 1, 7, 300, 5000, 30_000, 65_535)
_LARGE = (*_SIZES, 100_000, 0x7FFFFFFF, 0xFFFFFFFF)
_SECTOR = 512
_PNG_HEADER, _JPEG_FRAME = re.compile(rb"IHDR.{17}", re.DOTALL), re.compile(rb"\xff[\xc0-\xc2].{7}", re.DOTALL)
_CHAINS = (0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD, 0, 1, 2)
_WIDE = re.compile(rb"(?:[ -~]\0){8,400}")


def with_another_size(data: bytes, chosen: Random) -> bytes:
    """Width and height that the data is not enough for, or too much; PNG with the checksum that goes with them."""
    if png := _PNG_HEADER.search(data):
        header = b"IHDR" + struct.pack(">II", chosen.choice(_LARGE), chosen.choice(_LARGE)) + png.group()[12:17]
        return data[: png.start()] + header + struct.pack(">I", zlib.crc32(header)) + data[png.end() :]
    if jpeg := _JPEG_FRAME.search(data):
        header = jpeg.group()[:5] + struct.pack(">HH", chosen.choice(_SIZES), chosen.choice(_SIZES))
        return data[: jpeg.start()] + header + data[jpeg.end() :]
    if data.startswith(b"BM"):
        return data[:18] + struct.pack("<II", chosen.choice(_LARGE), chosen.choice(_LARGE)) + data[26:]
    return data[:8] + with_another_word(data[8:200], chosen) + data[200:]


def with_a_damaged_head(data: bytes, chosen: Random) -> bytes:
    """Numbers and bytes of the first part, where formats keep what they say of themselves."""
    return chosen.choice((with_another_word, with_noise))(data[:1024], chosen) + data[1024:]


PICTURE: Mapping[str, Mutation] = {made.__name__: made for made in (with_another_size, with_a_damaged_head)}


def with_sectors_exchanged(data: bytes, chosen: Random) -> bytes:
    """A sector with the content of another: directories in tables, tables in text."""
    count = len(data) // _SECTOR
    if count < 2:
        return with_noise(data, chosen)
    one, other = (_SECTOR * chosen.randrange(count) for _ in range(2))
    return data[:one] + data[other : other + _SECTOR] + data[one + _SECTOR :]


def with_other_chains(data: bytes, chosen: Random) -> bytes:
    """Chains of sectors that go on elsewhere, end early, or never."""
    damaged = bytearray(data)
    for _ in range(chosen.choice((1, 4, 30))):
        at = 4 * chosen.randrange(len(data) // 4) if len(data) >= 4 else 0
        damaged[at : at + 4] = struct.pack("<I", chosen.choice((*_CHAINS, chosen.randrange(len(data) // _SECTOR + 1))))
    return bytes(damaged)


def with_hard_wide_text(data: bytes, chosen: Random) -> bytes:
    """Hard text in the place of some in UTF-16, as long as that is."""
    runs = list(_WIDE.finditer(data[:1_000_000]))
    if not runs:
        return with_noise(data, chosen)
    run = chosen.choice(runs)
    size = len(run.group())
    text = hard_text(chosen)[: size // 2].ljust(size // 2).encode("utf-16-le", "surrogatepass")[:size]
    return data[: run.start()] + text + data[run.end() :]


OLE: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (with_sectors_exchanged, with_other_chains, with_a_damaged_head, with_hard_wide_text)
}
