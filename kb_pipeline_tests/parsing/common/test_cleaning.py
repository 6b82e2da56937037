"""Text hygiene: what is removed, what stays, how lines join, which language."""

import pytest

from kb_pipeline.parsing.common.cleaning import clean, fold, join_lines, language, table


def test_unwanted_characters_go_and_full_width_forms_stay() -> None:
    assert clean("a\x00\x07b\ud800c\u200bd\r\ne\u2028f") == "abcd\ne\nf"
    assert fold("e\u0301\u3000\n ＡＢ１２  ") == "\u00e9 ＡＢ１２"


def test_tables_keep_cells_and_rows_apart() -> None:
    assert table([["a\tb", " c\nd "], ["", ""], ["", "e", ""]]) == "a b\tc d\n\te"


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        (["中文", "继续"], "中文继续"),
        (["使用 Spark", "集群"], "使用 Spark 集群"),
        (["one", "two"], "one two"),
        (["inter\u00ad", "net"], "internet"),
        (["说明：", "(一)"], "说明： (一)"),
        (["write to jane.doe", "@example.com"], "write to jane.doe@example.com"),
        (["write to jane.doe@", "example.com"], "write to jane.doe@example.com"),
        (["meet me", "@ noon"], "meet me @ noon"),
    ],
)
def test_lines_join_with_a_space_only_where_words_meet(lines: list[str], joined: str) -> None:
    assert join_lines(lines) == joined


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("年假", "zh"),
        ("部署 DolphinScheduler 集群并启动 standalone server", "zh"),
        ("Please read 第三章 of the staff handbook before Monday", "en"),
        ("今日の会議について", "ja"),
        ("휴가 신청", "ko"),
        ("Отпуск", "ru"),
        ("Größe für Müller", "und"),
        ("2026-01-02 13:00", "und"),
        ("", "und"),
    ],
)
def test_language_by_script(text: str, code: str) -> None:
    assert language(text) == code
