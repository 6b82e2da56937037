"""What a pattern cannot match without, looked for first: a plain search is many times faster than a pattern.

Texts are looked through for words that announce something, and for numbers with enough digits; patterns then look at
the places around them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache

# Digits with what people put between the groups of a number.
_ISLAND = re.compile(r"[0-9](?:[ \t\r\n().+/-]{0,3}[0-9])*")


def any_of(words: str) -> Callable[[str], bool]:
    """A test for texts that hold one of `words` (divided by |), in these letters."""
    each = tuple(words.split("|"))

    def stands_in(text: str) -> bool:
        return any(map(text.__contains__, each))

    return stands_in


def around(
    pattern: re.Pattern[str], words: str, before: int, after: int, lower: bool = False
) -> Callable[[str], Iterator[re.Match[str]]]:
    """Matches of `pattern` that hold one of `words` (divided by |): they begin at most `before` characters before it,
    and end at most `after` after it. `lower`: words are in small letters, their case does not matter."""
    each = tuple(words.split("|"))

    def matches(text: str) -> Iterator[re.Match[str]]:
        searched = text.lower() if lower else text
        places = sorted(place for word in each if word in searched for place in _places(searched, word))
        end = 0
        for place in places:
            start = max(place - before, end)
            for match in pattern.finditer(text, start, place + after):
                yield match
                end = match.end()

    return matches


def _places(text: str, word: str) -> Iterator[int]:
    place = text.find(word)
    while place != -1:
        yield place
        place = text.find(word, place + 1)


@lru_cache(maxsize=4)
def most_digits(text: str) -> int:
    """How many digits the longest number in `text` has, whatever its groups. Several detectors ask it of one text."""
    return max((sum(map(str.isdigit, island)) for island in _ISLAND.findall(text)), default=0)
