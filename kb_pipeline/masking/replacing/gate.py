"""A second, cruder look for personal data that shares no pattern with the detectors.

It knows no groups, prefixes or countries: runs of digits, an @ between words, a currency sign before a digit. What it
finds in masked text is a mistake of the detectors.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection

from kb_pipeline.masking.finding.checksums import bank_card, resident_id

_SIGN = re.compile("[0-9@]")  # without one, none of the following can match
_RUN = re.compile(r"[0-9]{10,}[Xx]?")
_MOBILE = re.compile(r"(?:(?:00)?86)?(1[3-9][0-9]{9})")
_MAIL = re.compile(r"[A-Za-z0-9]@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2}")
_QUAD = re.compile(r"[0-9](?<![0-9.].)[0-9]{0,2}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])")
_PRICE = re.compile(r"[¥€£] ?[0-9]")


def scan(text: str, entities: Collection[str]) -> Counter[str]:
    """How often each of `entities` still seems to stand in a folded `text`."""
    found: Counter[str] = Counter()
    if not _SIGN.search(text):
        return found
    for match in _RUN.finditer(text):
        entity = _number(match.group())
        if entity:
            found[entity] += 1
    found.update("EMAIL_ADDRESS" for _ in (_MAIL.finditer(text) if "@" in text else ()))
    found.update("IP_ADDRESS" for quad in _QUAD.findall(text) if _octets(quad))
    found.update("MONEY" for _ in _PRICE.finditer(text))
    return Counter({entity: count for entity, count in found.items() if entity in entities}) if found else found


def _number(run: str) -> str | None:
    digits = run.rstrip("Xx")
    if resident_id(run) or resident_id(digits):
        return "CN_RESIDENT_ID"
    if 16 <= len(digits) <= 19 and bank_card(digits):
        return "BANK_CARD"
    return "PHONE_NUMBER" if _MOBILE.fullmatch(digits) else None


def _octets(quad: str) -> bool:
    return all(part == str(int(part)) and int(part) < 256 for part in quad.split("."))
