"""Whole sentences are said again where a section is cut, as far as there is room."""

from itertools import pairwise

import pytest

from kb_pipeline.chunking import chunk
from kb_pipeline.core.contracts import Element
from kb_pipeline.settings import ChunkingSettings

SENTENCES = [f"第{n}句话说的是第{n}件事情，与前后都没有关系。" for n in "一二三四五六七八九十"]


def texts(overlap: int, *elements: Element, most: int = 64) -> list[str]:
    settings = ChunkingSettings(max_tokens=most, min_tokens=0, overlap_sentences=overlap)
    chunks = chunk(elements, settings)
    assert all(one.tokens <= most for one in chunks)
    return [one.text for one in chunks]


@pytest.mark.parametrize("overlap", [1, 2])
def test_a_passage_begins_with_the_last_sentences_of_the_one_before(overlap: int) -> None:
    apart, joined = (texts(n, Element("".join(SENTENCES), "paragraph"), most=150) for n in (0, overlap))
    assert "".join(apart) == "".join(SENTENCES)
    assert len(joined) > 1
    for before, after in pairwise(joined):
        said = [sentence for sentence in SENTENCES if sentence in before]
        again = [sentence for sentence in SENTENCES if sentence in before and sentence in after]
        assert again == said[-len(again) :]
        assert 1 <= len(again) <= overlap
        assert after.startswith(again[0])


def test_nothing_is_repeated_over_a_heading_or_from_a_table() -> None:
    first, second = Element("一。" * 20, "paragraph"), Element("二。" * 20, "paragraph")
    assert all("一" not in text for text in texts(2, first, Element("标题", "title", 1), second) if "二" in text)
    rows = "\n".join(f"行{n}\t值{n}" for n in range(30))
    assert all("行29" not in text for text in texts(2, Element(rows, "table"), second) if "二" in text)


def test_a_sentence_too_long_to_be_repeated_is_not() -> None:
    long = "很长的一句话没有停顿" * 4 + "。"
    assert "".join(texts(1, Element(long * 4, "paragraph"))) == long * 4
