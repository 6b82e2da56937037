"""A second sync of many documents of which none has changed, beside the listing that it cannot do without (file://).

`no_change` measures 100,000 documents, `no_change_large` a million beside them. The sync runs in this process, which
has loaded everything before, and PostgreSQL's CPU is counted apart; the peak of memory is that of a whole `kb sync`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass

import obstore
from obstore.store import LocalStore

from benchmarks.filled import SOURCE, filled, key_of
from benchmarks.meters import tree_cpu
from benchmarks.result import Result
from benchmarks.workspace import Workspace

DOCUMENTS, LARGE = 100_000, 1_000_000
REPEATS = 3
GOAL_CPU_SECONDS = 3.0
GOAL_MB = 300.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: of the wall, of this process's CPU, of PostgreSQL's."""

    wall: float
    cpu: float
    postgres: float


@dataclass(frozen=True, slots=True)
class Figures:
    """`one_change` is a sync that finds one object changed; `peak_bytes` and `command` belong to a whole `kb sync`."""

    listing: Spent
    nothing: Spent
    one_change: Spent
    command_cpu: float
    peak_bytes: int

    @property
    def beyond(self) -> float:
        """CPU-seconds of a sync beyond the listing's, PostgreSQL's among them."""
        return self.nothing.cpu + self.nothing.postgres - self.listing.cpu


def run() -> list[Result]:
    """CPU, PostgreSQL's CPU and memory at 100,000 documents."""
    return _results(DOCUMENTS, measure(DOCUMENTS))


def run_large() -> list[Result]:
    """The same at a million, and how both grew from 100,000."""
    small, large = measure(DOCUMENTS), measure(LARGE)
    before = f"the same of {DOCUMENTS:,}"
    return [
        *_results(DOCUMENTS, small),
        *_results(LARGE, large),
        Result(f"listing {LARGE:,} objects", large.listing.wall, before, small.listing.wall, "s"),
        Result(f"sync of {LARGE:,}, nothing changed", large.nothing.wall, before, small.nothing.wall, "s"),
    ]


def _results(count: int, f: Figures) -> list[Result]:
    of, listing = f"{count:,} documents", "the listing alone"
    return [
        Result(f"{of}, nothing changed: a sync", f.nothing.cpu, listing, f.listing.cpu, "CPU-s"),
        Result(f"{of}, nothing changed: beyond the listing", f.beyond, "the goal", GOAL_CPU_SECONDS, "CPU-s"),
        Result(f"{of}, nothing changed: PostgreSQL", f.nothing.postgres, listing, f.listing.cpu, "CPU-s"),
        Result(f"{of}, nothing changed: the whole command", f.command_cpu, listing, f.listing.cpu, "CPU-s"),
        Result(f"{of}, nothing changed: peak memory", f.peak_bytes / 1e6, "the goal", GOAL_MB, "MB"),
        Result(f"{of}, one changed: a sync", f.one_change.cpu, "nothing changed", f.nothing.cpu, "CPU-s"),
        Result(f"{of}, one changed: PostgreSQL", f.one_change.postgres, "nothing changed", f.nothing.postgres, "CPU-s"),
    ]


def measure(count: int) -> Figures:
    """The least of some repetitions, over a knowledge base of `count` documents."""
    with filled(count) as space:
        base = space.base()
        raw = LocalStore(prefix=space.home / "objects" / "raw" / SOURCE)
        command = space.kb("sync", SOURCE)

        def listing() -> None:
            seen = sum(len(page) for page in obstore.list(raw))
            assert seen == count

        def nothing() -> None:
            (report,) = base.sync(SOURCE)
            assert (report.runs, report.object_reads, report.object_writes) == (0, 0, 0)

        def one_change() -> None:
            path = space.home / "objects" / "raw" / SOURCE / key_of(count // 2)
            path.write_text(f"{path.read_text()}\nOne more sentence.\n")
            (report,) = base.sync(SOURCE)
            assert (report.runs, report.stages["raw"]["done"], report.stages["publish"]["done"]) == (1, 1, 1)

        return Figures(
            _least(space, listing),
            _least(space, nothing),
            _least(space, one_change),
            command.cpu_seconds,
            command.peak_bytes,
        )


def _least(space: Workspace, work: Callable[[], None]) -> Spent:
    """The repetition with the least CPU. This process's CPU counts, with that of workers that have ended."""
    spent = []
    for _ in range(REPEATS):
        wall, cpu, postgres = time.perf_counter(), tree_cpu(os.getpid()), tree_cpu(space.postgres_pid)
        work()
        spent.append(
            Spent(
                time.perf_counter() - wall,
                tree_cpu(os.getpid()) - cpu,
                tree_cpu(space.postgres_pid) - postgres,
            )
        )
    return min(spent, key=lambda s: s.cpu)
