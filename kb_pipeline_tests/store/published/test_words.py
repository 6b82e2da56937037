"""Words for lexical search: the same for a stored text and for a query."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.store.published.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Annual Leave, 2026!", ["annual", "leave", "2026"]),
        ("ＡＢＣ１２３", ["abc123"]),
        ("“引号”、，。！？", ["引号"]),
        ("员工的规定", ["员工", "的", "规定"]),
        ("", []),
        ("... — !!", []),
        ("😀 👍", []),
    ],
)
def test_words_of_a_text(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_a_long_word_is_found_by_the_words_in_it() -> None:
    assert {"中华", "人民", "共和国", "中华人民共和国"} <= set(words("中华人民共和国"))


@pytest.mark.parametrize("query", ["年假", "规定", "十天"])
def test_the_words_of_a_query_are_among_those_of_a_text_that_holds_it_whatever_stands_beside_it(query: str) -> None:
    for before, after in (("", ""), ("每年", "为"), ("关于", "的说明"), ("病假和", "。"), ("VPN", "2026")):
        assert set(words(query)) <= set(words(before + query + after))


@given(st.text())
def test_any_text_gives_words_without_spaces_or_capitals(text: str) -> None:
    for word in words(text):
        assert word
        assert word == word.lower() or not word.isascii()
        assert not any(character.isspace() for character in word)
