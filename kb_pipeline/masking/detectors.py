"""Where personal data stands in a folded text: one pure function an entity, each returning (start, end) pairs.

Look-arounds are spelled out in ASCII: to `\\b` a Chinese character is a letter, so that it finds no border in
手机13800138000. Candidates begin at every group of digits (a look-ahead holds the match), so that a number beside
another one is not read as part of it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable

from kb_pipeline.masking.checksums import bank_card, resident_id
from kb_pipeline.masking.money import find_money

Span = tuple[int, int]

_GAP = r"(?:[ \t-]|\r?\n)"
_NOT_DIGITS = re.compile(r"[^0-9Xx]")
_ANY_DIGIT = re.compile(r"[0-9]")


def _at_group(*bodies: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(rf"(?<![0-9])(?=({body})(?![0-9]))") for body in bodies)


_RESIDENT = _at_group(rf"[1-9](?:{_GAP}?[0-9]){{16}}{_GAP}?[0-9Xx]")
_CARD = _at_group(
    r"[0-9]{13,19}",
    rf"[0-9]{{4}}(?:{_GAP}[0-9]{{4}}){{3}}",
    rf"[0-9]{{4}}(?:{_GAP}[0-9]{{4}}){{3}}{_GAP}[0-9]{{1,3}}",
    rf"[0-9]{{4}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}}",
    rf"[0-9]{{6}}{_GAP}[0-9]{{7,13}}",
)
_MOBILE_BODY = rf"1[3-9](?:{_GAP}?[0-9]){{9}}"
_PHONE = (
    *_at_group(
        _MOBILE_BODY,
        rf"(?:00)?86{_GAP}?{_MOBILE_BODY}",
        # Fixed lines: area codes are 010, 02x and 03xx to 09xx.
        r"0(?:10|2[0-9]|[3-9][0-9]{2})[ -]?[2-9](?:[ -]?[0-9]){6,7}(?:-[0-9]{1,5})?",
        r"[48]00[ -][0-9]{3,4}[ -]?[0-9]{3,4}",
        # North America, as people write it there.
        r"(?:1[ .-])?[2-9][0-9]{2}[ .-][2-9][0-9]{2}[ .-][0-9]{4}",
    ),
    re.compile(r"(?=([(（]0(?:10|2[0-9]|[3-9][0-9]{2})[)）] ?[2-9][0-9]{2,3}[ -]?[0-9]{4})(?![0-9]))"),
    re.compile(r"(?=((?:\+?1[ .-]?)?\([2-9][0-9]{2}\) ?[2-9][0-9]{2}[ .-][0-9]{4})(?![0-9]))"),
    re.compile(r"(?<![0-9+])(?=(\+[1-9](?:[ .()/-]{0,2}[0-9]){7,14})(?![0-9]))"),
)
_EXTENSION = re.compile(r" ?(?:转|轉|分机|ext\.?|x) ?[0-9]{1,6}(?![0-9])", re.IGNORECASE)

_LOCAL_PART = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]+|\[?(?:[0-9]{1,3}\.){3}[0-9]{1,3}\]?")

_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = re.compile(rf"(?<![0-9.]){_OCTET}(?:\.{_OCTET}){{3}}(?!\.?[0-9])")
_COLONS = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


def _valid(patterns: Iterable[re.Pattern[str]], text: str, check: Callable[[str], bool]) -> list[Span]:
    return [
        match.span(1)
        for pattern in patterns
        for match in pattern.finditer(text)
        if check(_NOT_DIGITS.sub("", match.group(1)))
    ]


def find_resident_ids(text: str) -> list[Span]:
    """Chinese resident identity numbers, with up to one space, hyphen or line break between digits."""
    return _valid(_RESIDENT, text, resident_id) if _ANY_DIGIT.search(text) else []


def find_bank_cards(text: str) -> list[Span]:
    """Payment card numbers, whole or in the groups that are printed on cards."""
    return _valid(_CARD, text, bank_card) if _ANY_DIGIT.search(text) else []


def find_phone_numbers(text: str) -> list[Span]:
    """Chinese mobile, fixed and service numbers, North American ones, and any that begins with + and a country."""
    if not _ANY_DIGIT.search(text):
        return []
    spans = [match.span(1) for pattern in _PHONE for match in pattern.finditer(text)]
    return [(_with_plus(text, start), _with_extension(text, end)) for start, end in spans]


def _with_plus(text: str, start: int) -> int:
    return start - 1 if text[start - 1 : start] == "+" else start


def _with_extension(text: str, end: int) -> int:
    match = _EXTENSION.match(text, end)
    return match.end() if match else end


def find_emails(text: str) -> list[Span]:
    """Mail addresses. Found from the @ outwards, so that a long word costs one look."""
    spans = []
    at = text.find("@")
    while at != -1:
        start = at
        while start and text[start - 1] in _LOCAL_PART:
            start -= 1
        domain = _DOMAIN.match(text, at + 1)
        if start < at and domain:
            spans.append((start, domain.end()))
        at = text.find("@", at + 1)
    return spans


def find_ip_addresses(text: str) -> list[Span]:
    """IPv4 with valid octets and IPv6 in any of its spellings. A version like 1.2.3.4 cannot be told apart."""
    spans = [match.span() for match in _IPV4.finditer(text)]
    if ":" in text:
        spans += [span for match in _COLONS.finditer(text) if (span := _ipv6(text, *match.span()))]
    return spans


def _ipv6(text: str, start: int, end: int) -> Span | None:
    if start and text[start - 1].isascii() and text[start - 1].isalnum():
        start = text.index(":", start) + 1
    if text[start] == ":" and text[start + 1 : start + 2] != ":":
        start += 1
    while end > start and (text[end - 1] == "." or (text[end - 1] == ":" and text[end - 2] != ":")):
        end -= 1
    candidate = text[start:end]
    if not _ANY_DIGIT.search(candidate):
        return None
    try:
        ipaddress.IPv6Address(candidate)
    except ValueError:
        return None
    return start, end


DETECTORS: dict[str, Callable[[str], list[Span]]] = {
    "CN_RESIDENT_ID": find_resident_ids,
    "BANK_CARD": find_bank_cards,
    "PHONE_NUMBER": find_phone_numbers,
    "EMAIL_ADDRESS": find_emails,
    "IP_ADDRESS": find_ip_addresses,
    "MONEY": find_money,
}
