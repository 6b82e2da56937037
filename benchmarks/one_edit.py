"""From an object written to its new text visible to a reader: one document edited among many, its key named as a hint.

In a process that has done so before (modules loaded, workers and connections as they are kept), and by a command of its
own, with the parts of that.
"""

from __future__ import annotations

import statistics
import threading
import time
from dataclasses import dataclass

from benchmarks.filled import SOURCE, filled, key_of, text_of
from benchmarks.result import Result
from benchmarks.workspace import Cost
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.pipeline.opening import object_store
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import connect

COUNTS = (1_000, 100_000)
EDITS = 7
GOAL_SECONDS = 3.0
POLL_SECONDS = 0.002
_VISIBLE = (
    "SELECT FROM kb.chunk c JOIN kb.document d USING (document_id)"
    " WHERE d.source_system = %s AND d.key = %s AND strpos(c.content, %s) > 0"
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Seconds of each warm edit, and what the cold command took."""

    warm: list[float]
    cold: Cost


def run() -> list[Result]:
    """Seconds until the row is there, for each size of the corpus."""
    measured = {count: measure(count) for count in COUNTS}
    small, large = (measured[count] for count in COUNTS)
    few, many = (f"{count:,}" for count in COUNTS)
    return [
        Result(f"one edit among {few}, warm: median", statistics.median(small.warm), "the goal", GOAL_SECONDS, "s"),
        Result(f"one edit among {many}, warm: median", statistics.median(large.warm), "the goal", GOAL_SECONDS, "s"),
        Result(
            f"one edit among {many}, warm: median",
            statistics.median(large.warm),
            f"among {few}",
            statistics.median(small.warm),
            "s",
        ),
        Result(f"one edit among {many}, warm: slowest", max(large.warm), "among " + few, max(small.warm), "s"),
        *_parts(f"one edit among {many}, cold", large.cold),
    ]


def measure(count: int) -> Figures:
    """Warm edits after one that does not count, each of another document; then a cold one."""
    with filled(count) as space:
        base = space.base()
        _edit(base, 0)
        warm = [_edit(base, number) for number in range(1, 1 + EDITS)]
        key, _ = _write(base.settings, 1 + EDITS)
        return Figures(warm, space.kb("sync", SOURCE, "--key", key))


def _write(settings: Settings, number: int) -> tuple[str, str]:
    key, marker = key_of(number), f"Agreed anew as number {number}."
    object_store(settings).put(f"{raw_prefix(SOURCE)}/{key}", f"{text_of(number)}\n{marker}\n".encode())
    return key, marker


def _edit(base: KnowledgeBase, number: int) -> float:
    """Write the object, sync its key, and tell after how many seconds another connection saw the text."""
    key, marker = _write(base.settings, number)
    written = time.perf_counter()
    seen: list[float] = []
    reader = threading.Thread(target=_watch, args=(base.settings, key, marker, seen))
    reader.start()
    base.sync(SOURCE, keys=[key])
    reader.join()
    return seen[0] - written


def _watch(settings: Settings, key: str, marker: str, seen: list[float]) -> None:
    with connect(database_dsn(settings)) as connection:
        while connection.execute(_VISIBLE, (SOURCE, key, marker)).fetchone() is None:
            time.sleep(POLL_SECONDS)
        seen.append(time.perf_counter())


def _parts(what: str, cold: Cost) -> list[Result]:
    whole = cold.wall_seconds
    stages = {name: report["seconds"] for name, report in cold.output["stages"].items()}
    parts = {"imports": cold.import_seconds, **stages}
    parts["the rest: Dagster's run, connections, start of the process"] = whole - sum(parts.values())
    return [
        Result(what, whole, "the goal of a warm one", GOAL_SECONDS, "s"),
        *(Result(f"{what}: {name}", seconds, "the whole command", whole, "s") for name, seconds in parts.items()),
    ]
