"""Words for lexical search: one segmenter for stored text and for queries.

PostgreSQL makes one token of a Chinese sentence, so text is segmented here (rjieba, the tokens of jieba) and stored as
`to_tsvector('simple', words)`. Changing the segmenter means raising WORDS_VERSION, which publishes again.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

WORDS_VERSION = 1
MAX_WORD_BYTES = 2046  # PostgreSQL's limit for a lexeme: a longer one is dropped from a text and refused in a query
_SURELY_SHORT = MAX_WORD_BYTES // 4  # characters, of at most four bytes
_WORD = re.compile(r"[^\W_]")


def words(text: str) -> list[str]:
    """Lower-case words of `text` in order, compatibility forms folded (full-width letters and digits), punctuation
    dropped."""
    import rjieba

    folded = unicodedata.normalize("NFKC", text).lower()
    # hmm=False: words outside the dictionary come as single characters, the same way in a text and in a query; the
    # statistical guess depends on the neighbours and splits 年假为 as 年|假为.
    return [
        token
        for token in rjieba.cut_for_search(folded, False)
        # Most tokens that are no words are single blanks and marks: for those the pattern need not be asked.
        if (token.isalnum() or (len(token) > 1 and _WORD.search(token)))
        and (len(token) <= _SURELY_SHORT or _fits(token))
    ]


def _fits(token: str) -> bool:
    return len(token.encode()) <= MAX_WORD_BYTES


def search_words(section_path: Sequence[str], content: str) -> str:
    """What a passage is found by: its own words, and those of its headings, for what it is about often stands only
    there."""
    return " ".join(words("\n".join((*section_path, content))))
