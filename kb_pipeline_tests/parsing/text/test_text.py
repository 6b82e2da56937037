"""Plain text: titles by numbering only, hard-wrapped lines joined, Chinese charsets read."""

import pytest

from kb_pipeline.core.errors import NoText, UnsupportedFormat
from kb_pipeline.parsing import parse


def kinds(data: bytes) -> list[tuple[str, int | None, str]]:
    return [(e.kind, e.level, e.text) for e in parse(data, "text/plain")]


def test_numbered_lines_are_titles_and_short_chinese_lines_are_not() -> None:
    text = "第一章 总则\n\n为了规范管理\n\n一、适用范围\n\n第一条 本制度适用于全体员工。\n\n1.1 定义\n"
    assert kinds(text.encode()) == [
        ("title", 1, "第一章 总则"),
        ("paragraph", None, "为了规范管理"),
        ("title", 2, "一、适用范围"),
        ("paragraph", None, "第一条 本制度适用于全体员工。"),
        ("title", 2, "1.1 定义"),
    ]


def test_hard_wrapped_lines_join_with_a_space_between_words_and_none_between_chinese() -> None:
    english = "The quick brown fox jumps over the lazy dog and then it\nrests for a while."
    chinese = "公司员工应当遵守国家法律法规以及公司的各项规章制度，\n维护公司利益。"
    assert [text for _, _, text in kinds(f"{english}\n\n{chinese}".encode())] == [
        "The quick brown fox jumps over the lazy dog and then it rests for a while.",
        "公司员工应当遵守国家法律法规以及公司的各项规章制度，维护公司利益。",
    ]


def test_lines_that_are_not_wrapped_stay_apart() -> None:
    assert [text for _, _, text in kinds(b"name: a\nsize: b\n")] == ["name: a", "size: b"]


@pytest.mark.parametrize("charset", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "gb18030", "big5"])
def test_chinese_text_is_read_in_the_charsets_windows_writes(charset: str) -> None:
    text = "Word: 本季度的工作內容包括文件整理、人員安排和資料分析，以及下一步的計劃。" * 4
    assert kinds(text.encode(charset)) == [("paragraph", None, text)]


def test_latin_1_is_not_taken_for_chinese() -> None:
    assert kinds("Größe für Müller".encode("latin-1")) == [("paragraph", None, "Größe für Müller")]


def test_control_characters_and_lone_surrogates_are_removed() -> None:
    assert kinds(b"a\x00b\x07c" + b" \xe4\xb8\xad") == [("paragraph", None, "abc 中")]


def test_an_empty_file_and_an_unknown_type_say_so() -> None:
    with pytest.raises(NoText, match="empty"):
        parse(b" \n\n", "text/plain")
    with pytest.raises(UnsupportedFormat, match=r"unsupported format: image/x-icon, see docs/formats\.md"):
        parse(b"x", "image/x-icon")
