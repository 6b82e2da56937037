"""Lines to paragraphs and titles: the decisions about a page, on lines as measured."""

from kb_pipeline.parsing.page.layout import Line, assemble


def line(text: str, bottom: float, page: int = 1, size: float = 10, left: float = 50, right: float = 0) -> Line:
    return Line(text, page, size, left, right or left + size * len(text), bottom)


def outline(*lines: Line, pages: int = 1) -> list[tuple[str, int | None, str]]:
    return [(e.kind, e.level, e.text) for e in assemble(list(lines), pages)]


def test_a_word_divided_at_the_line_end_is_put_together_and_words_are_spaced() -> None:
    assert outline(
        line("The committee decided on inter\ufffe", 700, right=500),
        line("national rules, and published", 685, right=500),
        line("them.", 670, right=80),
    ) == [("paragraph", None, "The committee decided on international rules, and published them.")]


def test_a_short_line_an_indent_and_a_gap_each_end_a_paragraph() -> None:
    full = {"right": 500.0}
    assert outline(
        line("a" * 40, 700, **full),
        line("ends here.", 685),
        line("b" * 40, 670, **full),
        line("indented", 655, left=75),
        line("c" * 40, 640, **full),
        line("far below", 580),
    ) == [
        ("paragraph", None, f"{'a' * 40} ends here."),
        ("paragraph", None, "b" * 40),
        ("paragraph", None, "indented"),
        ("paragraph", None, "c" * 40),
        ("paragraph", None, "far below"),
    ]


def test_sizes_above_the_body_give_levels_even_where_small_listings_outweigh_it() -> None:
    assert outline(
        line("手册", 760, size=22),
        line("安装", 730, size=16),
        line("正文在这里有十二个字", 700, size=11),
        line("x" * 20, 680, size=8),
    ) == [
        ("title", 1, "手册"),
        ("title", 2, "安装"),
        ("paragraph", None, "正文在这里有十二个字"),
        ("paragraph", None, "x" * 20),
    ]


def test_numbered_headings_of_body_size_are_titles_but_a_full_line_of_a_clause_is_not() -> None:
    assert outline(
        line("第二条 付款", 700),
        line("第三条 " + "甲方应当按期付款并承担逾期的责任" * 2, 680, right=400),
        line("直到付清。", 665),
    ) == [
        ("title", 3, "第二条 付款"),
        ("paragraph", None, "第三条 " + "甲方应当按期付款并承担逾期的责任" * 2 + "直到付清。"),
    ]


def test_bullets_drawn_apart_and_cells_of_one_row_come_back_together() -> None:
    assert outline(
        line("下载安装包", 700, left=70),
        line("品名", 680, right=70),
        line("单价", 680, left=200),
        line("•", 700, left=55),
    ) == [("list_item", None, "下载安装包"), ("paragraph", None, "品名 单价")]


def test_two_pages_are_too_few_to_call_a_repeated_line_a_header() -> None:
    lines = [line("同一行", 780, page=page) for page in (1, 2)]
    assert outline(*lines, pages=2) == [("paragraph", None, "同一行")] * 2
