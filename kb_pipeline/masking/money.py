"""Amounts of money in Chinese and English, in figures and in words. Patterns for a folded text."""

from __future__ import annotations

import re

_FIGURE = r"[0-9]{1,3}(?:[,，][0-9]{3})+(?:\.[0-9]+)?|[0-9]+(?:\.[0-9]+)?"
_SCALE = r"(?: ?(?:[十百千万亿萬億]{1,3}|(?:thousand|million|billion|trillion|mn|bn|[kKmMbB])(?![A-Za-z])))?"
_RANGE = rf"(?:(?:{_FIGURE}){_SCALE} ?[-~～至到] ?)?"
_SIGN = r"(?:(?:US|HK|NT|CA|AU|A|C|S)?\$|[¥€£₩₹])"
_CODE = r"(?:RMB|CNY|CNH|USD|HKD|TWD|EUR|GBP|JPY|KRW|SGD|AUD|CAD|CHF|INR)"
_NAME = r"(?:人民币|人民幣|美元|美金|港元|港币|港幣|欧元|歐元|日元|日圆|英镑|新台币|新臺幣)"
# 元 also begins words: 元素, 元件, 元组, 元旦, 元年 ...
_YUAN = r"(?:元(?![素件组組旦年宵首帅老凶气氣月朝代音数數认認宇])|圆整?|圓整?|块钱|塊錢)"
_UNIT = rf"(?:{_NAME}|{_YUAN}|{_CODE}(?![A-Za-z])|(?:dollars?|yuan|euros?|pounds sterling)(?![A-Za-z]))"
_TAIL = r"(?:整|正|[0-9零一二三四五六七八九壹贰叁肆伍陆柒捌玖]角(?:[0-9零一二三四五六七八九壹贰叁肆伍陆柒捌玖]分)?)?"

_NUMERAL = "零〇一二两三四五六七八九十百千万亿壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億"

_BEFORE = re.compile(
    rf"(?:{_SIGN}|(?<![A-Za-z]){_CODE}|{_NAME})[:：]? ?{_RANGE}(?:{_FIGURE}){_SCALE}(?: ?{_UNIT})?{_TAIL}",
    re.IGNORECASE,
)
_AFTER = re.compile(rf"(?<![0-9.,]){_RANGE}(?:{_FIGURE}){_SCALE} ?{_UNIT}{_TAIL}", re.IGNORECASE)
_IN_WORDS = re.compile(rf"{_NAME}?[:：]? ?[{_NUMERAL}]{{2,}}(?:点[{_NUMERAL}]+)? ?(?:{_NAME}|{_YUAN}){_TAIL}")
_NAMED_IN_WORDS = re.compile(rf"{_NAME}[:：]? ?[{_NUMERAL}]+(?:{_YUAN}){_TAIL}")
_ANY_DIGIT = re.compile(r"[0-9]")
_YUAN_SIGNS = ("元", "圆", "圓", "块钱", "塊錢", "英镑", "币", "幣", "美金")


def find_money(text: str) -> list[tuple[int, int]]:
    """Amounts: ¥1,234.56, 3.5亿元, 100-200元, RMB 300, USD 2.5 million, 人民币壹佰万元整. A bare number is none."""
    patterns: list[re.Pattern[str]] = []
    if _ANY_DIGIT.search(text):
        patterns += (_BEFORE, _AFTER)
    if any(sign in text for sign in _YUAN_SIGNS):
        patterns += (_IN_WORDS, _NAMED_IN_WORDS)
    return [match.span() for pattern in patterns for match in pattern.finditer(text)]
