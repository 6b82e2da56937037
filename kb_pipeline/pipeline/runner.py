"""The only loop in the system: plan -> batches on an executor -> commit. It takes a stage as a value and imports none.

Objects are written first, the ledger last: a run that dies leaves work to do, never a pointer to nothing. Memory does
not grow with the number of documents: pages come from the ledger, a bounded number of tasks is in flight, and commits
are small.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from kb_pipeline.core.contracts import Outcome, Place, Stage, Task
from kb_pipeline.core.errors import DiskFull, EmbeddingUnavailable, ObjectStoreUnavailable, SettingsError
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.planning import plan_batch
from kb_pipeline.pipeline.progress import Progress
from kb_pipeline.store.ledger.stages import Ledger

COMMIT_DOCUMENTS = 64
COMMIT_ROWS = 4000
# What a model made is dear: a run that is killed loses one group of texts at most.
COMMIT_VECTORS = 256
COMMIT_SECONDS = 2.0


class Executor(Protocol):
    """Where a stage's batches run: worker processes, the model service, the database, or a cluster."""

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]: ...


Commit = Callable[[Stage, Sequence[Outcome]], None]


@dataclass(slots=True)
class StageReport:
    """What one stage of one run did. considered = done + reused + quarantined + failed."""

    stage: str
    considered: int = 0
    done: int = 0
    reused: int = 0
    quarantined: int = 0
    failed: int = 0
    deleted: int = 0
    rows: int = 0
    seconds: float = 0.0
    stats: dict[str, int] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)

    def add(self, outcome: Outcome) -> None:
        """Count one outcome of this run."""
        if outcome.status == "ok":
            self.done += 1
            self.rows += outcome.rows
        for name, value in outcome.stats.items():
            self.stats[name] = self.stats.get(name, 0) + value
        self.add_costs(outcome.costs)

    def add_ahead(self, ahead: StageReport | None) -> None:
        """Count what an earlier stage's turn did of this one: to the ledger it was there already."""
        if ahead is None:
            return
        self.done += ahead.done
        self.rows += ahead.rows
        self.reused = max(0, self.reused - ahead.done)
        for name, value in ahead.stats.items():
            self.stats[name] = self.stats.get(name, 0) + value
        self.add_costs(ahead.costs)

    def add_costs(self, costs: Mapping[str, int]) -> None:
        """Sum up costs; of a peak, keep the highest."""
        for name, value in costs.items():
            old = self.costs.get(name, 0)
            self.costs[name] = max(old, value) if name.startswith("peak_") else old + value


def run_stage(
    stage: Stage,
    ledger: Ledger,
    executor: Executor,
    commit: Commit | None = None,
    following: Sequence[Stage] = (),
    ahead: dict[str, StageReport] | None = None,
    before: StageReport | None = None,
) -> StageReport:
    """Make `stage` complete for the ledger's source system and report.

    Outcomes may carry those of the `following` stages: they are committed together, and counted in `ahead`. `before` is
    what an earlier stage counted so of this one. Raises
    ServiceUnavailable when a service that the stage needs is down, SettingsError when a model is not there, LeaseLost
    when another run took over; what was committed until then stays.
    """
    report = StageReport(stage.name)
    started = time.perf_counter()
    commit = _with_following(ledger, commit or ledger.commit, following)
    source = ledger.lease.source_system
    most_rows = COMMIT_VECTORS if stage.place is Place.MODEL else COMMIT_ROWS
    waiting: list[Outcome] = []
    failed = 0
    last = time.perf_counter()
    ahead = {} if ahead is None else ahead
    progress = Progress(stage.name, source, None if ledger.scope is None else len(ledger.scope))
    try:
        for outcome in _outcomes(stage, ledger, executor, report):
            waiting.append(outcome)
            report.add(outcome)
            for after, done in zip(following, outcome.following, strict=False):
                ahead.setdefault(after.name, StageReport(after.name)).add(done)
            failed += outcome.status == "failed"
            progress.advance(outcome)
            rows = sum(o.rows for o in waiting)
            if len(waiting) >= COMMIT_DOCUMENTS or rows >= most_rows or time.perf_counter() - last > COMMIT_SECONDS:
                _commit(commit, stage, waiting)
                waiting, last = [], time.perf_counter()
    except (
        EmbeddingUnavailable,
        ObjectStoreUnavailable,
        DiskFull,
        SettingsError,
    ):  # the ledger is well: what is done stays done
        if waiting:
            _commit(commit, stage, waiting)
        raise
    if waiting:
        _commit(commit, stage, waiting)
    counts = ledger.counts(stage)
    report.quarantined, report.reused = counts.quarantined, max(0, counts.current - report.done)
    # A document whose input was found damaged has none until the stage before has made it again: it still waits.
    report.failed = max(counts.failed, failed)
    report.considered = counts.considered + report.failed - counts.failed
    report.seconds = round(time.perf_counter() - started, 3)
    here = {stage.name: report.done, **{after: counted.done for after, counted in ahead.items()}}
    report.add_ahead(before)
    progress.end(here, report.reused, report.quarantined, report.failed, report.seconds)
    return report


def _with_following(ledger: Ledger, commit: Commit, following: Sequence[Stage]) -> Commit:
    """A commit that writes what outcomes carry of later stages too, in the same transaction."""
    if not following:
        return commit

    def together(stage: Stage, outcomes: Sequence[Outcome]) -> None:
        with ledger.connection.transaction():
            commit(stage, outcomes)
            for number, after in enumerate(following):
                ledger.commit(after, [o.following[number] for o in outcomes if len(o.following) > number])

    return together


def _commit(commit: Commit, stage: Stage, outcomes: Sequence[Outcome]) -> None:
    fault_point(f"{stage.name}.computed")
    commit(stage, outcomes)
    fault_point(f"{stage.name}.committed")


def _outcomes(stage: Stage, ledger: Ledger, executor: Executor, report: StageReport) -> Iterator[Outcome]:
    """Outcomes of everything the executor does; artifacts that exist already are committed on the way."""
    copies: dict[str, list[Task]] = {}

    def tasks() -> Iterator[Task]:
        for page in ledger.pending(stage):
            if stage.place is Place.DATABASE:  # writes each document's own rows: nothing to share or reuse
                yield from page
                continue
            with ledger.connection.transaction():
                plan = plan_batch(page, ledger.artifacts([task.fingerprint for task in page], stage))
                if plan.reuse:
                    ledger.commit(stage, plan.reuse)
            if plan.reuse:
                fault_point(f"{stage.name}.reused")
            copies.update(plan.copies)
            yield from plan.compute

    for outcome in executor.run(tasks()):
        yield outcome
        if stage.input_stage is None and outcome.status == "failed":
            continue  # an object could not be read; its copies lie under other keys, and are tried by the next run
        for copy in copies.pop(outcome.task.fingerprint, ()):
            yield _copied(outcome, copy)


def _copied(outcome: Outcome, copy: Task) -> Outcome:
    """The outcome of equal work for another document, which cost nothing."""
    following = outcome.following if copy.fresh else ()
    return replace(
        outcome,
        task=copy,
        costs={},
        payload=None,
        duration_ms=0,
        following=tuple(_copied(after, _same_work(after.task, copy)) for after in following),
    )


def _same_work(task: Task, copy: Task) -> Task:
    return replace(
        copy, input=task.input, input_hash=task.input_hash, fingerprint=task.fingerprint, vectors=task.vectors
    )
