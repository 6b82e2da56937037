"""The demo: make the documents, bring three source systems in step, show what became of them, search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kb_pipeline import console
from kb_pipeline.demo import SEARCHES, write_documents
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.search.hybrid import Result


@dataclass(frozen=True, slots=True)
class SourceShown:
    """One row of the demo's table."""

    source_system: str
    documents: int
    chunks: int
    masked_spans: int
    vectors: int
    quarantined: int


@dataclass(frozen=True, slots=True)
class SearchShown:
    """A search and the passages found."""

    text: str
    results: list[Result]


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo did. `changed` is False when a second run found nothing to do."""

    seconds: float
    changed: bool
    sources: list[SourceShown]
    searches: list[SearchShown]


def run_demo(base: KnowledgeBase, *, as_json: bool = False) -> DemoReport:
    """Run the main job on the demo's documents under KB_HOME/demo; a second run finds nothing to do."""
    started = time.perf_counter()
    base.up(console.note)
    folder = base.settings.home / "demo"
    names = _write(folder)
    with console.progress_shown(as_json=as_json, setting=base.settings.progress):
        reports = [base.ingest(folder / name, name) for name in names]
    changed = any(stage["done"] or stage["deleted"] for r in reports for stage in r.sync.stages.values())
    searches = [SearchShown(s.text, base.search(s.text, limit=2)) for s in SEARCHES]
    return DemoReport(round(time.perf_counter() - started, 1), changed, _sources(base, names), searches)


def _write(folder: Path) -> list[str]:
    counts = write_documents(folder)
    console.note(f"{sum(counts.values())} documents of {len(counts)} source systems in {folder}")
    return list(counts)


def _sources(base: KnowledgeBase, names: Sequence[str]) -> list[SourceShown]:
    return [
        SourceShown(s.source_system, s.documents, s.chunks, base.masked_spans(s.source_system), s.chunks, s.quarantined)
        for s in base.status().sources
        if s.source_system in names
    ]


def show_demo(report: DemoReport) -> None:
    """The table, the searches, and what to type next."""
    columns = ("source system", "documents", "chunks", "masked spans", "vectors", "quarantined")
    rows = [(s.source_system, s.documents, s.chunks, s.masked_spans, s.vectors, s.quarantined) for s in report.sources]
    console.out.print()
    console.table("what became of them", columns, rows, numbers=columns[1:])
    for search in report.searches:
        console.out.print()
        console.say(f'kb search "{search.text}"', "bold green")
        console.show_results(search.results)
    console.out.print()
    if not report.changed:
        console.say("Nothing changed since the last run: no document read, no model called.", "bold")
    console.say(f"Done in {report.seconds:.1f} s. What to type next:")
    for command, meaning in NEXT:
        console.say(f"  {command:<48} {meaning}")


NEXT = (
    ("make dev", "the same in the Dagster UI, http://127.0.0.1:3000"),
    (".venv/bin/kb ingest DIR --source NAME", "your own folder of documents"),
    ('.venv/bin/kb search "your question"', "search all of it"),
    (".venv/bin/kb quarantine list", "what could not be read, and why"),
    ("make down", "stop PostgreSQL and the embedding server"),
)
