"""Bytes of a text file as text. What unstructured and pandas do here fails on Chinese files written by Windows."""

from __future__ import annotations

import re
from importlib import import_module

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SAMPLE_BYTES = 65536
_CHINESE = re.compile("[\u3001-\u3017\u4e00-\u9fff\uff01-\uff5e\u2014\u2018-\u201d\u2026\u00b7]")
# Every superset is read as the largest member of its family, as browsers do.
_WIDER = {"gbk": "gb18030", "gb2312": "gb18030", "x-gbk": "gb18030", "iso-8859-1": "cp1252", "latin-1": "cp1252"}
_WIDER |= {"us-ascii": "utf-8", "ascii": "utf-8"}


def decode(data: bytes, declared: str | None = None) -> str:
    """Text of `data`: by byte order mark, UTF-8, the declared charset, GB18030, and at last the likeliest guess.

    UTF-8 comes before the declaration because declarations lie and text in another charset is hardly ever valid UTF-8;
    except for charsets that switch by escape sequences, whose bytes are all ASCII. Never fails: a byte that no rule
    explains becomes U+FFFD.
    """
    for mark, charset in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(charset, "replace")
    escapes = _wider(declared) if b"\x1b" in data else None
    for candidate in (escapes, _wide_charset(data), "utf-8", _wider(declared)):
        text = _strictly(data, candidate)
        if text is not None:
            return text
    return _as_chinese(data) or _guessed(data)


def _wider(charset: str | None) -> str | None:
    name = (charset or "").strip().lower()
    return _WIDER.get(name, name) or None


def _strictly(data: bytes, charset: str | None) -> str | None:
    try:
        return data.decode(charset) if charset else None
    except (UnicodeDecodeError, LookupError, ValueError):
        return None


def _wide_charset(data: bytes) -> str | None:
    """UTF-16 without a mark: in mostly Latin text every second byte is NUL."""
    sample = data[:_SAMPLE_BYTES]
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    if max(even, odd) <= len(sample) // 5 or min(even, odd) > len(sample) // 50:
        return None
    return "utf-16-le" if odd > even else "utf-16-be"


def _as_chinese(data: bytes) -> str | None:
    """GB18030, if what comes out looks like Chinese: nearly any bytes decode, Latin-1 and Big5 into rare characters.

    Common characters are the first level of GB 2312 (lead bytes B0 to D7) and punctuation; in Chinese text they are
    over 95% of what is not ASCII, in mistaken text under half.
    """
    text = _strictly(data, "gb18030")
    if text is None:
        return None
    wide = [character for character in text[:_SAMPLE_BYTES] if character > "\x7f"]
    common = sum(1 for character in wide if _CHINESE.match(character) and _is_common(character))
    return text if wide and common >= 0.9 * len(wide) else None


def _is_common(character: str) -> bool:
    lead = character.encode("gb18030")[0]
    return 0xA1 <= lead <= 0xA3 or 0xB0 <= lead <= 0xD7


def _guessed(data: bytes) -> str:
    best = import_module("charset_normalizer").from_bytes(data[:_SAMPLE_BYTES]).best()
    return _strictly(data, best.encoding if best else None) or data.decode("cp1252", "replace")
