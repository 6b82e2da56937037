"""Megabytes of text (UTF-8) cut into passages, a CPU-second: ours against unstructured's chunk_by_title."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import cycle
from typing import Any

from benchmarks.result import Result
from kb_pipeline.chunking import chunk
from kb_pipeline.contracts import Element
from kb_pipeline.demo.writing import contents, render
from kb_pipeline.media_type import MARKDOWN
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.bootstrap import partitioner
from kb_pipeline.parsing.cleaning import language
from kb_pipeline.settings import ChunkingSettings

BYTES = 1_000_000
TIMES = 3


def run() -> list[Result]:
    """One long document a language: the demo's texts of that language, over and over. Both cut as they do by default."""
    results = []
    for code, name in (("zh", "Chinese"), ("en", "English")):
        elements, size = _long_document(code)
        peers = _of_unstructured(elements)
        ours = _best(lambda given=elements: chunk(given, ChunkingSettings()))
        theirs = _best(lambda given=peers: _chunk_by_title()(given))
        measured = f"chunking {size / 1e6:.1f} MB of {name}"
        results.append(Result(measured, size / 1e6 / ours, "unstructured chunk_by_title", size / 1e6 / theirs, "MB/CPU-s"))
    return results


def _long_document(code: str) -> tuple[list[Element], int]:
    texts = [text for text in contents().values() if language(text) == code]
    documents = [parse(render("document.md", text), MARKDOWN) for text in texts]
    elements: list[Element] = []
    size = 0
    for document in cycle(documents):
        elements += document
        size += sum(len(element.text.encode()) for element in document)
        if size >= BYTES:
            return elements, size


def _of_unstructured(elements: Sequence[Element]) -> list[Any]:
    partitioner("html")  # sets unstructured up for a machine without network
    from unstructured.documents import elements as theirs

    kinds = {
        "title": theirs.Title, "list_item": theirs.ListItem, "table": theirs.Table, "code": theirs.CodeSnippet
    }
    return [
        kinds.get(element.kind, theirs.NarrativeText)(
            element.text, metadata=theirs.ElementMetadata(category_depth=element.level)
        )
        for element in elements
    ]


def _chunk_by_title() -> Callable[[list[Any]], list[Any]]:
    from unstructured.chunking.title import chunk_by_title

    return chunk_by_title


def _best(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(TIMES):
        started = time.process_time()
        work()
        taken.append(time.process_time() - started)
    return min(taken)
