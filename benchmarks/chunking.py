"""Megabytes of text (UTF-8) cut into passages, a CPU-second: ours against unstructured's chunk_by_title."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import cycle
from typing import Any

from benchmarks.meters import least_cpu
from benchmarks.result import Result
from kb_pipeline.chunking import chunk
from kb_pipeline.core.contracts import Element
from kb_pipeline.core.media_type import MARKDOWN
from kb_pipeline.demo.writing import contents, render
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.bootstrap import partitioner
from kb_pipeline.parsing.common.cleaning import language
from kb_pipeline.settings import ChunkingSettings

BYTES = 1_000_000


def run() -> list[Result]:
    """One long document a language: the demo's texts in it, over and over. Both cut as they do by default."""
    partitioner("html")  # sets unstructured up for a machine without network
    from unstructured.chunking.title import chunk_by_title

    results = []
    for code, name in (("zh", "Chinese"), ("en", "English")):
        elements, size = _long_document(code)
        peers = _of_unstructured(elements)
        taken = least_cpu(partial(chunk, elements, ChunkingSettings()), partial(chunk_by_title, peers))
        ours, theirs = (size / 1e6 / seconds for seconds in taken)
        measured = f"chunking {size / 1e6:.1f} MB of {name}"
        results.append(Result(measured, ours, "unstructured chunk_by_title", theirs, "MB/CPU-s"))
    return results


def _long_document(code: str) -> tuple[list[Element], int]:
    texts = [text for text in contents().values() if language(text) == code]
    documents = [parse(render("document.md", text), MARKDOWN) for text in texts]
    elements: list[Element] = []
    size = 0
    for document in cycle(documents):
        if size >= BYTES:
            break
        elements += document
        size += sum(len(element.text.encode()) for element in document)
    return elements, size


def _of_unstructured(elements: Sequence[Element]) -> list[Any]:
    from unstructured.documents import elements as theirs

    kinds = {"title": theirs.Title, "list_item": theirs.ListItem, "table": theirs.Table, "code": theirs.CodeSnippet}
    return [
        kinds.get(element.kind, theirs.NarrativeText)(
            element.text, metadata=theirs.ElementMetadata(category_depth=element.level)
        )
        for element in elements
    ]
