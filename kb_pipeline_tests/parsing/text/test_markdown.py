"""Markdown: headings, lists, code, tables and pictures as such, HTML inside it, and no word of it lost."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree, html
from markdown_it import MarkdownIt

from kb_pipeline.core.media_type import MARKDOWN
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.common.cleaning import fold
from kb_pipeline.parsing.common.decoding import decode

CORPUS = Path(__file__).parents[4] / "shared" / "corpus"


def outline(text: str | bytes) -> list[tuple[str, int | None, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(e.kind, e.level, e.text) for e in parse(data, MARKDOWN)]


def test_structure_survives() -> None:
    text = "# 部署\n\n先安装\n\n步骤\n---\n\n- 下载\n- 解压\n\n```sh\nmake  all\n  ok\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
    assert outline(text) == [
        ("title", 1, "部署"),
        ("paragraph", None, "先安装"),
        ("title", 2, "步骤"),
        ("list_item", None, "下载"),
        ("list_item", None, "解压"),
        ("code", None, "make  all\n  ok"),
        ("table", None, "a\tb\n1\t2"),
    ]


def test_code_and_tables_inside_a_list_are_code_and_tables() -> None:
    text = "1. 启动\n\n   ```sh\n   ./start\n   ```\n\n   就绪\n\n2. 检查\n   - 状态\n\n   |a|b|\n   |-|-|\n   |1|2|"
    text += "\n\n-\n\n完\n"
    assert outline(text) == [
        ("list_item", None, "启动"),
        ("code", None, "./start"),
        ("paragraph", None, "就绪"),
        ("list_item", None, "检查"),
        ("list_item", None, "状态"),
        ("table", None, "a\tb\n1\t2"),
        ("paragraph", None, "完"),
    ]


def test_a_table_needs_no_empty_line_before_it() -> None:
    text = "参数如下:\n名称|值 \\| 默认\n--|:-:\nuser|张\n\n> see\n> |a|\n> |-|\n\n- item\n  a|b\n  -|-\n  1|2\n"
    assert outline(text) == [
        ("paragraph", None, "参数如下:"),
        ("table", None, "名称\t值 | 默认\nuser\t张"),
        ("paragraph", None, "see"),
        ("paragraph", None, "a"),
        ("list_item", None, "item"),
        ("table", None, "a\tb\n1\t2"),
    ]


def test_what_only_looks_like_a_table_is_none() -> None:
    text = "```\nx\na|b\n-|-\n```\n\n|k|\n|-|\n|l|\n|m|\n|-|\n\ntext\na|b|c\n-|-\n\n"
    text += "text\nhead\n---\n\n<div>\nx\na|b\n-|-\n</div>\n"
    assert outline(text) == [
        ("code", None, "x\na|b\n-|-"),
        *[("paragraph", None, cell) for cell in "klm-"],
        ("paragraph", None, "text a|b|c -|-"),
        ("title", 2, "text head"),
        ("paragraph", None, "x a|b -|-"),
    ]


def test_lists_of_any_depth_are_read() -> None:
    found = outline("\n".join("  " * depth + f"- item {depth}" for depth in range(300)))
    assert found == [("list_item", None, f"item {depth}") for depth in range(300)]


def test_front_matter_is_a_paragraph_and_no_heading() -> None:
    assert outline("---\ntitle: 指南\n---\n# 开始\n") == [("paragraph", None, "title: 指南"), ("title", 1, "开始")]


def test_lines_of_a_paragraph_are_joined_as_their_script_wants() -> None:
    assert outline("第一行\n第二行 and\nmore  \n张三  \n电话\n") == [
        ("paragraph", None, "第一行第二行 and more 张三 电话")
    ]


def test_marks_go_and_what_they_mark_stays() -> None:
    text = "a **b**c `d <e>` [f](g.md 'h') \\* &lt;i&gt; <https://j.example> k<br>l <!-- m --><b>n</b>o"
    assert outline(text) == [("paragraph", None, "a bc d <e> f * <i> https://j.example k l no")]


def test_what_is_no_tag_of_html_is_a_placeholder_of_the_author() -> None:
    assert outline("ssh <user>@<host name>, not <x-tabs id='1'>") == [
        ("paragraph", None, "ssh <user>@<host name>, not")
    ]


def test_a_picture_is_its_text_alone_or_as_a_word_of_its_sentence() -> None:
    text = "press ![start](s.png) now\n![figure one](1.png)\n![](none.png)\n\n# ![logo](l.png) Name\n"
    assert outline(text) == [
        ("paragraph", None, "press start now"),
        ("image_text", None, "figure one"),
        ("title", 1, "logo Name"),
    ]


def test_blocks_of_html_are_read_as_such() -> None:
    text = (
        '<p align="center"><img src="a.png" alt="overview"/></p>\n\n<details>\n<summary>More</summary>\n\n*inside*\n\n'
        "</details>\n\n<h2>假期</h2>\n<ul><li>五<b>天</b><li>x</ul>\n<pre>y  z\n  w</pre>\n<script>no()</script>\n"
        '<?xml version="1.0" encoding="gbk"?>\n'
    )
    assert outline(text) == [
        ("image_text", None, "overview"),
        ("paragraph", None, "More"),
        ("paragraph", None, "inside"),
        ("title", 2, "假期"),
        ("list_item", None, "五天"),
        ("list_item", None, "x"),
        ("code", None, "y  z\n  w"),
    ]


def test_a_table_in_html_goes_on_over_empty_lines_and_markdown_in_its_cells() -> None:
    text = "<table>\n<tr><td>a</td>\n<td>\n\n**b** c\n\n</td></tr>\n<tr><td>1<td><img alt='two'>\n</table>\n\nafter\n"
    assert outline(text) == [("table", None, "a\tb c\n1\ttwo"), ("paragraph", None, "after")]
    assert outline("<table><tr><td>x\n\nafter **b**\n\n<table>\n\n# H") == [
        ("paragraph", None, "x"),
        ("paragraph", None, "after b"),
        ("title", 1, "H"),
    ]


def test_text_deep_inside_html_is_read_or_refused_never_dropped() -> None:
    assert outline("<div>" * 300 + "deep" + "</div>" * 300) == [("paragraph", None, "deep")]


def test_any_charset_that_text_files_have() -> None:
    for charset in ("gb18030", "utf-16", "utf-8-sig"):
        assert outline("# 年假规定\r\n\r\n员工每年有五天年假，病假另计。".encode(charset)) == [
            ("title", 1, "年假规定"),
            ("paragraph", None, "员工每年有五天年假，病假另计。"),
        ]


def visible(text: str) -> str:
    """What a browser would show of a file, pictures by their texts, without white space: by way of HTML."""
    body = MarkdownIt("commonmark", {"maxNesting": 100}).enable("table").render(text)
    root = html.document_fromstring(f"<body><p>{body}", parser=html.HTMLParser(huge_tree=True))
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, "script", "style", with_tail=False)
    for picture in root.iter("img"):
        picture.tail = (picture.get("alt") or "") + (picture.tail or "")
    return squeezed(root.text_content())


def squeezed(text: str) -> str:
    return "".join(fold(text).split())


def read(data: bytes) -> str:
    return squeezed("".join(element.text for element in parse(data, MARKDOWN)))


LINES = """w1 **w2** `w3`;w4 w5;> w6;- w7;  - w8;1. w9;# w10;w11
---;```
w12
```;|a|b|
|-|-|
|w13|w14|;    w15;<div>w16</div>;<b>w17;![w18](x);[w19](y)\\
w20;;<table><tr><td>w21;</table>;</div>;<p>w22;w23<br>w24"""


@given(st.lists(st.sampled_from(LINES.split(";")), max_size=12).map("\n".join))
def test_no_word_of_any_arrangement_is_lost_or_moved(text: str) -> None:
    if visible(text):
        assert sorted(re.findall(r"w\d+", read(text.encode()))) == sorted(re.findall(r"w\d+", visible(text)))


@pytest.mark.corpus
def test_no_word_of_real_files_is_lost() -> None:
    archives = sorted((CORPUS / "history/dolphinscheduler-docs").glob("*.tar.gz"))
    if not archives:
        pytest.skip("needs the corpus of real documents")
    with tarfile.open(archives[-1]) as archive:
        entries = [(entry.name, archive.extractfile(entry)) for entry in archive if entry.name.endswith(".md")]
        files = {name: file.read() for name, file in entries if file}
    files |= {path.name: path.read_bytes() for path in (CORPUS / "docs/md").rglob("*.md")}
    assert [name for name, data in files.items() if not in_order(visible(decode(data)), read(data))] == []


def in_order(shown: str, text: str) -> bool:
    rest = iter(text)
    return all(character in rest for character in shown)
