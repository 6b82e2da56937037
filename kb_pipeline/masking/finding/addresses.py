"""Postal addresses: what is called one and names a place, and what has a street and a number. Over a folded text."""

from __future__ import annotations

import re

from kb_pipeline.masking.finding.cues import any_of, around

Span = tuple[int, int]

_PLACE = r"[^\n，,；;。<>:：|\t]"
_LABELS = "地址|住址|住所|居住地|户籍地|户籍所在地|通讯处|所在地|注册地"
_CALLED = re.compile(
    rf"(?:{_LABELS})[ \t]*(?:[(（][^)）\n]{{0,12}}[)）])?[ \t]*(?:[:：]|是|为|位于)[ \t]*({_PLACE}{{4,60}})"
)
_is_called = any_of(_LABELS)
_called = around(_CALLED, _LABELS, before=0, after=100)
_PARTS = re.compile("[省市区县區縣镇鎮乡鄉村路街道巷弄号號栋幢楼樓室座层]")
_HAN = "\u4e00-\u9fff"
_CHINESE = re.compile(
    rf"(?:[{_HAN}]{{2,6}}(?:省|自治区))?[{_HAN}]{{2,6}}市[{_HAN}]{{1,8}}[区县區縣][{_HAN}0-9A-Za-z-]{{1,24}}[路街道巷弄镇村]"
    rf"[0-9A-Za-z{_HAN}-]{{0,8}}?[0-9]{{1,5}}[号號弄](?:[0-9A-Za-z{_HAN}-]{{0,16}}(?:[室楼层座]|单元))?"
)
_in_a_city = around(_CHINESE, "市", before=16, after=90)
_STREET = (
    "Street|St|Avenue|Ave|Road|Rd|Boulevard|Blvd|Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Highway|Hwy"
    "|Parkway|Pkwy|Circle|Trail|Crescent"
)
_ENGLISH = re.compile(
    r"[0-9](?<![0-9A-Za-z.,/-].)[0-9]{0,5}[A-Za-z]? (?:[NSEW]\.? )?(?:[A-Z][A-Za-z'’.-]*|[0-9]{1,3}(?:st|nd|rd|th))"
    rf"(?: [A-Z][A-Za-z'’.-]*){{0,3}} (?:{_STREET})\b\.?"
    r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Floor|Room|#)\.? ?[0-9A-Za-z-]{1,6})?"
    r"(?:,? [A-Z][A-Za-z.]+(?: [A-Z][A-Za-z.]+)?)?(?:,? [A-Z]{2},? [0-9]{5}(?:-[0-9]{4})?)?"
)
_has_street = any_of(_STREET)


def may_hold_addresses(text: str) -> bool:
    """Whether an address could stand in a text without a digit."""
    return "市" in text or _is_called(text)


def find_addresses(text: str) -> list[Span]:
    """Postal addresses in Chinese and in English."""
    spans = [match.span() for match in _ENGLISH.finditer(text)] if _has_street(text) else []
    spans += [match.span() for match in _in_a_city(text)]
    return spans + [match.span(1) for match in _called(text) if _PARTS.search(match.group(1))]
