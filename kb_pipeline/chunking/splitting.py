"""Where a text that is too long may be cut: after a sentence, after a clause, then anywhere that breaks no word.

Every function here returns pieces that give the text again when joined, so that nothing is lost between them.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from functools import partial

from kb_pipeline.chunking.tokens import QUARTERS, count_each, count_tokens, reach

_CLOSERS = "”’」』）》】\"')\\]"
# Runs are tried from their beginning alone: from each of their characters, a long one would take hours.
_SENTENCE_END = re.compile(rf"[。！？；…]+[{_CLOSERS}]*\s*|(?<![.!?])[.!?]+[{_CLOSERS}]*\s+|\n\s*")
_CLAUSE_END = re.compile(r"[，、：]\s*|[,;:]\s+|[—–]+\s*|(?<!\s)\s+[|/]\s+")
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Nos|Fig|Eq|Sec|Art|Vol|pp?|vs|etc|cf|al|approx|Inc|Ltd|Co|Corp|Jan|Feb|Mar|Apr"
    r"|Jun|Jul|Aug|Sept?|Oct|Nov|Dec|e\.g|i\.e|a\.m|p\.m)|\b[A-Z]|\b\d{1,2})\.$"
)
_LOOK_BACK = 12
_LONGEST_WORD = 64
_WORD_MARKS = frozenset("@._-+%/\\#&=")
_JOINERS = frozenset("\u200c\u200d")


def split_text(text: str, budget: int) -> list[tuple[str, int]]:
    """Cut `text` into pieces of at most `budget` tokens each by the estimate, with their estimates.

    Joined, the pieces are `text` again.
    """
    pieces = [(text, count_tokens(text))]
    for cut in (sentences, _clauses, partial(_hard_cuts, budget=budget)):
        pieces = [
            part
            for piece, tokens in pieces
            for part in ([(piece, tokens)] if tokens <= budget else _measured(list(cut(piece))))
        ]
    return pieces


def _measured(pieces: list[str]) -> Iterator[tuple[str, int]]:
    return zip(pieces, count_each(pieces), strict=True)


def sentences(text: str) -> list[str]:
    """Sentences with the white space that follows them. A full stop ends none after an abbreviation or an initial,
    after a one- or two-digit number (a list's "1. "), or before a lower-case letter."""
    return _cut_after(text, _SENTENCE_END, _ends_sentence)


def _clauses(text: str) -> list[str]:
    return _cut_after(text, _CLAUSE_END, lambda match: True)


def _cut_after(text: str, pattern: re.Pattern[str], accept: Callable[[re.Match[str]], bool]) -> list[str]:
    pieces, start = [], 0
    for match in pattern.finditer(text):
        if accept(match) and not _inside_number(text, match.start(), match.end()):
            pieces.append(text[start : match.end()])
            start = match.end()
    if start < len(text):
        pieces.append(text[start:])
    return pieces


def _ends_sentence(match: re.Match[str]) -> bool:
    text, end = match.string, match.end()
    if match.group()[0] != ".":
        return True
    if text[end : end + 1].islower():
        return False
    stop = match.start() + 1
    return not _ABBREVIATION.search(text[max(0, stop - _LOOK_BACK) : stop])


def _inside_number(text: str, start: int, end: int) -> bool:
    """A cut between two groups of digits could part a number that masking must see whole."""
    mark = text[start:end].strip()
    return mark in ("", ",", "-", "–", "—", ".") and text[start - 1 : start].isdigit() and text[end : end + 1].isdigit()


def _hard_cuts(text: str, budget: int) -> Iterator[str]:
    window = QUARTERS * budget + 64
    start = 0
    while start < len(text):
        fits = reach(text[start : start + window], budget)
        if start + fits >= len(text):
            yield text[start:]
            return
        end = _good_cut(text, start, start + max(fits, 1))
        yield text[start:end]
        start = end


def shorten(text: str, budget: int) -> str:
    """The beginning of `text` that costs at most `budget` tokens."""
    return next(_hard_cuts(text, budget)).rstrip()


def _good_cut(text: str, start: int, limit: int) -> int:
    """The last position up to `limit` that cuts through no word, number or composed character, if there is one."""
    floor = max(start + (limit - start) // 4, limit - _LONGEST_WORD)
    fallback = 0
    for end in range(limit, floor, -1):
        if _joined_word(text, end) or _between_digits(text, end):
            fallback = fallback or end
        elif not _joined_glyph(text, end):
            return end
    return fallback or limit


def _joined_glyph(text: str, end: int) -> bool:
    after, before = text[end : end + 1], text[end - 1]
    return bool(after) and (
        unicodedata.combining(after) > 0
        or unicodedata.category(after) in ("Mn", "Me", "Mc")
        or after in _JOINERS
        or before in _JOINERS
    )


def _joined_word(text: str, end: int) -> bool:
    before, after = text[end - 1], text[end : end + 1]
    return _word_like(before) and _word_like(after)


def _word_like(character: str) -> bool:
    return (character.isascii() and (character.isalnum() or character in _WORD_MARKS)) or character.isdigit()


def _between_digits(text: str, end: int) -> bool:
    before, after = text[max(0, end - 4) : end].rstrip(" -\t\u3000"), text[end : end + 4].lstrip(" -\t\u3000")
    return before[-1:].isdigit() and after[:1].isdigit()


def split_table(text: str, budget: int) -> list[tuple[str, int]]:
    """Cut a table, one row a line, into tables of at most `budget` tokens, each beginning with the first row.

    A header that takes more than half of the budget is not repeated; a row that does not fit is cut like text.
    """
    rows = text.split("\n")
    depth = 2 if len(rows) > 1 and rows[1].strip() and not rows[1].strip("|-:+= \t") else 1
    header = "\n".join(rows[:depth])
    header_tokens = count_tokens(header) + 1
    if 2 * header_tokens > budget:
        header, header_tokens, depth = "", 0, 0
    tables: list[list[str]] = []
    room = 0
    for row, tokens in _fitting_rows(rows[depth:], budget - header_tokens):
        if tokens + 1 > room:
            tables.append([header] if header else [])
            room = budget - header_tokens + (0 if header else 1)
        tables[-1].append(row)
        room -= tokens + 1
    return list(_measured(["\n".join(table) for table in tables]))


def _fitting_rows(rows: list[str], room: int) -> Iterator[tuple[str, int]]:
    for row, tokens in _measured([row for row in rows if row.strip()]):
        if tokens < room:
            yield row, tokens
        else:
            yield from _measured([part.strip() for part, _ in split_text(row, room - 1) if part.strip()])
