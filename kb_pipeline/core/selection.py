"""Which names of a source are taken in: patterns as in a .gitignore file, matched against keys.

A name is left out when `exclude` matches it, or when there is an `include` and that does not. Of several patterns that
match the last decides; `!` before one takes back what an earlier one matched. Names and patterns are compared in
Unicode form NFC, and upper and lower case differ.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

from kb_pipeline.core.identity import canonical_json, sha256_hex

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

# Hidden files and folders (.git, .DS_Store), what Windows and Office leave beside documents.
DEFAULT_EXCLUDE = (".*", "[Tt]humbs.db", "~$*")
# Segments that are no names: an object of such a key is taken in, to be named in quarantine.
_NO_NAME = re.compile(r"(?:^|/)\.\.?(?:/|$)")


class Selection:
    """The patterns of one source system, compiled with the first name that is asked for."""

    def __init__(self, include: Sequence[str] = (), exclude: Sequence[str] = DEFAULT_EXCLUDE) -> None:
        self.include = tuple(include)
        self.exclude = tuple(exclude)

    def takes(self, key: str) -> bool:
        """Whether a new object of this key is taken in."""
        if _NO_NAME.search(key):
            return True
        name = _nfc(key)
        if self._included and not self._included.match_file(name):
            return False
        return not self._excluded.match_file(name)

    @property
    def key(self) -> str:
        """Tells apart selections that may choose differently; empty for what holds when nothing is set."""
        if (self.include, self.exclude) == ((), DEFAULT_EXCLUDE):
            return ""
        return sha256_hex(canonical_json([self.include, self.exclude]))

    @cached_property
    def _included(self) -> GitIgnoreSpec | None:
        return _compiled(self.include) if self.include else None

    @cached_property
    def _excluded(self) -> GitIgnoreSpec:
        return _compiled(self.exclude)


def check_patterns(patterns: Sequence[str]) -> Sequence[str]:
    """`patterns` as they are; raises ValueError for one that can match nothing."""
    for pattern in patterns:
        if not pattern.strip() or pattern.startswith("#"):
            raise ValueError(f"{pattern!r} matches no name: write a pattern as in a .gitignore file, such as drafts/")
        try:
            _compiled((pattern,))
        except ValueError:
            raise ValueError(f"{pattern!r} is no pattern as in a .gitignore file, such as drafts/ or *.tmp") from None
    return patterns


@lru_cache(maxsize=64)
def _compiled(patterns: tuple[str, ...]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    return GitIgnoreSpec.from_lines([_nfc(pattern) for pattern in patterns])


def _nfc(text: str) -> str:
    return text if text.isascii() else unicodedata.normalize("NFC", text)
