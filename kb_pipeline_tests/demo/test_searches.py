"""The showcase searches: each has exactly one document that answers it, at the page it names."""

from __future__ import annotations

import re
from pathlib import Path

import pypdfium2
import pytest

from kb_pipeline.demo import SEARCHES, Search
from kb_pipeline.demo.writing import contents


def test_two_are_english_and_one_is_chinese_and_every_source_has_one() -> None:
    assert sorted(bool(re.search(r"[\u3400-\u9fff]", search.text)) for search in SEARCHES) == [False, False, True]
    assert {search.expect_source for search in SEARCHES} == {"hr", "contracts", "wiki"}


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.expect_file)
def test_one_paragraph_of_one_document_holds_all_the_words(search: Search) -> None:
    holding = [
        path
        for path, text in contents().items()
        for paragraph in text.split("\n\n")
        if all(word in paragraph for word in search.expect_words)
    ]
    assert holding == [f"{search.expect_source}/{search.expect_file}"]


@pytest.mark.parametrize("search", [s for s in SEARCHES if s.expect_page], ids=lambda search: search.expect_file)
def test_the_page_named_is_the_page_of_the_passage(search: Search, documents: Path) -> None:
    with pypdfium2.PdfDocument(documents / search.expect_source / search.expect_file) as document:
        pages = [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    holding = [n for n, page in enumerate(pages, 1) if all(word in page for word in search.expect_words)]
    assert holding == [search.expect_page]
