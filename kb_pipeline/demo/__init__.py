"""The demo's documents: written by us, rendered to real docx, PDF, html, eml, xlsx and md, the same bytes every time.

    python -m kb_pipeline.demo DIR

Each file of content/ is one document in light markup (markup.py), named as its result plus ".txt"; the ending of the
result chooses the renderer. All personal data in them is synthetic.
"""

from __future__ import annotations

from dataclasses import dataclass

from kb_pipeline.demo.writing import DAMAGED, write_documents

__all__ = ["DAMAGED", "SEARCHES", "Search", "write_documents"]


@dataclass(frozen=True, slots=True)
class Search:
    """A search with one right answer: the passage of `expect_file` that holds all `expect_words`.

    `expect_page` counts from 1 and is None where the format has no pages. `text` is what a person would type.
    """

    text: str
    expect_source: str
    expect_file: str
    expect_page: int | None
    expect_words: tuple[str, ...]


# Each has its passage first by vectors of all-MiniLM-L6-v2 and first by words, so it is first however they are fused.
SEARCHES: tuple[Search, ...] = (
    Search(
        text="How many days of annual leave do I get after five years of service?",
        expect_source="hr",
        expect_file="annual-leave-policy.docx",
        expect_page=None,
        expect_words=("five completed years of service", "22 working days"),
    ),
    Search(
        text="What does the supplier owe us if the storage servers are delivered late?",
        expect_source="contracts",
        expect_file="purchase-contract-storage-servers.pdf",
        expect_page=2,
        expect_words=("liquidated damages", "0.5%"),
    ),
    Search(
        text="主用链路丢包率超过多少会自动切换",
        expect_source="wiki",
        expect_file="网络与地址规划.html",
        expect_page=None,
        expect_words=("主用链路丢包率", "自动切换", "百分之二"),
    ),
)
