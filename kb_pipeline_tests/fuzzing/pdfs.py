"""Damage to PDF: to objects, to what streams hold when they are inflated, to the page tree and the table of objects."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Mapping
from random import Random

from kb_pipeline_tests.fuzzing.octets import (
    ANY,
    Mutation,
    anywhere,
    bounded,
    with_another_number,
    with_match,
)

_OBJECT = re.compile(rb"(\d+) (\d+) obj\b(.{0,20000}?)endobj", re.DOTALL)
_STREAM = re.compile(
    rb"(<<(?:(?!stream|endobj).){0,4000}>>\s*stream\r?\n)(.{0,200000}?)((?:\r?\n)?endstream)", re.DOTALL
)
_REFERENCE = re.compile(rb"\b(\d+) (\d+) R\b")
_BOX = re.compile(rb"/(MediaBox|CropBox|BBox|Matrix|Rotate|UserUnit|Count|Widths|FontMatrix|W|Length|First|N)\b")
_LENGTH = re.compile(rb"/Length \d+(?: \d+ R)?")
_OPERATOR = re.compile(
    rb"(?<=\s)(?:Tj|TJ|Tf|Td|TD|Tm|T\*|cm|q|Q|re|m|l|f|S|BT|ET|Do|W|n|BI|gs|beginbfchar|endcmap)(?=\s)"
)
_OPERATORS = (
    *(
        b"BT",
        b"ET",
        b"q",
        b"Q",
        b"Tj",
        b"1 0 0 1 1e30 -1e30 cm",
        b"0 0 0 0 0 0 cm",
        b"0.7 0.7 -0.7 0.7 0 0 Tm",
        b"/F1 1e9 Tf",
    ),
    *(
        b"/F1 0 Tf",
        b"/F1 -12 Tf",
        b"0 0 99999 99999 re f",
        b"3 Tr",
        b"/X1 Do",
        b"10 0 Td",
        b"BI ID EI",
        b"/P <</MCID 0>> BDC",
    ),
    *(
        b"<FEFF0000D800DC00FFFE> Tj",
        b"(\\777\\0\\)) Tj",
        b"[(a) -1e9 (b) 1e9 (c)] TJ",
        b"1e38 Tw",
        b"1000 Tz",
        b"-1 Tz",
        b"90 Ts",
    ),
)
_VALUES = (
    b"[0 0 1e9 1e9]",
    b"[0 0 0 0]",
    b"[-9e9 NaN 10 10]",
    b"[0 0 14400 14400]",
    b"-1",
    b"2147483647",
    b"45",
    b"null",
    b"1 0 R",
    b"[]",
)
_FILTERS = (
    b"/ASCIIHexDecode",
    b"/LZWDecode",
    b"/RunLengthDecode",
    b"/DCTDecode",
    b"/JBIG2Decode",
    b"/Crypt",
    b"[/FlateDecode /FlateDecode]",
)


def inflated(stream: bytes, head: bytes) -> bytes:
    """What a deflated stream holds, as far as it goes; its own bytes where it is none."""
    try:
        packed = base64.a85decode(stream.strip().removesuffix(b"~>")) if b"ASCII85" in head else stream
        return zlib.decompressobj().decompress(packed, 2_000_000)
    except (ValueError, zlib.error):
        return stream


def deflated(content: bytes, head: bytes) -> bytes:
    """The contrary."""
    if not content or b"FlateDecode" not in head:
        return content
    packed = zlib.compress(content)
    return base64.a85encode(packed) + b"~>" if b"ASCII85" in head else packed


def with_other_operators(data: bytes, chosen: Random) -> bytes:
    """Operators and operands of a page, a form or a map of characters."""

    def change(found: re.Match[bytes]) -> bytes:
        content = inflated(found.group(2), found.group(1))
        for _ in range(chosen.choice((1, 3, 20))):
            if chosen.random() < 0.5:
                operators = b" ".join(chosen.choice(_OPERATORS) for _ in range(chosen.choice((1, 3, 300))))
                content = with_match(_OPERATOR, content, chosen, lambda old, new=operators: old.group() + b" " + new)  # type: ignore[misc]
            else:
                content = chosen.choice((with_another_number, *ANY.values()))(content, chosen)
        again = deflated(content, found.group(1))
        head = _LENGTH.sub(b"/Length %d" % len(again), found.group(1)) if chosen.random() < 0.9 else found.group(1)
        return head + again + found.group(3)

    return bounded(with_match(_STREAM, data, chosen, change))


def with_other_references(data: bytes, chosen: Random) -> bytes:
    """References to other objects: to themselves, to what refers to them, to nothing."""
    for _ in range(chosen.choice((1, 2, 10))):
        other = anywhere(_OBJECT, data, chosen)
        number = other.group(1) if other and chosen.random() < 0.8 else b"99999"
        data = with_match(_REFERENCE, data, chosen, lambda _, number=number: number + b" 0 R")  # type: ignore[misc]
    return data


def with_other_sizes(data: bytes, chosen: Random) -> bytes:
    """Sizes of pages, counts of pages, widths of letters."""
    for _ in range(chosen.choice((1, 3))):
        value = chosen.choice(_VALUES)
        data = with_match(_BOX, data, chosen, lambda found, value=value: found.group() + b" " + value + b" %")  # type: ignore[misc]
    return data


def with_another_filter(data: bytes, chosen: Random) -> bytes:
    """A stream that says it is packed another way."""
    return with_match(re.compile(rb"/\w+Decode\b"), data, chosen, lambda _: chosen.choice(_FILTERS))


def with_objects_exchanged(data: bytes, chosen: Random) -> bytes:
    """An object with the content of another, or none."""
    other = anywhere(_OBJECT, data, chosen)
    body = other.group(3) if other and chosen.random() < 0.8 else b" null "
    return bounded(with_match(_OBJECT, data, chosen, lambda o: o.group(1) + b" 0 obj" + body + b"endobj"))


def without_table(data: bytes, chosen: Random) -> bytes:
    """The table of objects gone, moved, or said to be elsewhere: readers rebuild it."""
    match chosen.randrange(3):
        case 0:
            return data.replace(b"xref", b"xxxx")
        case 1:
            return re.sub(rb"startxref\s+\d+", b"startxref\n%d" % chosen.randrange(len(data) + 9), data)
        case _:
            return with_match(re.compile(rb"\d{10} \d{5} n"), data, chosen, lambda _: b"0000000009 00000 n")


PDF: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (
        *(with_other_operators, with_other_references, with_other_sizes, with_another_filter),
        *(with_objects_exchanged, without_table),
    )
}
