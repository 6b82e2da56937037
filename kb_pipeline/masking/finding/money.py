"""Amounts of money in Chinese and English, in figures and in words. Patterns for a folded text."""

from __future__ import annotations

import re
from itertools import chain

from kb_pipeline.masking.finding.cues import any_of, around

_FIGURE = r"[0-9]+(?:[,，][0-9]{3})*(?:\.[0-9]+)?"
# As _FIGURE, where nothing of a number stands before it.
_WHOLE_FIGURE = r"[0-9](?<![0-9].)(?<![0-9][.,].)[0-9]*(?:[,，][0-9]{3})*(?:\.[0-9]+)?"
_SCALE = r"(?: ?(?:[十百千万亿萬億]{1,3}|(?:[Tt]housand|[MmBb]illion|[Tt]rillion|mn|bn|[kKmMbB])(?![A-Za-z])))?"
_RANGE = rf"(?: ?[-~～至到] ?{_FIGURE}{_SCALE})?"
_NAMES = "人民币|人民幣|美元|美金|港元|港币|港幣|欧元|歐元|日元|日圆|英镑|新台币|新臺幣"
_NAME = f"(?:{_NAMES})"
_CAPITAL_CODES = "RMB CNY CNH USD HKD TWD EUR GBP JPY KRW SGD AUD CAD CHF INR"
_CODES = "|".join((*_CAPITAL_CODES.split(), *_CAPITAL_CODES.lower().split()))
_CODE = f"(?:{_CODES})"
# 元 also begins words: 元素, 元件, 元组, 元旦, 元年 ...
_YUAN = r"(?:元(?![素件组組旦年宵首帅老凶气氣月朝代音数數认認宇])|圆整?|圓整?|块钱|塊錢)"
_UNIT = rf"(?:{_YUAN}{_NAME}?|{_NAME}|{_CODE}(?![A-Za-z])|(?:[Dd]ollars?|[Yy]uan|[Ee]uros?|pounds)(?![A-Za-z]))"
_NUMERAL = "零〇一二两三四五六七八九十百千万亿壹贰貳叁參肆伍陆陸柒捌玖拾佰仟萬億"
_TAIL = rf"(?:[整正]|[0-9{_NUMERAL}]角(?:[0-9{_NUMERAL}]分)?)?"
_AMOUNT = rf"[:：]? ?{_FIGURE}{_SCALE}{_RANGE}(?: ?{_UNIT})?{_TAIL}"

# Each begins with a character or a choice of them, which the engine finds quickly; what must not stand before is
# looked for after that.
_SIGNS = "$¥€£₩₹"
_SIGNED = re.compile(rf"[{_SIGNS}]{_AMOUNT}")
_CODED = re.compile(rf"{_CODE}(?<![A-Za-z]...){_AMOUNT}")
_NAMED = re.compile(_NAME + _AMOUNT)
_COUNTED = re.compile(rf"{_WHOLE_FIGURE}{_SCALE}{_RANGE} ?{_UNIT}{_TAIL}")
_IN_WORDS = re.compile(rf"[{_NUMERAL}]{{2,40}}(?:点[{_NUMERAL}]+)? ?(?:{_YUAN}|{_NAME}){_TAIL}")
_NAMED_IN_WORDS = re.compile(rf"{_NAME}[:：]? ?[{_NUMERAL}]{{1,40}}(?:点[{_NUMERAL}]+)?(?:{_YUAN}|{_NAME})?{_TAIL}")
# One of them is in every unit that may follow an amount in words.
UNIT_CHARACTERS = "元圆圓币幣块塊金镑"
_UNIT_WORDS = "|".join((*UNIT_CHARACTERS, _CODES, "ollar", "uan", "uro", "pounds"))
_counted = around(_COUNTED, _UNIT_WORDS, before=60, after=12)
_in_words = around(_IN_WORDS, "|".join(UNIT_CHARACTERS), before=90, after=8)
_named_in_words = around(_NAMED_IN_WORDS, _NAMES, before=1, after=90)
_SAID = (
    (any_of("|".join(_SIGNS)), _SIGNED),
    (any_of(_CODES), _CODED),
    (any_of(_NAMES), _NAMED),
)
_COUNTRY = re.compile(r"(?:US|HK|NT|CA|AU|A|C|S)\Z")


def find_money(text: str) -> list[tuple[int, int]]:
    """Amounts: ¥1,234.56, 3.5亿元, 100-200元, RMB 300, USD 2.5 million, 人民币壹佰万元整. A bare number is none."""
    found = [matches(text) for matches in (_counted, _in_words, _named_in_words)]
    found += [pattern.finditer(text) for says, pattern in _SAID if says(text)]
    return [(_with_country(text, match.start()), match.end()) for match in chain.from_iterable(found)]


def _with_country(text: str, start: int) -> int:
    """US$ and the like belong to the amount."""
    if text[start] != "$":
        return start
    match = _COUNTRY.search(text[max(0, start - 2) : start])
    return start - len(match.group()) if match else start
