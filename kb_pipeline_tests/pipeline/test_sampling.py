"""Passages of what a run did: masked ones, of its own documents, spread over them."""

from __future__ import annotations

import pytest

from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.sampling import PASSAGES_PER_DOCUMENT, sample
from kb_pipeline_tests.store.ledger.test_ledger import artifact_of
from kb_pipeline_tests.support.lines import MASKING, LineSource


@pytest.fixture
def masked(source: LineSource) -> tuple[LineSource, StageReport]:
    """Two documents, done up to their masked chunks, after a third that an earlier run published."""
    source.settings = MASKING
    source.write(old="published before")
    source.sync()
    source.write(a="\n".join(f"line {n} costs $" for n in range(9)), b="two")
    source.observe()
    *_, report = [source.run(name) for name in ("parse", "chunk", "mask")]  # type: ignore[arg-type]
    return source, report


def sampled(source: LineSource, report: StageReport) -> list[tuple[str, str]]:
    return [(passage.source_file, passage.content) for passage in sample(source.source_run(), report)]


def test_a_few_masked_passages_of_each_document_of_the_run(masked: tuple[LineSource, StageReport]) -> None:
    of_a = [("a.txt", f"line {n} costs <MONEY>") for n in range(PASSAGES_PER_DOCUMENT)]
    assert sampled(*masked) == [*of_a, ("b.txt", "two")]


def test_a_stage_that_did_nothing_shows_nothing(masked: tuple[LineSource, StageReport]) -> None:
    assert sampled(masked[0], StageReport("mask", reused=2)) == []


def test_a_damaged_artifact_is_left_out(masked: tuple[LineSource, StageReport]) -> None:
    source, report = masked
    source.store.put(artifact_of(source, "mask", "a").uri, b"cut short")
    assert sampled(source, report) == [("b.txt", "two")]


def test_publish_shows_what_readers_see(masked: tuple[LineSource, StageReport]) -> None:
    source, report = masked
    assert sampled(source, StageReport("publish", done=2)) == [], "nothing of the run's own is published yet"
    source.run("embed")
    report = source.run("publish")
    assert sorted(sampled(source, report)) == sorted(
        [("b.txt", "two"), *(("a.txt", f"line {n} costs <MONEY>") for n in range(9))]
    )
