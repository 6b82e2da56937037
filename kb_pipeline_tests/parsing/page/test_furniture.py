"""What surrounds every page goes, and nothing of the body, however alike its lines are."""

from __future__ import annotations

from kb_pipeline.parsing.page.furniture import without_furniture
from kb_pipeline.parsing.page.lines import Line

TOP, MIDDLE, FOOT = 800.0, 400.0, 30.0


def line(text: str, page: int, bottom: float = MIDDLE, size: float = 10) -> Line:
    return Line(text, page, size, 60, 60 + size * len(text), bottom, page_height=842)


def left(*lines: Line, pages: int = 4) -> list[str]:
    """What is left of some lines and a body of ten lines a page."""
    body = [
        line(f"body {'abcd'[page - 1]} {row}", page, 600 - 15 * row) for page in range(1, pages + 1) for row in range(9)
    ]
    ordered = sorted([*lines, *body], key=lambda each: (each.page, -each.bottom))
    kept = without_furniture(ordered, pages)
    assert [each for each in kept if each in body] == body
    return [each.text for each in kept if each not in body]


def test_headers_go_that_most_pages_share_or_that_name_the_chapter() -> None:
    assert left(*(line("Manual", page, TOP) for page in (1, 2, 4))) == []
    assert left(*(line("Scope" if page < 3 else "Limits", page, TOP) for page in (1, 2, 3, 4))) == []
    assert left(*(line("Manual", page, TOP, size=8) for page in (2, 3)), pages=3) == []


def test_left_and_right_headers_go_by_the_page_number_in_their_row() -> None:
    assert left(line("Scope 17", 1, TOP), line("18 Manual", 2, TOP), pages=2) == []


def test_a_number_counts_only_if_it_counts_the_pages() -> None:
    assert left(*(line(f"p. {page + 7}", page, FOOT) for page in (1, 2, 3, 4))) == []
    assert left(*(line(text, page, FOOT) for page, text in enumerate(("iii", "iv", "v", "6"), start=1))) == []
    totals = [line(f"Total {number}", page, FOOT) for page, number in enumerate((530, 12, 77, 4), start=1)]
    assert left(*totals) == [total.text for total in totals]


def test_large_titles_stay_though_only_their_number_tells_them_apart() -> None:
    titles = [line(f"Chapter {page}", page, TOP, size=18) for page in (1, 2, 3, 4)]
    assert left(*titles) == [title.text for title in titles]


def test_the_title_of_a_document_stays_where_later_pages_repeat_it_above_their_text() -> None:
    title = line("Manual", 1, TOP - 20, size=20)
    assert left(title, *(line("Manual", page, TOP, size=8) for page in (2, 3, 4))) == ["Manual"]


def test_lines_of_the_body_that_pages_share_stay() -> None:
    assert left(*(line("Sign here.", page, MIDDLE) for page in (1, 2, 3, 4))) == ["Sign here."] * 4
    notes = [line("Figures as of March.", page, FOOT, size=8) for page in (2, 3)]
    assert left(*notes, pages=3) == [note.text for note in notes]


def test_a_document_of_nothing_else_is_left_as_it_is() -> None:
    lines = [line("1", 1, TOP), line("2", 2, TOP)]
    assert without_furniture(lines, 2) == lines
