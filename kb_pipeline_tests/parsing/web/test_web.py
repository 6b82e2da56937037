"""HTML: headings by tag, tables as such."""

from kb_pipeline.core.media_type import HTML
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


def test_what_surrounds_every_page_of_a_site_goes_and_its_headings_stay() -> None:
    page = (
        "<body><header><a href='/'>首页</a><h1>休假制度</h1></header><nav><ul><li>制度</li></ul></nav>"
        "<main><article><header><h2>总则</h2><p>摘要。</p></header><p>正文。</p></article></main>"
        "<div role='contentinfo'>版权所有</div><footer>联系我们</footer></body>"
    )
    assert [(e.kind, e.text) for e in parse(page.encode(), HTML)] == [
        ("title", "休假制度"),
        ("title", "总则"),
        ("paragraph", "摘要。"),
        ("paragraph", "正文。"),
    ]


def test_cells_over_several_rows_stand_in_each_and_over_several_columns_in_the_first() -> None:
    page = (
        "<table><tr><th colspan='2'>品名</th><th>单价</th></tr><tr><td rowspan='2'>水泵</td><td>大</td><td>2</td></tr>"
        "<tr><td>小</td><td>1</td></tr></table>"
    )
    (table,) = parse(page.encode(), HTML)
    assert table.text == "品名\t\t单价\n水泵\t大\t2\n水泵\t小\t1"


def test_captions_folded_passages_and_pages_that_are_one_form_are_read() -> None:
    page = """<html><body><form action="/"><h1>Leave</h1><main><p>Ask in time.</p>
    <figure><table><caption>Days</caption><tr><td>Year<td>22</table><figcaption>Of all staff</figcaption></figure>
    <details><summary>Exceptions</summary>None.</details>
    <label>Search</label><select><option>2026</option></select></main></form></body></html>"""
    assert outline(page, HTML) == [
        ("title", 1, "Leave"),
        ("paragraph", None, "Ask in time."),
        ("paragraph", None, "Days"),
        ("table", None, "Year\t22"),
        ("paragraph", None, "Of all staff"),
        ("paragraph", None, "Exceptions"),
        ("paragraph", None, "None."),
        ("paragraph", None, "Search"),
    ]
