"""For any document: all text comes out again in order, within the size limit, and always the same."""

from hypothesis import assume, given
from hypothesis import strategies as st

from kb_pipeline.chunking import chunk, estimate_tokens
from kb_pipeline.core.contracts import Element
from kb_pipeline.settings import ChunkingSettings
from kb_pipeline_tests.chunking.invariants import body_comes_in_order, every_heading_stands_somewhere, ink, sent

WORDS = [
    *("年假", "员工手册第三章", "漢", "한국어", "۵", "😀", "e\u0301", "\u200d"),
    *("hello", "supercalifragilistic", "e.g.", "A", "3.14", "13800138000"),
    *("。", "，", "！", ". ", "; ", "|", " ", "\t", "\n"),
]
TEXTS = st.one_of(
    st.lists(st.sampled_from(WORDS), max_size=120).map("".join),
    st.text(max_size=80),
    st.tuples(st.sampled_from(WORDS), st.integers(1, 400)).map(lambda pair: pair[0] * pair[1]),
)
BODIES = st.builds(Element, text=TEXTS, kind=st.sampled_from(["paragraph", "list_item", "code", "image_text"]))
TABLES = st.builds(Element, text=TEXTS, kind=st.just("table"))
TITLES = st.builds(Element, text=TEXTS, kind=st.just("title"), level=st.one_of(st.none(), st.integers(1, 4)))
SETTINGS = st.builds(
    ChunkingSettings,
    max_tokens=st.integers(16, 120),
    min_tokens=st.integers(0, 60),
    prefix_section_path=st.booleans(),
)


@given(st.lists(BODIES, max_size=8), SETTINGS)
def test_the_text_of_a_document_without_headings_and_tables_is_that_of_its_chunks(
    elements: list[Element], settings: ChunkingSettings
) -> None:
    assert ink(c.text for c in chunk(elements, settings)) == ink(e.text for e in elements)


@given(st.lists(st.one_of(BODIES, TABLES, TITLES), max_size=12), SETTINGS)
def test_body_text_comes_in_order_and_every_heading_somewhere(
    elements: list[Element], settings: ChunkingSettings
) -> None:
    chunks = chunk(elements, settings)
    assert body_comes_in_order(elements, chunks)
    assert every_heading_stands_somewhere(elements, chunks)


@given(st.lists(st.one_of(BODIES, TABLES, TITLES), max_size=12), SETTINGS)
def test_what_goes_to_the_model_is_within_the_limit(elements: list[Element], settings: ChunkingSettings) -> None:
    for each in chunk(elements, settings):
        assert each.text.strip()
        assert each.tokens == estimate_tokens(sent(each, settings)) <= settings.max_tokens


@given(st.lists(st.one_of(BODIES, TABLES, TITLES), max_size=8), SETTINGS)
def test_the_same_elements_give_the_same_chunks(elements: list[Element], settings: ChunkingSettings) -> None:
    assert chunk(elements, settings) == chunk(list(elements), settings)


@given(TEXTS, st.sampled_from(["", " ", "\n", "。"]), TEXTS)
def test_joining_texts_never_costs_more_than_they_did_apart(left: str, between: str, right: str) -> None:
    assume(between or not (left[-1:].isalpha() and right[:1].isalpha()))
    apart = estimate_tokens(left) + estimate_tokens(between) + estimate_tokens(right)
    assert estimate_tokens(left + between + right) <= apart
