"""Columns are read one after the other; what runs across them parts what is above from what is below."""

from kb_pipeline.parsing.page.columns import find_gutter, reading_order
from kb_pipeline.parsing.page.layout import Line


def line(text: str, bottom: float, left: float = 50, right: float = 250) -> Line:
    return Line(text, 1, 10, left, right, bottom)


def two_columns(top: float, names: str) -> list[Line]:
    """Five lines left and right, beside one another, as a scan's lines come: row by row."""
    return [
        line(f"{name}{row}", top - 12 * row, *edges)
        for row in range(5)
        for name, edges in zip(names, ((50, 250), (300, 500)), strict=True)
    ]


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in reading_order(lines)]


def test_columns_are_read_from_the_left_each_to_its_end() -> None:
    assert texts(two_columns(700, "ab")) == [f"{name}{row}" for name in "ab" for row in range(5)]


def test_a_line_over_both_columns_ends_them() -> None:
    lines = [line("title", 760, 50, 500), *two_columns(700, "ab"), line("part", 600, 50, 500), *two_columns(560, "cd")]
    expected = ["title", *(f"{n}{row}" for n in "ab" for row in range(5)), "part"]
    assert texts(lines) == [*expected, *(f"{n}{row}" for n in "cd" for row in range(5))]


def test_one_column_has_no_gutter_however_its_lines_end() -> None:
    lines = [line(str(row), 700 - 12 * row, right=500 if row % 2 else 180) for row in range(12)]
    assert find_gutter(lines) is None
    assert texts(lines[::-1]) == [str(row) for row in range(12)]


def test_what_stands_beside_something_on_one_height_is_read_from_the_left() -> None:
    assert texts([line("right", 701, 300, 400), line("left", 700), line("below", 680)]) == ["left", "right", "below"]
