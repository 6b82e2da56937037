"""What a pattern cannot match without, looked for first: a search for words is many times faster than a pattern.

All words that announce something are looked for in one pass (Aho-Corasick), and numbers are measured; patterns then
look at the places around them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from ahocorasick_rs import AhoCorasick, Implementation

# Digits with what people put between the groups of a number.
_ISLAND = re.compile(r"[0-9](?:[ \t\r\n().+/-]{0,3}[0-9])*")
_NOT_A_DIGIT = re.compile(r"[^0-9]")


class _Words:
    """Words of all detectors, and where each of them stands in a text."""

    def __init__(self, prepared: Callable[[str], str]) -> None:
        self._prepared = prepared
        self._number: dict[str, int] = {}
        self._automaton: AhoCorasick | None = None
        # Several detectors ask it of one text.
        self.places = lru_cache(maxsize=4)(self._places)

    def add(self, words: str) -> tuple[int, ...]:
        """The numbers of `words` (divided by |)."""
        self._automaton = None
        return tuple(self._number.setdefault(word, len(self._number)) for word in words.split("|"))

    def _places(self, text: str) -> Mapping[int, list[int]]:
        if self._automaton is None:
            self._automaton = AhoCorasick(list(self._number), implementation=Implementation.DFA)
        places: dict[int, list[int]] = {}
        for word, start, _ in self._automaton.find_matches_as_indexes(self._prepared(text), overlapping=True):
            places.setdefault(word, []).append(start)
        return places


def _small(text: str) -> str:
    """`text` in small letters, each where it stood: some have a small form of two characters."""
    small = text.lower()
    return small if len(small) == len(text) else "".join(min(c.lower(), c, key=len) for c in text)


_WORDS, _SMALL_WORDS = _Words(lambda text: text), _Words(_small)


def any_of(words: str, lower: bool = False) -> Callable[[str], bool]:
    """A test for texts that hold one of `words` (divided by |). `lower`: they are in small letters, and their case does
    not matter."""
    known = _SMALL_WORDS if lower else _WORDS
    numbers = frozenset(known.add(words))

    def stands_in(text: str) -> bool:
        return not numbers.isdisjoint(known.places(text))

    return stands_in


def around(
    pattern: re.Pattern[str], words: str, before: int, after: int, lower: bool = False
) -> Callable[[str], Iterable[re.Match[str]]]:
    """Matches of `pattern` that hold one of `words` (as any_of takes them): they begin at most `before` characters
    before it, and end at most `after` after it."""
    known = _SMALL_WORDS if lower else _WORDS
    numbers = frozenset(known.add(words))

    def matches(text: str) -> Iterable[re.Match[str]]:
        said = known.places(text)
        here = numbers.intersection(said)
        return found(text, sorted(place for number in here for place in said[number])) if here else ()

    def found(text: str, places: list[int]) -> Iterator[re.Match[str]]:
        end = 0
        for place in places:
            start = max(place - before, end)
            for match in pattern.finditer(text, start, place + after):
                if match.start() > place:
                    break  # it holds another word, and may be cut here
                yield match
                end = match.end()

    return matches


@lru_cache(maxsize=4)
def _numbers(text: str) -> tuple[tuple[int, int, int], ...]:
    """(digits, start, end) of every number in `text`, whatever its groups, that with most digits first. Several
    detectors ask it of one text."""
    return tuple(sorted(((_digits(island.group()), *island.span()) for island in _ISLAND.finditer(text)), reverse=True))


def _digits(island: str) -> int:
    return len(island) if island.isdigit() else sum(map(str.isdigit, island))


def most_digits(text: str) -> int:
    """How many digits the longest number in `text` has."""
    numbers = _numbers(text)
    return numbers[0][0] if numbers else 0


def near_numbers(
    patterns: Sequence[re.Pattern[str]], text: str, least: int, before: int = 0, after: int = 0
) -> list[re.Match[str]]:
    """Matches of `patterns` that hold a number of at least so many digits: they begin at most `before` characters
    before it, and look at most `after` beyond it (further rather than end within another number)."""
    found: list[re.Match[str]] = []
    for digits, start, end in _numbers(text):
        if digits < least:
            break
        stop = _NOT_A_DIGIT.search(text, end + after)
        for pattern in patterns:
            found += pattern.finditer(text, max(0, start - before), stop.start() if stop else len(text))
    return found
