"""Which documents a stage has yet to do: decided by comparing input and settings with what the ledger says was done."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kb_pipeline.core.contracts import ArtifactRef, Task
from kb_pipeline.core.errors import ObjectStoreUnavailable
from kb_pipeline.settings import ChunkingSettings
from kb_pipeline.store.database import connect
from kb_pipeline.store.ledger import stages
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.stages import StageCounts
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.support.lines import MASKING, LineSource


def pending(source: LineSource, stage: str) -> list[str]:
    pages = source.ledger(stage).pending(source.stage(stage))  # type: ignore[arg-type]
    return sorted(task.key.removesuffix(".txt") for page in pages for task in page)


def all_tasks(source: LineSource, stage: str) -> Iterator[list[Task]]:
    """Every document's task, as if nothing had been done."""
    source.connection.execute("UPDATE kb.stage_state SET status = 'retry' WHERE stage = %s", (stage,))
    yield from source.ledger(stage).pending(source.stage(stage))  # type: ignore[arg-type]
    source.connection.execute("UPDATE kb.stage_state SET status = 'ok' WHERE stage = %s", (stage,))


def artifact_of(source: LineSource, stage: str, name: str) -> ArtifactRef:
    row = source.connection.execute(
        "SELECT a.uri, a.size, a.sha256 FROM kb.stage_state s JOIN kb.document d USING (document_id)"
        " JOIN kb.artifact a USING (fingerprint) WHERE s.stage = %s AND d.key = %s",
        (stage, f"{name}.txt"),
    ).fetchone()
    assert row
    return ArtifactRef(*row)


