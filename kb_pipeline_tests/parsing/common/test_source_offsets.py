"""Where the elements of text files stand in them, in bytes."""

from kb_pipeline.parsing import parse


def cut(data: bytes, media_type: str) -> list[tuple[str, str]]:
    """The text of each element, and the part of the file that it says it stands in."""
    return [(e.text, data[e.source_start : e.source_end].decode()) for e in parse(data, media_type)]


def test_plain_text() -> None:
    data = "第一章 总则\n\n为了规范管理\n\n\n- one\n- two\n".encode()
    assert cut(data, "text/plain") == [
        ("第一章 总则", "第一章 总则"),
        ("为了规范管理", "为了规范管理"),
        ("one", "- one"),
        ("two", "- two"),
    ]


def test_markdown_with_front_matter_and_a_table_that_touches_a_line() -> None:
    table = "| a | b |\n|---|---|\n| 1 | 2 |\n"
    data = f"---\ntitle: 部署\n---\n# 部署 *指南*\n\n正文。\n{table}\n```\ncode\n```\n\nlast\n".encode()
    assert cut(data, "text/markdown") == [
        ("title: 部署", "title: 部署"),
        ("部署 指南", "部署 *指南*"),
        ("正文。", "正文。"),
        ("a\tb\n1\t2", table),
        ("code", "```\ncode\n```"),
        ("last", "last"),
    ]


def test_line_ends_of_other_systems_count_as_one_byte() -> None:
    data = b"one\r\n\r\ntwo\r\n"
    (_, second) = parse(data, "text/plain")
    assert (second.source_start, second.source_end) == (5, 8)
