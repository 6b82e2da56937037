"""What a stage depends on, and what a worker makes of one document."""

from __future__ import annotations

from typing import Any

import pytest

from kb_pipeline.core.contracts import Chunk, Element, Outcome, Task
from kb_pipeline.core.errors import CorruptDocument, DiskFull, SettingsError
from kb_pipeline.core.identity import fingerprint, sha256_hex
from kb_pipeline.pipeline.catalogue import WORKER_STAGES, WorkerJob, access_key, catalogue, chain_key, load
from kb_pipeline.settings import ChunkingSettings, EmbeddingSettings, RunSettings, Settings, SourceSettings
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline_tests.support.lines import MASKING, LineJob

TEXT = b"one\ntwo"


def but(**sections: Any) -> Settings:
    """The settings MASKING with other sections."""
    return MASKING.model_copy(update=sections)


def changed(settings: Settings, source: str = "hr") -> list[str]:
    """Stages whose key is another one than under MASKING."""
    before, after = catalogue(MASKING, source), catalogue(settings, source)
    return [name for name in before if before[name].key != after[name].key]


@pytest.mark.parametrize(
    ("settings", "stages", "chain"),
    [
        (but(runs=RunSettings(documents=3)), [], False),
        (but(sources={"hr": SourceSettings(strategy="ocr")}), ["parse"], True),
        (but(sources={"wiki": SourceSettings(strategy="ocr")}), [], False),
        (but(sources={"hr": SourceSettings(masking={"MONEY": "keep"})}), ["mask"], True),
        (but(chunking=ChunkingSettings(max_tokens=99)), ["chunk"], True),
        (but(chunking=ChunkingSettings(prefix_section_path=False)), ["chunk", "mask"], True),
        (but(embedding=EmbeddingSettings(model="n")), ["embed"], True),
        (but(embedding=EmbeddingSettings(model="m", revision="2")), ["embed"], True),
        (but(embedding=EmbeddingSettings(model="m", dimension=4)), [], True),
        (but(embedding=EmbeddingSettings(model="m", batch_texts=3)), [], False),
    ],
)
def test_which_settings_shape_which_stage(settings: Settings, stages: list[str], chain: bool) -> None:
    """A document is looked at again when the chain's key is another; the served dimension concerns publish alone."""
    assert changed(settings) == stages
    assert (chain_key(settings, "hr") != chain_key(MASKING, "hr")) is chain


def test_a_stage_takes_its_input_from_the_one_before_under_its_key() -> None:
    stages = list(catalogue(MASKING, "hr").values())
    assert [stage.name for stage in stages] == ["parse", "chunk", "mask", "embed"]
    assert [stage.input_stage for stage in stages] == [None, "parse", "chunk", "mask"]
    assert [stage.input_key for stage in stages] == ["", *(stage.key for stage in stages[:-1])]


def test_access_rules_have_a_key_that_no_stage_knows() -> None:
    rules = but(sources={"hr": SourceSettings.model_validate({"access": [{"match": "*", "groups": ["staff"]}]})})
    assert changed(rules) == []
    assert access_key(rules, "hr") != access_key(MASKING, "hr") == access_key(rules, "wiki")


def job(store: ObjectStore, kind: type[WorkerJob] = LineJob, stage: str = "parse") -> WorkerJob:
    """A worker's job, with the worker stages after it to follow."""
    stages = catalogue(MASKING, "hr")
    after = WORKER_STAGES[WORKER_STAGES.index(stage) + 1 :]  # type: ignore[arg-type]
    following = tuple((name, stages[name].key) for name in after)
    return kind(stage, store.config, MASKING.chunking, MASKING.masking_for("hr"), following)  # type: ignore[arg-type]


def task(store: ObjectStore, data: bytes = TEXT, **values: Any) -> Task:
    """The task to parse a document."""
    store.put("raw/hr/a.txt", data)
    named = {"fingerprint": "f" * 64, "input_hash": "i", "fresh": True, "content_hash": sha256_hex(data), **values}
    known = {"document_id": "d", "source_system": "hr", "key": "a.txt", "display_name": "a.txt"}
    return Task(**{**known, "media_type": "text/plain", "size": len(data), **named})


def statuses(outcome: Outcome) -> list[tuple[str, str | None]]:
    return [(one.status, one.error_class) for one in (outcome, *outcome.following)]


def test_a_fresh_document_goes_through_all_worker_stages(store: ObjectStore) -> None:
    outcome = job(store)(task(store))
    assert statuses(outcome) == [("ok", None)] * 3
    keys = [stage.key for stage in catalogue(MASKING, "hr").values()]
    for key, before, after in zip(keys[1:], [outcome, *outcome.following], outcome.following, strict=False):
        assert after.task.input_hash == before.output_hash
        assert after.task.fingerprint == fingerprint(key, before.output_hash or "")
        assert after.task.input == before.artifact, "it would be read from there, if the turn ended here"
    chunks = load(store, outcome.following[1].task, Chunk)
    assert [chunk.text for chunk in chunks] == ["one", "two"]


def test_any_other_document_has_one_stage_done(store: ObjectStore) -> None:
    assert statuses(job(store)(task(store, fresh=False))) == [("ok", None)]


def test_a_turn_ends_where_a_stage_refuses(store: ObjectStore) -> None:
    outcome = job(store)(task(store, b"REFUSED"))
    assert statuses(outcome) == [("ok", None), ("ok", None), ("quarantined", "MaskingIncomplete")]
    outcome = job(store)(task(store, content_hash="of other bytes"))
    assert statuses(outcome) == [("failed", "ObjectChanged")]


class FailingJob(LineJob):
    """Parsing raises what the document's text names."""

    def parse(self, data: bytes, media_type: str) -> list[Element]:
        errors = {
            "corrupt": CorruptDocument("No text."),
            "defect": ValueError("secret"),
            "memory": MemoryError(),
            "disk": DiskFull("Full.", "Free some."),
            "settings": SettingsError("No model.", "Install it."),
        }
        raise errors[data.decode()]


@pytest.mark.parametrize(("text", "error"), [(b"corrupt", "CorruptDocument"), (b"defect", "UnexpectedError")])
def test_what_a_document_does_to_a_stage_costs_it_alone(store: ObjectStore, text: bytes, error: str) -> None:
    outcome = job(store, FailingJob)(task(store, text))
    assert statuses(outcome) == [("quarantined", error)]
    assert "secret" not in (outcome.error_message or "")


@pytest.mark.parametrize(
    ("text", "error"), [(b"memory", MemoryError), (b"disk", DiskFull), (b"settings", SettingsError)]
)
def test_what_is_no_fault_of_the_document_stops_the_run(
    store: ObjectStore, text: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        job(store, FailingJob)(task(store, text))


def test_a_lost_input_waits_until_it_is_made_again(store: ObjectStore) -> None:
    assert statuses(job(store, stage="chunk")(task(store, fresh=False))) == [("failed", "ArtifactDamaged")]


def test_what_a_turn_cost_is_counted_for_each_stage(store: ObjectStore) -> None:
    outcome = job(store)(task(store))
    costs = [one.costs for one in (outcome, *outcome.following)]
    assert [(cost["object_reads"], cost["object_writes"]) for cost in costs] == [(1, 1), (0, 1), (0, 1)]
    assert all(cost["peak_worker_bytes"] > 0 for cost in costs)
    assert outcome.stats == {"characters": 6}
