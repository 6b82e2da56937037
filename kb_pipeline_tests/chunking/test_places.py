"""A chunk knows where it came from."""

from kb_pipeline.chunking import chunk, estimate_tokens
from kb_pipeline.core.contracts import Box, Element
from kb_pipeline.settings import ChunkingSettings

SETTINGS = ChunkingSettings()


def test_pages_and_boxes_are_those_of_its_elements() -> None:
    boxes = [Box(2, 10, 10, 90, 20), Box(3, 10, 10, 90, 20)]
    (only,) = chunk([Element(f"第{b.page}页。", "paragraph", page=b.page, box=b) for b in boxes], SETTINGS)
    assert (only.page_start, only.page_end, only.boxes) == (2, 3, tuple(boxes))


def test_pages_run_from_the_first_to_the_last_whatever_is_read_last() -> None:
    """A footnote of page 2 may be read after the text that goes on on page 3."""
    (only,) = chunk([Element(f"文字{page}。", "paragraph", page=page) for page in (2, 3, 2)], SETTINGS)
    assert (only.page_start, only.page_end) == (2, 3)


def test_a_paragraph_in_two_chunks_gives_its_box_to_both_once() -> None:
    box = Box(1, 0, 0, 1, 1)
    chunks = chunk([Element("一句话。" * 100, "paragraph", page=1, box=box)], SETTINGS)
    assert len(chunks) > 1
    assert {c.boxes for c in chunks} == {(box,)}


def test_without_pages_there_are_none() -> None:
    (only,) = chunk([Element("text", "paragraph")], SETTINGS)
    assert (only.page_start, only.page_end, only.boxes) == (None, None, ())


def test_the_language_is_that_of_most_characters() -> None:
    elements = [
        Element("短", "paragraph", language="zh"),
        Element("a longer paragraph", "paragraph", language="en"),
        Element("of no stated language, and longest of all", "paragraph"),
    ]
    (only,) = chunk(elements, SETTINGS)
    assert only.language == "en"
    assert chunk([Element("?", "paragraph")], SETTINGS)[0].language == "und"


def test_list_items_and_paragraphs_stand_on_lines_of_their_own() -> None:
    elements = [Element("需要：", "paragraph"), Element("护照", "list_item"), Element("照片", "list_item")]
    assert [c.text for c in chunk(elements, SETTINGS)] == ["需要：\n护照\n照片"]


def test_ordinals_count_from_nought() -> None:
    chunks = chunk([Element("一句话。" * 300, "paragraph")], SETTINGS)
    assert [c.ordinal for c in chunks] == list(range(len(chunks)))


def test_tokens_count_the_path_line_that_goes_to_the_model() -> None:
    elements = [Element("手册", "title", 1), Element("总则", "title", 2), Element("正文。", "paragraph")]
    (prefixed,) = chunk(elements, SETTINGS)
    (plain,) = chunk(elements, ChunkingSettings(prefix_section_path=False))
    assert (prefixed.tokens, plain.tokens) == (estimate_tokens("手册 > 总则\n正文。"), estimate_tokens("正文。"))


def test_a_document_without_text_has_no_chunks() -> None:
    assert chunk([], SETTINGS) == []
    assert chunk([Element(" \n", "paragraph"), Element("", "title", 1)], SETTINGS) == []
