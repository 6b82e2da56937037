"""HTML: headings by tag, tables as such."""

from kb_pipeline.media_type import HTML
from kb_pipeline.parsing import parse


def outline(text: str | bytes, media_type: str) -> list[tuple[str, int | None, str]]:
    data = text if isinstance(text, bytes) else text.encode()
    return [(e.kind, e.level, e.text) for e in parse(data, media_type)]


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
