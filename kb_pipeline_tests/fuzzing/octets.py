"""Damage to bytes of any kind: pure functions of (bytes, random.Random), as all mutations are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from random import Random

Mutation = Callable[[bytes, Random], bytes]

MOST_BYTES = 2 * 1024 * 1024  # what grows stops here
_NUMBERS = (
    b"0",
    b"-1",
    b"1",
    b"255",
    b"65536",
    b"2147483647",
    b"4294967296",
    b"-0.0",
    b"1e309",
    b"9" * 40,
    b"NaN",
    b"",
)
_WORDS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF)
_CHARSETS = ("gb18030", "big5", "shift_jis", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp1252", "cp1251")
_DIGITS = re.compile(rb"-?\d+(?:\.\d+)?")


def bounded(data: bytes) -> bytes:
    """`data`, cut where it has grown too long to be called small."""
    return data[:MOST_BYTES]


def place(data: bytes, chosen: Random) -> tuple[int, int]:
    """A range of `data`, most often a short one."""
    start = chosen.randrange(len(data) + 1)
    return start, min(len(data), start + int(2 ** chosen.uniform(0, 14)))


def anywhere(pattern: re.Pattern[bytes], data: bytes, chosen: Random) -> re.Match[bytes] | None:
    """A match of `pattern`, the next one after a random place; from the beginning where none follows."""
    return pattern.search(data, chosen.randrange(len(data) + 1)) or pattern.search(data)


def with_match(
    pattern: re.Pattern[bytes], data: bytes, chosen: Random, make: Callable[[re.Match[bytes]], bytes]
) -> bytes:
    """`data` with something else for a random match of `pattern`; as it is where there is none."""
    found = anywhere(pattern, data, chosen)
    return data[: found.start()] + make(found) + data[found.end() :] if found else data


def flipped(data: bytes, chosen: Random) -> bytes:
    """Some bits the other way."""
    damaged = bytearray(data)
    for _ in range(chosen.choice((1, 2, 8, 64)) if data else 0):
        damaged[chosen.randrange(len(data))] ^= 1 << chosen.randrange(8)
    return bytes(damaged)


def cut_short(data: bytes, chosen: Random) -> bytes:
    """Only the beginning."""
    return data[: chosen.randrange(len(data) + 1)]


def without_a_part(data: bytes, chosen: Random) -> bytes:
    """A part taken out."""
    start, end = place(data, chosen)
    return data[:start] + data[end:]


def with_a_part_again(data: bytes, chosen: Random) -> bytes:
    """A part said many times."""
    start, end = place(data, chosen)
    return bounded(data[:end] + data[start:end] * chosen.choice((1, 2, 50, 1000)) + data[end:])


def with_parts_exchanged(data: bytes, chosen: Random) -> bytes:
    """Two parts in each other's place."""
    (a, b), (c, d) = sorted((place(data, chosen), place(data, chosen)))
    return data[:a] + data[c:d] + data[b:c] + data[a:b] + data[d:] if b <= c else data


def with_noise(data: bytes, chosen: Random) -> bytes:
    """Random bytes, or many equal ones, put in or written over."""
    start, end = place(data, chosen)
    noise = chosen.choice((chosen.randbytes(end - start), bytes([chosen.randrange(256)]) * (end - start)))
    return data[:start] + noise + data[chosen.choice((start, end)) :]


def with_another_word(data: bytes, chosen: Random) -> bytes:
    """A binary number that programs stumble over: a size, an offset, a count."""
    size = chosen.choice((1, 2, 4, 8))
    word = (chosen.choice(_WORDS) % 2 ** (8 * size)).to_bytes(size, chosen.choice(("little", "big")))
    start = chosen.randrange(len(data) + 1)
    return data[:start] + word + data[start + size :]


def with_another_number(data: bytes, chosen: Random) -> bytes:
    """A number in writing that is another one."""
    return with_match(_DIGITS, data, chosen, lambda _: chosen.choice(_NUMBERS))


def in_another_charset(data: bytes, chosen: Random) -> bytes:
    """Text in another charset, the file's own or not."""
    return bounded(data.decode("utf-8", "replace").encode(chosen.choice(_CHARSETS), "replace"))


def spliced(data: bytes, chosen: Random, other: bytes) -> bytes:
    """A part of another document put in, or its end for the end of this one."""
    (start, end), at = place(other, chosen), chosen.randrange(len(data) + 1)
    return bounded(data[:at] + (other[start:end] + data[at:] if chosen.random() < 0.7 else other[start:]))


ANY: Mapping[str, Mutation] = {
    made.__name__: made
    for made in (
        *(flipped, cut_short, without_a_part, with_a_part_again, with_parts_exchanged, with_noise),
        *(with_another_word, with_another_number),
    )
}
