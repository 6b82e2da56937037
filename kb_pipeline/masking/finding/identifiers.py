"""Numbers of papers, firms, vehicles, machines and accounts: one pure function an entity over a folded text.

Borders are spelled out in ASCII, so that a number that touches a Chinese character is found. What has a check digit is
believed by it; what has none needs a shape that few other numbers have, or a word before it that says what it is.
"""

from __future__ import annotations

import datetime as dt
import re

from kb_pipeline.masking.finding.checksums import PROVINCES, iban, unified_social_credit_code
from kb_pipeline.masking.finding.cues import any_of, around, near_numbers

Span = tuple[int, int]

_NOT_AFTER = r"(?![0-9A-Za-z])"


def _alone(first: str, rest: str) -> str:
    """A pattern that begins with `first`, stands alone, and is searched for by that first character."""
    return rf"{first}(?<![0-9A-Za-z].){rest}{_NOT_AFTER}"


# Between a word and the number that it announces: 护照号码为：, passport no. is #
_SAYS = (
    r"[ \t]*(?:号码?|號碼?|编号|证号|證號|[Nn]umbers?|[Nn]o\.?|#)?[ \t]*(?:[(（][^)）\n]{0,12}[)）])?"
    r"[ \t]*(?:是|为|為|is|was)?[ \t]*[:：=#]*[ \t]*"
)

_OLD_RESIDENT = re.compile(_alone("[1-9]", r"[0-9]{14}"))
_CREDIT_CODE = re.compile(_alone("[1-9ANY]", r"[1-9A-GY][0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}"))
_CN_PASSPORT = re.compile(_alone("[EGDSP]", r"(?:[0-9]{8}|[A-HJ-NP-Z][0-9]{7})"))
_PASSPORT_WORD = re.compile(
    rf"(?:护照|護照|[Pp]assport|PASSPORT){_SAYS}([A-Za-z]{{0,2}}[0-9]{{6,9}}[A-Za-z]?){_NOT_AFTER}"
)
_says_passport = any_of("护照|護照|assport|PASSPORT")
_PERMIT_WORD = re.compile(
    r"(?:通行证|通行證|回乡证|回鄉證|台胞证|臺胞證|居住证|居留证|[Tt]ravel [Pp]ermit|[Hh]ome [Rr]eturn [Pp]ermit)"
    rf"{_SAYS}([A-Z]{{0,2}}[0-9]{{7,10}}(?:\([0-9A-Z]{{1,2}}\))?){_NOT_AFTER}"
)
_PERMIT = re.compile(_alone("[HMCW]", r"(?:[0-9]{10}|[0-9]{8}|[A-HJ-NP-Z][0-9]{7})"))
_PERMIT_NEAR = re.compile(r"港澳|香港|澳门|澳門|台湾|臺灣|通行|回乡|回鄉|[Pp]ermit")
_NEAR = 24
_says_permit = any_of("通行|回乡|回鄉|胞证|胞證|居住证|居留证|港|澳|台湾|臺灣|ermit")

_PROVINCE_SIGNS = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PLATE = re.compile(
    rf"[{_PROVINCE_SIGNS}][A-HJ-NP-Z][ ·•.・-]?(?:[DF][A-HJ-NP-Z0-9][0-9]{{4}}|[0-9]{{5}}[DF]|"
    rf"(?=[A-HJ-NP-Z]{{0,3}}[0-9])[A-HJ-NP-Z0-9]{{4}}[A-HJ-NP-Z0-9挂学警港澳领试超]){_NOT_AFTER}"
)
_MAC_MIDDLE = re.compile("[:.-][0-9A-Fa-f]{2,4}[:.-]")
_MAC = re.compile(
    r"[0-9A-Fa-f]{2}(?<![0-9A-Za-z]..)(?<![0-9A-Fa-f][:-]..)(?:(?P<s>[:-])(?:[0-9A-Fa-f]{2}(?P=s)){4}[0-9A-Fa-f]{2}|"
    r"[0-9A-Fa-f]{2}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4})(?![0-9A-Za-z]|[:-][0-9A-Fa-f])"
)
_IBAN_COUNTRY = re.compile(r"[0-9](?<=[A-Za-z]{2}.)(?<![0-9A-Za-z][A-Za-z]{2}.)")
_IBAN = re.compile(rf"[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[0-9A-Za-z]{{4}}){{2,7}}(?:[ -]?[0-9A-Za-z]{{1,4}})?{_NOT_AFTER}")
_GROUP_BORDER = re.compile("[ -]")
_SSN = re.compile(r"[0-9](?<![0-9A-Za-z.-].)([0-9]{2})([- .])([0-9]{2})\2([0-9]{4})(?![0-9A-Za-z]|[.-][0-9])")
_SSN_WORD = re.compile(
    r"(?:SSN|ssn|[Ss]ocial [Ss]ecurity)(?: [Nn]umber| [Nn]o\.?)?[^0-9\n]{0,12}"
    r"([0-9]{3})[- .]?([0-9]{2})[- .]?([0-9]{4})(?![0-9])"
)

_says_security = any_of("SSN|ssn|ecurity")

