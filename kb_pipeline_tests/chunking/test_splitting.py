"""Long text is cut after sentences, then clauses, then anywhere that breaks nothing."""

import pytest

from kb_pipeline.chunking import chunk, estimate_tokens
from kb_pipeline.chunking.splitting import sentences, split_table, split_text
from kb_pipeline.core.contracts import Element
from kb_pipeline.settings import ChunkingSettings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天下雨。明天呢？", ["今天下雨。", "明天呢？"]),
        ("他说：“走吧！”我们走了；雨停了。", ["他说：“走吧！”", "我们走了；", "雨停了。"]),
        ("It rains. It pours! Does it?", ["It rains. ", "It pours! ", "Does it?"]),
        (
            "Dr. Wu met J. Doe at 3.5 km, i.e. Near it. Then left.",
            ["Dr. Wu met J. Doe at 3.5 km, i.e. Near it. ", "Then left."],
        ),
        ("See example.com. version 2 follows.", ["See example.com. version 2 follows."]),
        ("1. First point. 2. Second point.", ["1. First point. ", "2. Second point."]),
        ("one line\ntwo lines", ["one line\n", "two lines"]),
        ("电话 1380013\n8000 转", ["电话 1380013\n8000 转"]),
        ("Card 4111 1111.\n2222", ["Card 4111 1111.\n2222"]),
    ],
)
def test_where_sentences_end(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_a_sentence_too_long_is_cut_after_a_clause() -> None:
    assert [part for part, _ in split_text("甲" * 10 + "，" + "乙" * 10 + "，" + "丙" * 5, 12)] == [
        "甲" * 10 + "，",
        "乙" * 10 + "，",
        "丙" * 5,
    ]


def test_a_clause_too_long_is_cut_between_words() -> None:
    parts = [part for part, _ in split_text("alpha beta gamma delta " * 5, 4)]
    assert "".join(parts) == "alpha beta gamma delta " * 5
    assert {word for part in parts for word in part.split()} == {"alpha", "beta", "gamma", "delta"}


@pytest.mark.parametrize("number", ["138\n0013\n8000", "138—0013—8000", "1, 234, 567", "6222–0212–3456"])
def test_no_cut_after_a_sentence_or_a_clause_goes_through_a_number(number: str) -> None:
    """A number over two lines, or with dashes between its groups, must come to masking whole."""
    for before in range(24):
        parts = [part for part, _ in split_text("字" * before + "，" + number + "，" + "字" * 40, 30)]
        assert any(number in part for part in parts), before


@pytest.mark.parametrize("number", ["4111 1111 1111 1111", "138-0013-8000", "198.51.100.7", "zhang.wei@example.com"])
def test_no_cut_goes_through_a_number_or_an_address(number: str) -> None:
    for before in range(40):
        parts = [part for part, _ in split_text("字" * before + number + "字" * 40, 30)]
        assert any(number in part for part in parts), before


def test_no_cut_goes_between_a_character_and_its_accent() -> None:
    text = "e\u0301" * 100
    assert all(part.startswith("e") for part, _ in split_text(text, 7))


def test_a_word_longer_than_a_chunk_is_cut_all_the_same() -> None:
    parts = split_text("x" * 1000, 12)
    assert "".join(part for part, _ in parts) == "x" * 1000
    assert all(tokens <= 12 for _, tokens in parts)


def test_a_table_is_cut_between_rows_and_every_part_begins_with_its_header() -> None:
    rows = [f"员工{n} | 部门{n} | 工号{n}" for n in range(30)]
    parts = [part.split("\n") for part, _ in split_table("\n".join(["姓名 | 部门 | 工号", *rows]), 60)]
    assert len(parts) > 1
    assert {part[0] for part in parts} == {"姓名 | 部门 | 工号"}
    assert [row for part in parts for row in part[1:]] == rows


def test_the_rule_below_a_markdown_header_is_part_of_it() -> None:
    parts = [part for part, _ in split_table("| a | b |\n|---|---|\n" + "| one | two |\n" * 20, 40)]
    assert len(parts) > 1
    assert all(part.startswith("| a | b |\n|---|---|\n| one") for part in parts)


def test_a_header_as_long_as_a_chunk_is_not_repeated() -> None:
    text = "\n".join(["头" * 30, *("行" * 8 for _ in range(8))])
    parts = [part for part, _ in split_table(text, 40)]
    assert "\n".join(parts) == text


def test_a_row_longer_than_a_chunk_is_cut_like_text() -> None:
    parts = split_table("名称\n" + "很长的一行，" * 20, 30)
    assert all(part.startswith("名称\n") and tokens <= 30 for part, tokens in parts)


def test_a_short_last_chunk_takes_from_the_one_before_it() -> None:
    elements = [Element("字" * 15, "paragraph") for _ in range(7)]
    chunks = chunk(elements, ChunkingSettings(max_tokens=100, min_tokens=24))
    assert [estimate_tokens(c.text) for c in chunks] == [79, 31]


def test_a_long_gap_between_two_words_makes_no_chunk_without_text() -> None:
    chunks = chunk([Element("a" + "\n" * 3000 + "b", "code")], ChunkingSettings(max_tokens=16))
    assert [each.text for each in chunks] == ["a", "b"]
    assert [each.ordinal for each in chunks] == [0, 1]
