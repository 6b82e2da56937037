"""A sync's memory does not grow with the number of documents: 2,000 small files against 200."""

from __future__ import annotations

from benchmarks.result import Result
from benchmarks.workspace import workspace

SMALL, LARGE = 200, 2000


def run() -> list[Result]:
    """Peak resident memory of the main process of `kb ingest`; each load goes into an empty knowledge base."""
    peaks = {}
    for count in (SMALL, LARGE):
        with workspace() as space:
            cost = space.kb("ingest", str(space.documents(count)), "--source", "notes")
            peaks[count] = cost.peak_bytes / 1e6
    return [Result(f"peak memory, {LARGE:,} files", peaks[LARGE], f"{SMALL} files", peaks[SMALL], "MB")]