_MONTHS = (
    "(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sep(?:t(?:ember)?)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_DATE = (
    r"(?:[0-9]{4} ?[-./年] ?[0-9]{1,2}(?: ?[-./月] ?[0-9]{1,2} ?[日号]?|月)|[0-9]{1,2}[-./][0-9]{1,2}[-./][0-9]{2,4}"
    rf"|[0-9]{{8}}(?![0-9])|{_MONTHS} [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th)? (?:of )?{_MONTHS},? [0-9]{{4}})"
)
_BIRTH = re.compile(
    r"(?:出生(?:日期|年月日?|时间)?|生日|生于|[Dd]ate [Oo]f [Bb]irth|DATE OF BIRTH|DOB|D\.O\.B\.?"
    r"|[Bb]irth ?(?:day|date)|[Bb]orn(?: on)?)"
    r"[ \t]*(?:[(（][^)）\n]{0,12}[)）])?[ \t]*(?:是|为|為|于|於|在|is|was|on)?[ \t]*[:：=]*[ \t]*"
    rf"({_DATE})"
)
_called_births = around(_BIRTH, "出生|生日|生于|irth|BIRTH|DOB|D.O.B|orn", before=10, after=90)
_BORN_AFTER = re.compile(rf"({_DATE}) ?(?:出生|生(?=[,，。；;)）]))")
_births_before = around(_BORN_AFTER, "生", before=30, after=3)


def find_old_resident_ids(text: str) -> list[Span]:
    """Chinese resident identity numbers of 15 digits, as issued until 1999: a region and a date of birth, no check
    digit."""
    numbers = near_numbers((_OLD_RESIDENT,), text, 15, after=1)
    return [match.span() for match in numbers if _old_resident_id(match.group())]


def _old_resident_id(number: str) -> bool:
    return number[:2] in PROVINCES and _is_date(1900 + int(number[6:8]), int(number[8:10]), int(number[10:12]))


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        dt.date(year, month, day)
    except ValueError:
        return False
    return True


def find_credit_codes(text: str) -> list[Span]:
    """Unified social credit codes of Chinese organisations (GB 32100-2015)."""
    codes = near_numbers((_CREDIT_CODE,), text, 6, before=2, after=12)
    return [match.span() for match in codes if unified_social_credit_code(match.group())]


def find_passports(text: str) -> list[Span]:
    """Chinese passports by their shape; any other that is called one."""
    shaped = [match.span() for match in near_numbers((_CN_PASSPORT,), text, 7, before=2, after=1)]
    return shaped + ([match.span(1) for match in _PASSPORT_WORD.finditer(text)] if _says_passport(text) else [])


def find_travel_permits(text: str) -> list[Span]:
    """Permits between the mainland, Hong Kong, Macau and Taiwan: called so, or shaped so and not far from such a
    word."""
    if not _says_permit(text):
        return []
    spans = [match.span(1) for match in _PERMIT_WORD.finditer(text)]
    for match in _PERMIT.finditer(text):
        if _PERMIT_NEAR.search(text, max(0, match.start() - _NEAR), match.start()):
            spans.append(match.span())
    return spans


def find_plates(text: str) -> list[Span]:
    """Chinese number plates, those of new energy vehicles among them."""
    return [match.span() for match in _PLATE.finditer(text)]


def find_mac_addresses(text: str) -> list[Span]:
    """MAC addresses with colons or hyphens, or in groups of four."""
    if not _MAC_MIDDLE.search(text):
        return []
    return [match.span() for match in _MAC.finditer(text) if len(set(match.group()) - set(":-.")) > 1]


def find_ibans(text: str) -> list[Span]:
    """International bank account numbers by their check digits (ISO 13616), whole or in groups of four."""
    found = []
    starts = (country.start() - 2 for country in _IBAN_COUNTRY.finditer(text))
    for match in filter(None, (_IBAN.match(text, start) for start in starts)):
        # A word that follows may look like its last group.
        ends = [match.end(), *(match.start() + border.start() for border in _GROUP_BORDER.finditer(match.group()))]
        for end in sorted(ends, reverse=True):
            if iban(_GROUP_BORDER.sub("", text[match.start() : end])):
                found.append((match.start(), end))
                break
    return found


def find_social_security_numbers(text: str) -> list[Span]:
    """US social security numbers in their three groups; nine digits where they are called one."""
    groups = near_numbers((_SSN,), text, 9, after=2)
    grouped = [m.span() for m in groups if _ssn(m.group()[0] + m.group(1), m.group(3), m.group(4))]
    called = _SSN_WORD.finditer(text) if _says_security(text) else ()
    return grouped + [(match.start(1), match.end(3)) for match in called if _ssn(*match.groups())]


def _ssn(area: str, group: str, serial: str) -> bool:
    """Never issued: area 000, 666, 900 to 999; group 00; serial 0000."""
    return area not in ("000", "666") and area[0] != "9" and group != "00" and serial != "0000"


def find_births(text: str) -> list[Span]:
    """Dates of birth: a date that a word before or after it calls one."""
    return [match.span(1) for matches in (_called_births, _births_before) for match in matches(text)]
