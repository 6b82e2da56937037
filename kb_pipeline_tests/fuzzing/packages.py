"""Damage to zip packages (docx, xlsx, pptx, epub, odt): to what a member holds, to the list of them, to the archive."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from lzma import LZMAError
from random import Random

from kb_pipeline_tests.fuzzing.markup import TAGS, WELL_FORMED
from kb_pipeline_tests.fuzzing.octets import ANY, Mutation, with_match, with_noise
from kb_pipeline_tests.fuzzing.words import in_another_charset

Members = dict[str, bytes]

MOST_UNPACKED = 16 * 1024 * 1024
_MARKUP = (".xml", ".rels", ".html", ".xhtml", ".opf", ".ncx", ".vml")
_BODIES = re.compile(
    r"word/document|sheet\d+\.xml|sharedStrings|slide\d+\.xml|content\.xml|html$|styles|\.rels$|\.opf$"
)
_REFERENCE = re.compile(rb'\br="[A-Z]{1,3}\d+"')
_CELLS = (b"XFD1048576", b"A0", b"A1", b"ZZZ9", b"a1", b"", b"$B$2", b"A99999999999")
_TARGET = re.compile(rb'Target="[^"<>]*"')
_TARGETS = (
    b"../../../../etc/hostname",
    b"file:///etc/hostname",
    b"",
    b"/",
    b"document.xml",
    b"NULL",
    b"\xff",
    b"media/none.png",
)
_NAMES = (
    "../x.xml",
    "/abs.xml",
    "a" * 300,
    "word/",
    "字\u202e.xml",
    "",
    "xl/worksheets/sheet1.xml",
    "word/document.xml",
    "x\\y",
)
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def unpacked(data: bytes) -> Members:
    """The members of a package by name; none of one that cannot be read, or unpacks to more than is small."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as package:
            entries = package.infolist()
            if sum(entry.file_size for entry in entries) > MOST_UNPACKED:
                return {}
            return {entry.filename: package.read(entry) for entry in entries}
    except (
        zipfile.BadZipFile,
        zlib.error,
        LZMAError,
        OSError,
        ValueError,
        EOFError,
        NotImplementedError,
        RuntimeError,
    ):
        return {}


def packed(members: Members, chosen: Random, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A package of `members`, some of it said twice once in a while."""
    out = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(out, "w", method) as package:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name or "x")
            entry.compress_type = zipfile.ZIP_STORED if name == "mimetype" else method
            package.writestr(entry, content)
            if chosen.random() < 0.002:
                out_of_date = zipfile.ZipInfo(name or "x")
                package.writestr(out_of_date, content[: len(content) // 2])
    return out.getvalue()


def _changed_member(data: bytes, chosen: Random, among: Mapping[str, Mutation], times: int) -> bytes:
    members = unpacked(data)
    names = [name for name in members if name.endswith(_MARKUP)]
    if not names:
        return with_noise(data, chosen)
    bodies = [name for name in names if _BODIES.search(name)]
    for _ in range(times):
        name = chosen.choice(bodies if bodies and chosen.random() < 0.8 else names)
        members[name] = among[chosen.choice(list(among))](members[name], chosen)
    return packed(members, chosen)


def with_damaged_markup(data: bytes, chosen: Random) -> bytes:
    """Elements, attributes and text of one part or several, most of which stay well formed."""
    return _changed_member(data, chosen, TAGS if chosen.random() < 0.15 else WELL_FORMED, chosen.choice((1, 1, 2, 6)))


def with_damaged_bytes(data: bytes, chosen: Random) -> bytes:
    """Bytes and numbers of a part."""
    return _changed_member(data, chosen, {**ANY, "charset": in_another_charset}, 1)


def with_damaged_references(data: bytes, chosen: Random) -> bytes:
    """What parts call one another, and where cells say that they stand."""

    def elsewhere(part: bytes, chosen: Random) -> bytes:
        part = with_match(_TARGET, part, chosen, lambda _: b'Target="%s"' % chosen.choice(_TARGETS))
        return with_match(_REFERENCE, part, chosen, lambda _: b'r="%s"' % chosen.choice(_CELLS))

    return _changed_member(data, chosen, {"elsewhere": elsewhere}, 8)


def with_other_members(data: bytes, chosen: Random) -> bytes:
    """Members gone, renamed, doubled, in each other's place, or packed another way."""
    members = unpacked(data)
    if not members:
        return with_noise(data, chosen)
    for _ in range(chosen.choice((1, 1, 3))):
        one, other = chosen.choice(list(members)), chosen.choice(list(members))
        match chosen.randrange(4):
            case 0 if len(members) > 1:
                del members[one]
            case 1:
                members[chosen.choice(_NAMES)] = members[one]
            case 2:
                members[one], members[other] = members[other], members[one]
            case _:
                members[one] = chosen.choice((b"", b"<a/>", b"\0" * 1000, chosen.randbytes(500)))
    return packed(members, chosen, chosen.choice(_METHODS))


def with_a_damaged_archive(data: bytes, chosen: Random) -> bytes:
    """The archive's own numbers: sizes, offsets, checksums, flags, in a local header or in the directory."""
    mark = chosen.choice((b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"))
    at = data.find(mark, chosen.randrange(len(data) + 1))
    at = at if at >= 0 else data.find(mark)
    if at < 0:
        return with_noise(data, chosen)
    at += 4 + chosen.randrange(40)
    return data[:at] + chosen.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x01", chosen.randbytes(2))) + data[at + 4 :]


PACKAGE: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (
        *(with_damaged_markup, with_damaged_bytes, with_damaged_references, with_other_members),
        with_a_damaged_archive,
    )
}
# Most of what matters is in the parts.
PACKAGE_WEIGHTS = (60, 10, 10, 12, 8)
