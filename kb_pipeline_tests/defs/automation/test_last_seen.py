"""The UI shows when a source was last looked at and found in step, without Dagster's books growing by every tick."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from dagster import AssetRecordsFilter, DagsterInstance, DagsterRunStatus, build_schedule_context

from kb_pipeline.defs.automation import last_seen
from kb_pipeline.defs.automation.last_seen import RAW_DOCUMENTS
from kb_pipeline.defs.automation.schedules import sync_tick
from kb_pipeline_tests.defs.conftest import Base


def noted(base: Base, source: str = "hr") -> list[str]:
    """What Dagster was told of a source, the newest first."""
    of_source = AssetRecordsFilter(RAW_DOCUMENTS, asset_partitions=[source])
    records = base.instance.fetch_observations(of_source, limit=10).records
    found = [record.asset_observation.metadata for record in records if record.asset_observation]
    return [str(metadata["kb/seen"].value) for metadata in found]


def tick(base: Base) -> None:
    """A tick, and what Dagster's daemon does with its events."""
    for event in base.tick().asset_events:
        base.instance.report_runless_asset_event(event)


def test_a_tick_that_finds_nothing_to_do_is_noted_once_in_ten_minutes(
    base: Base, monkeypatch: pytest.MonkeyPatch
) -> None:
    base.write(leave="Two weeks ahead.")
    tick(base)
    assert noted(base) == [], "there was something to do"
    base.run()
    tick(base)
    tick(base)
    (words,) = noted(base)
    assert words.startswith("1 object listed, nothing changed since")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + last_seen.SECONDS_BETWEEN + 1)
    tick(base)
    assert len(noted(base)) == 2


def test_a_source_with_a_run_in_progress_was_not_seen(base: Base) -> None:
    base.dagster_run(DagsterRunStatus.STARTED)
    tick(base)
    assert noted(base) == []


def test_a_source_whose_store_is_down_was_not_seen(base: Base) -> None:
    (base.settings.home / "objects").write_text("a file where a folder should be")
    tick(base)
    assert noted(base) == []


def test_a_schedule_notes_it_too(base: Base, tmp_path: Path) -> None:
    base.write(leave="Two weeks ahead.")
    base.sync()
    with DagsterInstance.local_temp(str(tmp_path)) as base.instance:
        for _ in range(2):
            with build_schedule_context(instance=base.instance) as context:
                sync_tick(context, base.settings, "hr", "sync_hr")
        assert len(noted(base)) == 1
