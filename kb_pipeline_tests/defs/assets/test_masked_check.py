"""The check of a sample after each sync: every recognizer, by the source's policy, on what the run really wrote."""

from __future__ import annotations

from dataclasses import replace

import pytest
from dagster import AssetCheckResult

from kb_pipeline.auditing.personal_data import sentences
from kb_pipeline.core.contracts import MaskedChunk, MaskedText
from kb_pipeline.defs.assets.checks import check_masked
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.sampling import sample
from kb_pipeline.pipeline.source_run import SourceRun, run_one, source_run
from kb_pipeline.settings import ENTITIES, load_settings
from kb_pipeline.store.objects.artifacts import records_to_table, write_table
from kb_pipeline.store.views.overview import Passage
from kb_pipeline_tests.defs.conftest import Base

UNMASKED = {sentence.spans[0][0]: sentence.text for sentence in sentences(3, 1)} | {
    "PERSON": "联系人：张伟，请签字。",
    "ADDRESS": "住址：上海市浦东新区世纪大道100号",
}
CLEAN = Passage("handbook.md", "Leave", "1", "Two weeks ahead, tell <PERSON>.")


def checked(run: SourceRun, *passages: Passage) -> AssetCheckResult:
    (result,) = check_masked(run, StageReport("mask"), passages)
    return result


@pytest.mark.parametrize("entity", ENTITIES)
def test_every_recognizer_looks(base: Base, entity: str) -> None:
    with source_run(base.settings, "hr", "run", last=True) as run:
        assert checked(run, CLEAN).passed
        for place in ("source_file", "section", "content"):
            result = checked(run, CLEAN, replace(CLEAN, **{place: UNMASKED[entity]}))
            assert not result.passed, place
            assert result.metadata[f"kb/{entity}"].value == 1
            assert result.metadata["kb/passages_sampled"].value == 2


def test_what_the_source_keeps_is_no_finding(base: Base) -> None:
    assert base.settings.config_path
    base.settings.config_path.write_text("sources: {hr: {}, wiki: {masking: {MONEY: keep}}}\n")
    price = replace(CLEAN, content=UNMASKED["MONEY"])
    for source, passed in (("hr", False), ("wiki", True)):
        with source_run(load_settings(), source, "run", last=True) as run:
            assert checked(run, price).passed is passed


def test_the_sample_is_of_what_the_run_wrote(base: Base) -> None:
    base.write(leave="# Leave\n\nTwo weeks ahead.\n")
    with source_run(base.settings, "hr", "run", last=True) as run:
        run_one(run, "raw")
        *_, report = [run_one(run, name) for name in ("parse", "chunk", "mask")]
        assert checked(run, *sample(run, report)).passed
        text = MaskedText(UNMASKED["PHONE_NUMBER"])
        table, _ = records_to_table([MaskedChunk(0, text, text, "h")], MaskedChunk)
        ref = write_table(run.store, "mask", "ab12", table)
        run.connection.execute(
            "UPDATE kb.artifact SET uri = %s, size = %s, sha256 = %s WHERE stage = 'mask'",
            (ref.uri, ref.size, ref.sha256),
        )
        assert not checked(run, *sample(run, report)).passed