def test_what_was_observed_is_pending_for_parse_and_each_stage_makes_the_next_ones_work(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.observe()
    for before, after in (("parse", "chunk"), ("chunk", "mask"), ("mask", "embed")):
        assert (pending(source, before), pending(source, after)) == (["a", "b"], [])
        source.run(before)  # type: ignore[arg-type]
        assert (pending(source, before), pending(source, after)) == ([], ["a", "b"])


def test_a_second_sync_finds_nothing_to_do(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.worked.clear()
    reports = source.sync()
    assert [(report.done, report.reused, report.considered) for report in reports.values()] == [(0, 0, 0)] * 5
    source.connection.execute("UPDATE kb.document SET settled_key = NULL")
    reports = source.sync()
    assert [(report.done, report.reused, report.considered) for report in reports.values()] == [(0, 2, 2)] * 5
    assert source.worked == []


def test_an_edit_is_work_for_that_document_alone(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.worked.clear()
    source.write(a="one\nand more")
    source.sync()
    assert {key for _, key in source.worked} == {"a.txt"}
    assert source.published() == {"a": ["one", "and more"], "b": ["two"]}


def test_a_setting_that_shapes_a_stage_is_work_from_that_stage_on(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.worked.clear()
    source.settings = source.settings.model_copy(update={"chunking": ChunkingSettings(max_tokens=99)})
    source.observe()
    assert [pending(source, stage) for stage in ("parse", "chunk")] == [[], ["a", "b"]]
    reports = source.sync()
    assert {stage for stage, _ in source.worked} == {"chunk"}, "equal chunks: masking has the same input as before"
    assert reports["chunk"].done == 2
    assert reports["mask"].done == reports["publish"].done == 0


def test_a_changed_masking_policy_stops_what_was_masked_under_the_old_one(source: LineSource) -> None:
    """Between the change and masking anew, embed and publish see no input: stale text goes nowhere."""
    source.write(a="costs $")
    source.observe()
    for stage in ("parse", "chunk", "mask"):
        source.run(stage)  # type: ignore[arg-type]
    source.settings = MASKING
    assert (pending(source, "embed"), pending(source, "publish")) == ([], [])
    source.run("mask")
    source.run("embed")
    source.run("publish")
    assert source.sent == ["costs <MONEY>"]
    assert source.published() == {"a": ["costs <MONEY>"]}


def test_copies_are_worked_on_once_and_published_each(source: LineSource) -> None:
    source.write(a="one\ntwo", b="one\ntwo", c="three")
    reports = source.sync()
    assert sorted(stage for stage, _ in source.worked) == ["chunk"] * 2 + ["mask"] * 2 + ["parse"] * 2
    assert [report.done for report in reports.values()] == [3] * 5
    assert sorted(source.sent) == ["one", "three", "two"]
    assert source.published() == {"a": ["one", "two"], "b": ["one", "two"], "c": ["three"]}


def test_a_later_copy_reuses_the_artifacts_and_calls_no_model(source: LineSource) -> None:
    source.write(a="one\ntwo")
    source.sync()
    source.worked.clear()
    source.sent.clear()
    source.write(b="one\ntwo")
    source.sync()
    assert (source.worked, source.sent) == ([], [])
    assert source.published() == {"a": ["one", "two"], "b": ["one", "two"]}


def test_a_rename_moves_the_rows_without_any_work(source: LineSource) -> None:
    source.write(a="one\ntwo")
    source.sync()
    source.worked.clear()
    source.sent.clear()
    source.write(a=None, b="one\ntwo")
    source.sync()
    assert (source.worked, source.sent) == ([], [])
    assert source.published() == {"b": ["one", "two"]}


def test_a_document_in_quarantine_waits_for_retry_or_another_text(source: LineSource) -> None:
    source.settings = MASKING
    source.write(a="REFUSED", b="two")
    reports = source.sync()
    assert (reports["mask"].quarantined, reports["mask"].done) == (1, 1)
    assert source.ledger("mask").counts(source.stage("mask")) == StageCounts(2, 1, 1, 0)
    assert pending(source, "mask") == []
    source.connection.execute("UPDATE kb.stage_state SET status = 'retry' WHERE status = 'quarantined'")
    assert pending(source, "mask") == ["a"]
    assert source.run("mask").quarantined == 1
    attempts = "SELECT attempts, error_class FROM kb.stage_state WHERE status = 'quarantined'"
    assert source.connection.execute(attempts).fetchall() == [(2, "MaskingIncomplete")]
    source.write(a="accepted")
    source.sync()
    assert source.published() == {"a": ["accepted"], "b": ["two"]}
    assert source.connection.execute(attempts).fetchall() == []


def test_a_lost_artifact_is_made_again(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.observe()
    source.run("parse")
    source.store.delete(artifact_of(source, "parse", "a").uri)
    assert (report := source.run("chunk")).failed == 1, report
    assert report.done == 1
    reports = source.sync()
    assert reports["parse"].done == 1
    assert source.published() == {"a": ["one"], "b": ["two"]}


def test_a_damaged_artifact_that_copies_share_is_made_again_for_all_of_them(source: LineSource) -> None:
    source.write(a="one", b="one")
    source.observe()
    source.run("parse")
    source.run("chunk")
    source.store.put(artifact_of(source, "chunk", "a").uri, b"cut short")
    assert source.run("mask").failed == 2
    source.sync()
    assert source.published() == {"a": ["one"], "b": ["one"]}


@pytest.mark.parametrize("stage", ["embed", "publish"])
def test_a_lost_object_store_stops_the_stage_and_is_held_against_no_document(source: LineSource, stage: str) -> None:
    source.write(a="one", b="two")
    source.observe()
    for before in ("parse", "chunk", "mask", *(["embed"] if stage == "publish" else [])):
        source.run(before)  # type: ignore[arg-type]
    right, source.store = source.store, ObjectStore(ObjectStoreConfig("s3://b", "http://127.0.0.1:1", "us-east-1"))
    with pytest.raises(ObjectStoreUnavailable):
        source.run(stage)  # type: ignore[arg-type]
    source.store = right
    assert source.connection.execute("SELECT count(*) FROM kb.stage_state WHERE status <> 'ok'").fetchone() == (0,)
    source.sync()
    assert source.published() == {"a": ["one"], "b": ["two"]}


def test_more_documents_than_a_page_holds(source: LineSource) -> None:
    source.write(**{f"d{n}": f"text {n}" for n in range(600)})
    reports = source.sync()
    assert [report.done for report in reports.values()] == [600] * 5
    assert source.published() == {f"d{n}": [f"text {n}"] for n in range(600)}


def test_without_a_scope_every_page_is_pending(source: LineSource, monkeypatch: pytest.MonkeyPatch) -> None:
    """A single asset is materialized: it goes over its whole source, page after page."""
    monkeypatch.setattr(stages, "PAGE", 2)
    source.write(**{name: f"text {name}" for name in "abcde"})
    source.observe()
    source.scope = None
    assert pending(source, "parse") == list("abcde")
    source.run("parse")
    assert pending(source, "parse") == []
    assert pending(source, "chunk") == list("abcde")


def test_a_deleted_document_is_no_work(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None)
    source.sync()
    source.worked.clear()
    source.settings = source.settings.model_copy(update={"chunking": ChunkingSettings(max_tokens=99)})
    source.scope = None
    assert pending(source, "chunk") == ["b"]
    source.run_stages()
    assert source.worked == [("chunk", "b.txt")]
    assert source.published() == {"b": ["two"]}


def test_sources_do_not_see_each_others_documents(source: LineSource, take) -> None:  # type: ignore[no-untyped-def]
    source.write(a="one")
    source.sync()
    other = LineSource(source.connection, source.store, take(source="wiki"))
    other.write(a="one")
    other.observe()
    assert pending(other, "parse") == ["a"]
    other.sync()
    assert (source.published(), other.published()) == ({"a": ["one"]}, {"a": ["one"]})
    assert other.sent == [], "equal texts share their vectors across sources"


def test_two_runs_reuse_one_artifact_at_once(source: LineSource, dsn: str, take: Callable[..., Lease]) -> None:
    """Each holds it against collection and writes its own pointer; neither waits for the other."""
    source.write(a="one")
    source.sync()
    (task,) = [task for page in all_tasks(source, "parse") for task in page]
    with connect(dsn) as elsewhere:
        other = LineSource(elsewhere, source.store, take(source="wiki"))
        other.write(a="one")
        other.observe()
        elsewhere.execute("SET lock_timeout = '2s'")
        with source.connection.transaction():
            assert source.ledger("parse").artifacts([task.fingerprint], source.stage("parse"))
            assert other.run("parse").reused == 1
        assert other.worked == []


@pytest.mark.parametrize("gone", ["a", "b"])
def test_an_object_that_cannot_be_read_does_not_hold_up_its_copy(source: LineSource, gone: str) -> None:
    (other,) = {"a", "b"} - {gone}
    source.write(a="one", b="one")
    source.reconcile()
    source.look()
    source.write(**{gone: None})
    for _ in range(2):
        source.run_stages()
        source.look()
    assert source.published()[other] == ["one"]
