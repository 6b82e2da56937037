"""The loop over a stage: when it commits, what it commits together, and what copies get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest

from kb_pipeline.core.contracts import Outcome, StageName, Task
from kb_pipeline.core.errors import DiskFull, EmbeddingUnavailable, KbError, ObjectStoreUnavailable, SettingsError
from kb_pipeline.core.identity import document_id
from kb_pipeline.pipeline import runner
from kb_pipeline.pipeline.catalogue import WorkerJob
from kb_pipeline.pipeline.runner import Executor, StageReport
from kb_pipeline.settings import Settings
from kb_pipeline_tests.support.inline import InlineExecutors
from kb_pipeline_tests.support.lines import LineJob, LineSource

MORE = 10**9


def done(source: LineSource, stage: StageName) -> dict[str, str]:
    """Fingerprint by the name of each document whose `stage` is ok in the ledger."""
    rows = source.connection.execute(
        "SELECT d.key, s.fingerprint FROM kb.stage_state s JOIN kb.document d USING (document_id)"
        " WHERE s.stage = %s AND s.status = 'ok' ORDER BY d.key",
        (stage,),
    )
    return {key.removesuffix(".txt"): name for key, name in rows}


@dataclass
class Failing(InlineExecutors):
    """Workers that meet `error` after three documents."""

    job: type[WorkerJob] = LineJob
    error: KbError = field(default_factory=lambda: SettingsError("Wrong.", "Mend it."))

    def workers(self, job: WorkerJob, settings: Settings) -> Executor:
        return _FailingWorkers(super().workers(job, settings), self.error)


@dataclass
class _FailingWorkers:
    workers: Executor
    error: KbError

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for number, outcome in enumerate(self.workers.run(tasks)):
            if number == 3:
                raise self.error
            yield outcome


@pytest.mark.parametrize("error", [EmbeddingUnavailable, ObjectStoreUnavailable, DiskFull, SettingsError])
def test_what_was_done_before_a_service_was_lost_stays_done(source: LineSource, error: type[KbError]) -> None:
    source.write(**{name: f"text {name}" for name in "abcdef"})
    source.observe()
    run = source.source_run()
    run.executors = Failing(error=error("Down.", "Start it."))
    with pytest.raises(error):
        run.work("parse")
    assert len(done(source, "parse")) == 3
    source.sync()
    assert source.published() == {name: [f"text {name}"] for name in "abcdef"}


def test_a_run_that_is_killed_loses_one_group_of_texts(source: LineSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "COMMIT_SECONDS", MORE)
    source.write(**{name: "\n".join(f"{name} {n}" for n in range(150)) for name in "abc"})
    source.observe()
    for stage in ("parse", "chunk", "mask"):
        source.run(stage)  # type: ignore[arg-type]

    def killed(texts: object) -> None:
        if source.sent:
            raise KeyboardInterrupt

    source.model.on_texts = killed
    with pytest.raises(KeyboardInterrupt):
        source.run("embed")
    assert len(source.sent) == 300, "two documents fill a group"
    assert len(done(source, "embed")) == 2


def test_a_copy_that_was_there_before_gets_what_its_own_stage_made_and_no_more(source: LineSource) -> None:
    """Its later stages have rows of an older version; the runs of those stages see to them."""
    first, copy = sorted("ab", key=lambda name: document_id("hr", f"{name}.txt"))
    source.write(**{copy: "old"})
    source.sync()
    before = done(source, "chunk")
    source.write(a="new", b="new")
    source.observe()
    report = source.source_run().work("parse")
    assert report.done == 2
    assert [name for stage, name in source.worked[-3:]] == [f"{first}.txt"] * 3, "the new one went through all stages"
    parsed, chunked = done(source, "parse"), done(source, "chunk")
    assert parsed[first] == parsed[copy]
    assert chunked == {**before, first: chunked[first]}
    source.sync()
    assert source.published() == {"a": ["new"], "b": ["new"]}


def test_a_fresh_copy_gets_all_that_its_first_got(source: LineSource) -> None:
    source.write(a="one", b="one")
    source.observe()
    source.source_run().work("parse")
    assert [len(done(source, stage)) for stage in ("parse", "chunk", "mask")] == [2, 2, 2]
    assert len(source.worked) == 3


def test_stages_done_in_one_turn_are_committed_together_or_not_at_all(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.observe()
    source.connection.execute("ALTER TABLE kb.stage_state ADD CONSTRAINT broken CHECK (stage <> 'chunk') NOT VALID")
    with pytest.raises(psycopg.errors.CheckViolation):
        source.source_run().work("parse")
    assert done(source, "parse") == {}
    assert source.connection.execute("SELECT count(*) FROM kb.artifact").fetchone() == (0,)
    source.connection.execute("ALTER TABLE kb.stage_state DROP CONSTRAINT broken")
    source.sync()
    assert source.published() == {"a": ["one"], "b": ["two"]}


def test_costs_are_added_up_and_peaks_are_not() -> None:
    report = StageReport("parse")
    report.add_costs({"object_reads": 2, "peak_worker_bytes": 5})
    report.add_costs({"object_reads": 1, "peak_worker_bytes": 7})
    report.add_costs({"peak_worker_bytes": 6})
    assert report.costs == {"object_reads": 3, "peak_worker_bytes": 7}
