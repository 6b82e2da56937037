"""Two figures for a text that was read, beside the text it was made from. Pure functions.

White space is folded away, and signs that typesetting exchanges (quotes, dashes, ellipses, full-width forms) are one.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import dataclass

from rapidfuzz.distance import LCSseq

_EXCHANGED = str.maketrans(
    {**dict.fromkeys("“”„«»", '"'), **dict.fromkeys("‘’‚`", "'"), **dict.fromkeys("‐‑‒–—−", "-"), "\u00ad": "", "•": ""}
)


@dataclass(frozen=True, slots=True)
class Score:
    """`characters` is the F1 of the characters as a multiset, `order` that of their longest common subsequence: 1 is
    every character, in the right order, and no other."""

    characters: float
    order: float


def comparable(text: str) -> str:
    """`text` without white space and in one spelling."""
    return "".join(unicodedata.normalize("NFKC", text).translate(_EXCHANGED).split())


def score(read: str, truth: str) -> Score:
    """Scores of `read` against `truth`, both as they are."""
    read, truth = comparable(read), comparable(truth)
    if not read or not truth:
        return Score(0.0, 0.0)
    shared = (Counter(read) & Counter(truth)).total()
    total = len(read) + len(truth)
    return Score(2 * shared / total, 2 * LCSseq.similarity(read, truth) / total)
