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


SEARCHES: tuple[Search, ...] = (
    Search(
        text="How do I replace an expiring TLS certificate on the gateway without downtime?",
        expect_source="wiki",
        expect_file="rotate-tls-certificate.html",
        expect_page=None,
        expect_words=("certificate", "reload"),
    ),
    Search(
        text="What does the supplier owe us if the storage servers are delivered late?",
        expect_source="contracts",
        expect_file="purchase-contract-storage-servers.pdf",
        expect_page=2,
        expect_words=("liquidated damages", "0.5%"),
    ),
    Search(
        text="出差结束后多少天内要提交报销单",
        expect_source="hr",
        expect_file="差旅与费用报销制度.docx",
        expect_page=None,
        expect_words=("报销单", "十五个工作日"),
    ),
)
