"""Headings give a chunk its section path; none of their text is lost."""

from kb_pipeline.chunking import chunk
from kb_pipeline.core.contracts import Element
from kb_pipeline.settings import ChunkingSettings

SETTINGS = ChunkingSettings(max_tokens=200, min_tokens=0)


def title(text: str, level: int | None) -> Element:
    return Element(text, "title", level)


def paragraph(text: str) -> Element:
    return Element(text, "paragraph")


def test_the_path_runs_from_the_outermost_heading_in_and_is_not_repeated_in_the_text() -> None:
    chunks = chunk([title("员工手册", 1), title("第一章 休假", 2), paragraph("年假十天。")], SETTINGS)
    assert [(c.section_path, c.text) for c in chunks] == [(("员工手册", "第一章 休假"), "年假十天。")]


def test_a_heading_ends_every_heading_of_its_level_and_deeper() -> None:
    elements = [title("A", 1), title("B", 2), title("C", 3), paragraph("one"), title("D", 2), paragraph("two")]
    assert [c.section_path for c in chunk(elements, SETTINGS)] == [("A", "B", "C"), ("A", "D")]


def test_a_heading_without_a_level_is_an_outermost_one() -> None:
    elements = [title("A", None), paragraph("one"), title("B", None), paragraph("two")]
    assert [c.section_path for c in chunk(elements, SETTINGS)] == [("A",), ("B",)]


def test_text_before_the_first_heading_has_no_path() -> None:
    chunks = chunk([paragraph("preface"), title("A", 1), paragraph("one")], SETTINGS)
    assert [(c.section_path, c.text) for c in chunks] == [((), "preface"), (("A",), "one")]


def test_a_heading_with_no_text_under_it_becomes_text_of_the_next_section() -> None:
    elements = [title("手册", 1), title("附录一", 2), title("附录二", 2), paragraph("正文。")]
    assert [(c.section_path, c.text) for c in chunk(elements, SETTINGS)] == [(("手册", "附录二"), "附录一\n正文。")]


def test_headings_at_the_end_become_a_chunk_under_the_last_heading_that_has_text() -> None:
    elements = [title("手册", 1), paragraph("正文。"), title("附录", 2), title("表一", 3)]
    assert [(c.section_path, c.text) for c in chunk(elements, SETTINGS)] == [
        (("手册",), "正文。"),
        (("手册",), "附录\n表一"),
    ]


def test_a_document_of_headings_alone_is_one_chunk() -> None:
    chunks = chunk([title("A", 1), title("B", 2)], SETTINGS)
    assert [(c.section_path, c.text) for c in chunks] == [((), "A\nB")]


def test_small_sections_under_one_parent_are_joined_with_their_headings_as_text() -> None:
    elements = [title("问答", 1)]
    for number in (1, 2, 3):
        elements += [title(f"问题{number}", 2), paragraph(f"回答{number}。")]
    chunks = chunk(elements, ChunkingSettings(max_tokens=200, min_tokens=24))
    assert [(c.section_path, c.text) for c in chunks] == [(("问答",), "问题1\n回答1。\n问题2\n回答2。\n问题3\n回答3。")]


def test_small_sections_under_different_parents_stay_apart() -> None:
    elements = [title("A", 1), title("a", 2), paragraph("one"), title("B", 1), title("b", 2), paragraph("two")]
    chunks = chunk(elements, ChunkingSettings(max_tokens=200, min_tokens=24))
    assert [c.section_path for c in chunks] == [("A", "a"), ("B", "b")]


def test_a_small_section_beside_a_large_one_stays_as_it_is() -> None:
    elements = [title("A", 1), paragraph("short"), title("B", 1), paragraph("long enough " * 20)]
    chunks = chunk(elements, ChunkingSettings(max_tokens=200, min_tokens=24))
    assert [c.section_path for c in chunks] == [("A",), ("B",)]


def test_a_path_with_no_room_loses_its_outer_headings_and_their_text_goes_into_the_chunk() -> None:
    outer, inner = "甲" * 30, "乙" * 10
    chunks = chunk([title(outer, 1), title(inner, 2), paragraph("正文。")], ChunkingSettings(max_tokens=60))
    assert [(c.section_path, c.text) for c in chunks] == [((inner,), f"{outer}\n正文。")]


def test_a_heading_too_long_for_any_path_is_shortened_there_and_whole_in_the_text() -> None:
    long = "甲" * 100
    first, *rest = chunk([title(long, 1), paragraph("正文。")], ChunkingSettings(max_tokens=60))
    assert first.section_path == ("甲" * 18 + "…",)
    assert "".join(c.text.replace("\n", "") for c in (first, *rest)) == long + "正文。"


def test_without_the_prefix_paths_are_never_shortened() -> None:
    long = "甲" * 100
    chunks = chunk([title(long, 1), paragraph("正文。")], ChunkingSettings(max_tokens=60, prefix_section_path=False))
    assert [(c.section_path, c.text) for c in chunks] == [((long,), "正文。")]
