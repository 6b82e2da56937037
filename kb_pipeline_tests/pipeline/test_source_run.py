"""What a run does besides its stages: pauses, withdrawals, settling, the index, and what it leaves open."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kb_pipeline.core.errors import DatabaseUnavailable, EmbeddingUnavailable
from kb_pipeline.core.faults import on_reach
from kb_pipeline.pipeline import run_state
from kb_pipeline.pipeline.run_state import with_retries
from kb_pipeline.pipeline.source_run import run_one
from kb_pipeline.settings import RunSettings, Settings
from kb_pipeline.store.ledger.backlog import pause_source
from kb_pipeline.store.published.spaces import lacks_index
from kb_pipeline_tests.support.inline import InlineExecutors
from kb_pipeline_tests.support.lines import MASKING, LineModel, LineSource

ONE_A_RUN = RunSettings(documents=1)


def unsettled(source: LineSource) -> list[str]:
    rows = source.connection.execute("SELECT key FROM kb.document WHERE settled_key IS NULL ORDER BY key")
    return [key.removesuffix(".txt") for (key,) in rows]


def at_publish(source: LineSource) -> dict[str, str]:
    """Status of the stage publish by the document's name."""
    rows = source.connection.execute(
        "SELECT d.key, s.status FROM kb.stage_state s JOIN kb.document d USING (document_id) WHERE s.stage = 'publish'"
    )
    return {key.removesuffix(".txt"): status for key, status in rows}


def test_a_run_that_comes_to_its_end_ends_the_pause(source: LineSource) -> None:
    source.write(a="one")
    source.observe()
    pause_source(source.connection, "hr")
    source.sync()
    assert source.connection.execute("SELECT attempts, retry_at FROM kb.source").fetchall() == [(0, None)]


def test_rows_of_an_older_policy_go_where_the_new_one_cannot_be_met(source: LineSource) -> None:
    source.write(bad="REFUSED $", good="costs $")
    source.sync()
    source.settings = MASKING
    assert source.sync()["publish"].stats["withdrawn"] == 1
    assert source.published() == {"good": ["costs <MONEY>"]}


def test_a_document_that_is_to_be_published_again_is_not_settled(source: LineSource) -> None:
    """Someone asks for it while the run is about to settle it: no other stage has anything to do for it."""
    source.write(a="one", b="two")

    def ask_again(point: str) -> None:
        if point == "publish.committed":
            source.connection.execute(
                "UPDATE kb.stage_state SET status = 'retry' WHERE stage = 'publish' AND document_id ="
                " (SELECT document_id FROM kb.document WHERE key = 'b.txt')"
            )

    with on_reach(ask_again):
        source.sync()
    assert unsettled(source) == ["b"]
    assert source.sync()["publish"].done == 1
    assert unsettled(source) == []


def test_documents_without_passages_are_published_once_there_is_where_to(source: LineSource) -> None:
    source.write(empty="")
    source.sync()
    assert (at_publish(source), unsettled(source)) == ({}, [])
    source.write(a="one")
    source.sync()
    source.sync()
    assert at_publish(source) == {"a": "ok", "empty": "ok"}


@pytest.mark.parametrize("observed", [True, False], ids=["documents are left", "keys are left"])
def test_the_index_is_built_when_the_first_backlog_is_done(source: LineSource, observed: bool) -> None:
    source.write(a="one", b="two")
    if observed:
        source.observe()
    source.settings = source.settings.model_copy(update={"runs": ONE_A_RUN})
    for left in (True, False):
        source.sync()
        assert lacks_index(source.connection, source.space()) is left
    assert source.published() == {"a": ["one"], "b": ["two"]}


def test_publish_alone_builds_the_index_when_nothing_is_left_to_do(source: LineSource) -> None:
    """Its asset is materialized by itself: it has no scope."""
    source.write(a="one")
    source.sync()
    source.connection.execute("DROP INDEX kb.vector_m_8_hnsw")
    source.write(b="two")
    source.observe()
    for left in (True, False):
        source.scope = None
        source.run("publish")
        assert lacks_index(source.connection, source.space()) is left
        source.connection.execute("UPDATE kb.document SET settled_key = (SELECT max(settled_key) FROM kb.document)")


def test_what_was_moved_goes_with_the_run_that_publishes_it_elsewhere(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None, c="one")
    assert source.sync()["publish"].deleted == 1
    assert source.published() == {"b": ["two"], "c": ["one"]}


def test_a_run_over_hinted_keys_does_not_count_the_documents(source: LineSource) -> None:
    """Its time must not depend on how much the source holds."""
    source.write(a="one", b="two")
    source.observe()
    run = source.source_run()
    run.observe(listing=False)
    assert (run.backlog().documents, run.backlog().live) == (2, 2)
    run.observe(listing=False, hinted_only=True)
    assert (run.backlog().documents, run.backlog().live) == (0, 0)


@dataclass
class Opened(InlineExecutors):
    """Hands out a model that a stage fails on, and keeps each."""

    error: Exception = field(default_factory=lambda: EmbeddingUnavailable("No embedding server answers.", "Start one."))
    models: list[LineModel] = field(default_factory=list)

    def model(self, settings: Settings) -> LineModel:
        def fail(texts: object) -> None:
            raise self.error

        self.models.append(LineModel(on_texts=fail))
        return self.models[-1]


@pytest.fixture
def masked(source: LineSource) -> LineSource:
    """A source with one document, done up to its masked chunks."""
    source.write(a="one")
    source.observe()
    for stage in ("parse", "chunk", "mask"):
        source.run(stage)  # type: ignore[arg-type]
    return source


def test_a_model_that_fails_is_closed(masked: LineSource) -> None:
    run = masked.source_run()
    run.executors = opened = Opened()
    with pytest.raises(EmbeddingUnavailable):
        run_one(run, "embed")
    assert [model.closed for model in opened.models] == [1]


def test_every_try_of_a_run_closes_its_model(masked: LineSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_state, "FIRST_PAUSE_SECONDS", 0.001)
    run = masked.source_run()
    run.state.retries_left = 2
    run.executors = opened = Opened(error=DatabaseUnavailable("The connection was lost.", "Try again."))
    with pytest.raises(DatabaseUnavailable):
        with_retries(run.state, run.embed, lambda: None)
    assert [model.closed for model in opened.models] == [1, 1, 1]


def test_a_model_that_answered_is_closed_too(masked: LineSource) -> None:
    masked.run("embed")
    assert (masked.sent, masked.model.closed) == (["one"], 1)
