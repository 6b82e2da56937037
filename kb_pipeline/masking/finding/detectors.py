"""Where personal data stands in a folded text: one pure function an entity, each returning (start, end) pairs.

Look-arounds are spelled out in ASCII: to `\\b` a Chinese character is a letter, so that it finds no border in
手机13800138000. Candidates begin at every group of digits, so that a number beside another one is not read as part
of it. A pattern begins with a character to search for; what must not stand before it is looked for after that, because
the engine skips quickly only to a character.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence

from kb_pipeline.masking.finding.addresses import find_addresses, may_hold_addresses
from kb_pipeline.masking.finding.checksums import bank_card, resident_id
from kb_pipeline.masking.finding.cues import any_of, around, most_digits, near_numbers
from kb_pipeline.masking.finding.identifiers import (
    find_births,
    find_credit_codes,
    find_ibans,
    find_mac_addresses,
    find_old_resident_ids,
    find_passports,
    find_plates,
    find_social_security_numbers,
    find_travel_permits,
)
from kb_pipeline.masking.finding.money import UNIT_CHARACTERS, find_money
from kb_pipeline.masking.finding.names import find_names, may_hold_names
from kb_pipeline.masking.finding.secrets import find_secrets, may_hold_secrets

Span = tuple[int, int]

_GAP = r"(?:[ \t-]|\r?\n)"
_NOT_DIGITS = re.compile(r"[^0-9Xx]")
_ANY_DIGIT = re.compile(r"[0-9]")


def _from(first: str, *rests: str) -> tuple[re.Pattern[str], ...]:
    """Patterns for `first` where no digit stands before it, looking ahead at each of `rests` with no digit after it.

    The match is one character long, so that the next candidate may begin inside this one.
    """
    return tuple(re.compile(rf"{first}(?<![0-9].)(?=({rest})(?![0-9]))") for rest in rests)


_RESIDENT = _from("[1-9]", rf"(?:{_GAP}?[0-9]){{16}}{_GAP}?[0-9Xx]")
_CARD = _from(
    "[0-9]",
    r"[0-9]{12,18}",
    rf"[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}",
    rf"[0-9]{{3}}(?:{_GAP}[0-9]{{4}}){{3}}{_GAP}[0-9]{{1,3}}",
    rf"[0-9]{{3}}{_GAP}[0-9]{{6}}{_GAP}[0-9]{{4,5}}",
    rf"[0-9]{{5}}{_GAP}[0-9]{{7,13}}",
)
_MOBILE_REST = rf"[3-9](?:{_GAP}?[0-9]){{9}}"
_EXTENSION = r"(?:(?:-| ?(?:转|轉|分机|ext\.?|[xX]) ?)[0-9]{1,6})?"
_PHONE = (
    *_from("1", _MOBILE_REST),
    *_from("8", rf"6{_GAP}?1{_MOBILE_REST}"),
    *_from("0", rf"086{_GAP}?1{_MOBILE_REST}"),
    # Chinese fixed lines: area codes are 010, 02x and 03xx to 09xx. A hexadecimal letter beside one means a UUID.
    *_from("0(?<![A-Fa-f].)", rf"(?:10|2[0-9]|[3-9][0-9]{{2}})[ -]?[2-9](?:[ -]?[0-9]){{6,7}}{_EXTENSION}(?![A-Fa-f])"),
    # Other countries' trunk prefix, an area and groups; not the end of a longer row of groups.
    *_from("0(?<![A-Fa-f].)(?<![0-9][ -].)", rf"[1-9][0-9]{{1,2}}(?:[ -][0-9]{{2,4}}){{2,4}}{_EXTENSION}(?![A-Fa-f])"),
    *_from("[48]", r"00[ -][0-9]{3,4}[ -]?[0-9]{3,4}"),
    # North America, as people write it there.
    *_from("[0-9]", rf"(?:[ .-]|01[ .-])?[0-9]{{2,3}}([ .-])[0-9]{{3}}\2[0-9]{{4}}{_EXTENSION}"),
    *_from(r"\(", rf"[0-9]{{2,4}}\) ?[0-9]{{3,4}}[ .-]?[0-9]{{3,4}}{_EXTENSION}"),
    *_from("（", rf"0[0-9]{{2,3}}） ?[0-9]{{3,4}}[ -]?[0-9]{{4}}{_EXTENSION}"),
    *_from(r"\+(?<!U.)", rf"[1-9](?:[ .()/-]{{0,2}}[0-9]){{6,14}}{_EXTENSION}"),
)
# Any number of six digits and more that is called one.
_CALLED = re.compile(
    r"(?:电话|電話|手机|手機|座机|座機|传真|傳真|联系方式|聯絡|(?<![A-Za-z])(?:tel|phone|mobile|cell|fax|whatsapp))"
    r"[^0-9\n+(]{0,12}([+(]{0,2}[0-9](?:[ ().-]{0,2}[0-9]){5,14})(?![0-9])",
    re.IGNORECASE,
)
_called = around(
    _CALLED,
    "电话|電話|手机|手機|座机|座機|传真|傳真|联系方式|聯絡|tel|phone|mobile|cell|fax|whatsapp",
    before=0,
    after=80,
    lower=True,
)
_DIALLED = re.compile(
    r"(?:(?:you can|please|to) (?:call|dial)|(?:answering|reach (?:me|us|you|him|her|them)) (?:at|on))"
    r"[ :]{1,2}([+(]{0,2}[0-9](?:[ ().-]{0,2}[0-9]){5,14})(?![0-9])",
    re.IGNORECASE,
)
_ANSWERED = re.compile(
    r"[0-9(+](?<![0-9.-].)"
    r"(?=([0-9]?(?:[ ().-]{0,2}[0-9]){5,14}(?= ?(?:-|\\,)? ?(?:office|fax|mobile|cell|home)(?![A-Za-z]))))",
    re.IGNORECASE,
)

_dialled = around(_DIALLED, "call|dial|answering|reach", before=10, after=90, lower=True)
_says_line = any_of("office|fax|mobile|cell|home", lower=True)

_LOCAL_PART = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+'-")
_DOMAIN = re.compile(r"(?:[A-Za-z0-9-]+\.)+[A-Za-z][A-Za-z0-9-]+|\[?(?:[0-9]{1,3}\.){3}[0-9]{1,3}\]?")

_QUAD = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?!\.?[0-9])(?:/[0-9]{1,2}(?!\.?[0-9]))?")
_COLONS = re.compile(r":[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*")
_ANY_SIGN = re.compile(f"[0-9@{UNIT_CHARACTERS}]")
_IN_LETTERS = re.compile("[:.-](?:[0-9A-Fa-f]{1,4}[:.-]|(?<=:):)")
_HEXADECIMAL = frozenset("0123456789ABCDEFabcdef:.")
_ZONE_OR_PREFIX = re.compile(r"%[0-9A-Za-z]+|/[0-9]{1,3}(?![0-9])")


def _valid(patterns: Sequence[re.Pattern[str]], text: str, least: int, check: Callable[[str], bool]) -> list[Span]:
    spans = [(match.start(), match.end(1)) for match in near_numbers(patterns, text, least, after=3)]
    return [(start, end) for start, end in spans if check(_NOT_DIGITS.sub("", text[start:end]))]


def may_hold_any(text: str) -> bool:
    """Whether a detector could find anything in a folded text: without a digit, an @, the name of a currency's unit,
    two colons or a word that announces something none can, and much prose has none of these."""
    return (
        _ANY_SIGN.search(text) is not None
        or _IN_LETTERS.search(text) is not None
        or may_hold_names(text)
        or may_hold_addresses(text)
        or may_hold_secrets(text)
    )


def find_resident_ids(text: str) -> list[Span]:
    """Chinese resident identity numbers, with up to one space, hyphen or line break between digits; the 15 digits that
    were issued until 1999 in one piece."""
    return _valid(_RESIDENT, text, 17, resident_id) + find_old_resident_ids(text)


def find_bank_cards(text: str) -> list[Span]:
    """Payment card numbers, whole or in the groups that are printed on cards."""
    return _valid(_CARD, text, 13, bank_card)


def find_phone_numbers(text: str) -> list[Span]:
    """Chinese mobile, fixed and service numbers, North American ones, any that begins with + and a country's code, and
    any that a word beside it calls a telephone number."""
    if most_digits(text) < 6:
        return []
    spans = [(match.start(), match.end(1)) for match in near_numbers(_PHONE, text, 6, before=8, after=20)]
    if _says_line(text):
        spans += [(match.start(), match.end(1)) for match in _ANSWERED.finditer(text)]
    return spans + [match.span(1) for matches in (_called, _dialled) for match in matches(text)]


def find_emails(text: str) -> list[Span]:
    """Mail addresses. Found from the @ outwards, so that a long word costs one look."""
    spans = []
    at = text.find("@")
    while at != -1:
        start = at
        while start and text[start - 1] in _LOCAL_PART:
            start -= 1
        while start < at and text[start] in ".'":
            start += 1
        domain = _DOMAIN.match(text, at + 1)
        if start < at and domain:
            spans.append((start, domain.end()))
        at = text.find("@", at + 1)
    return spans


def find_ip_addresses(text: str) -> list[Span]:
    """IPv4 with valid octets and IPv6 in any of its spellings, with a zone or the length of a prefix if one follows.

    A version like 1.2.3.4 cannot be told apart.
    """
    spans = [match.span() for match in near_numbers((_QUAD,), text, 4, after=4) if _ipv4(text, match)]
    if text.count(":") >= 2:
        spans += [span for match in _COLONS.finditer(text) if (span := _ipv6(text, *match.span()))]
    return spans


def _ipv4(text: str, match: re.Match[str]) -> bool:
    start = match.start()
    octets = match.group().partition("/")[0].split(".")
    alone = not (start and (text[start - 1].isdecimal() or (text[start - 1] == "." and text[start - 2].isdecimal())))
    return alone and all(octet == str(int(octet)) and int(octet) < 256 for octet in octets)


def _ipv6(text: str, start: int, end: int) -> Span | None:
    while start and text[start - 1] in _HEXADECIMAL:
        start -= 1
    if start and text[start].isalpha() and text[start - 1].isascii() and text[start - 1].isalpha():
        start = text.index(":", start) + 1  # the end of a word, as in interface::
    if text.startswith(":", start) and (not text.startswith("::", start) or text.startswith(":::", start)):
        start += 1
    while end > start and (text[end - 1] == "." or (text[end - 1] == ":" and text[end - 2] != ":")):
        end -= 1
    if text[end : end + 1].isascii() and text[end : end + 1].isalpha():
        return None  # a word goes on, as in h1::before
    suffix = _ZONE_OR_PREFIX.match(text, end)
    if not _ANY_DIGIT.search(text[start:end]) and not suffix:
        return None
    try:
        ipaddress.IPv6Address(text[start:end])
    except ValueError:
        return None
    return start, suffix.end() if suffix else end


def with_digits(least: int, find: Callable[[str], list[Span]]) -> Callable[[str], list[Span]]:
    """`find` for entities that hold a number of so many digits: other texts are not looked through."""
    return lambda text: find(text) if most_digits(text) >= least else []


DETECTORS: dict[str, Callable[[str], list[Span]]] = {
    "CN_RESIDENT_ID": find_resident_ids,
    "CN_CREDIT_CODE": find_credit_codes,
    "BANK_CARD": find_bank_cards,
    "IBAN_CODE": with_digits(2, find_ibans),
    "US_SSN": find_social_security_numbers,
    "PASSPORT": with_digits(6, find_passports),
    "TRAVEL_PERMIT": with_digits(7, find_travel_permits),
    "LICENSE_PLATE": with_digits(1, find_plates),
    "EMAIL_ADDRESS": find_emails,
    "PHONE_NUMBER": find_phone_numbers,
    "MAC_ADDRESS": find_mac_addresses,
    "IP_ADDRESS": find_ip_addresses,
    "SECRET": find_secrets,
    "DATE_OF_BIRTH": with_digits(4, find_births),
    "ADDRESS": find_addresses,
    "PERSON": find_names,
    "MONEY": find_money,
}
