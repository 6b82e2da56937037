"""HTML and Markdown: headings by tag, lists, code and tables as such."""

from kb_pipeline.media_type import HTML, MARKDOWN
from kb_pipeline.parsing import parse


def outline(text: str | bytes, media_type: str) -> list[tuple[str, int | None, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(e.kind, e.level, e.text) for e in parse(data, media_type)]


def test_markdown_structure_survives() -> None:
    text = "# 部署\n\n先安装\n\n## 步骤\n\n- 下载\n- 解压\n\n```sh\nmake  all\n  ok\n```\n\n|a|b|\n|-|-|\n|1|2|\n"
    assert outline(text, MARKDOWN) == [
        ("title", 1, "部署"),
        ("paragraph", None, "先安装"),
        ("title", 2, "步骤"),
        ("list_item", None, "下载"),
        ("list_item", None, "解压"),
        ("code", None, "make  all\n  ok"),
        ("table", None, "a\tb\n1\t2"),
    ]


def test_code_and_tables_inside_a_list_are_code_and_tables() -> None:
    text = "1. 启动\n\n   ```sh\n   ./start\n   ```\n\n2. 检查\n\n   |a|b|\n   |-|-|\n   |1|2|\n"
    assert outline(text, MARKDOWN) == [
        ("paragraph", None, "启动"),
        ("code", None, "./start"),
        ("paragraph", None, "检查"),
        ("table", None, "a\tb\n1\t2"),
    ]


def test_front_matter_is_a_paragraph_and_no_heading() -> None:
    assert outline("---\ntitle: 指南\n---\n# 开始\n", MARKDOWN) == [
        ("paragraph", None, "title: 指南"),
        ("title", 1, "开始"),
    ]


def test_html_headings_have_levels_and_scripts_and_navigation_are_dropped() -> None:
    page = (
        "<html><head><title>t</title><script>var x</script></head><body><nav>菜单</nav><h1>假期</h1>"
        "<p>短行</p><h3>年假</h3><p>五<b>天</b></p><table><tr><th>a<td>b<tr><td>1<td>2</table></body></html>"
    )
    assert outline(page, HTML) == [
        ("title", 1, "假期"),
        ("paragraph", None, "短行"),
        ("title", 3, "年假"),
        ("paragraph", None, "五天"),
        ("table", None, "a\tb\n1\t2"),
    ]


def test_the_declared_charset_is_used_unless_the_bytes_are_utf_8() -> None:
    page = '<html><head><meta charset="{}"></head><body><p>繁體中文內容與日期</p></body></html>'
    for charset, declared in (("big5", "big5"), ("gbk", "gb2312"), ("utf-8", "iso-8859-1")):
        assert outline(page.format(declared).encode(charset), HTML) == [("paragraph", None, "繁體中文內容與日期")]
