"""Verdicts as Dagster's run requests, and what ticks share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagster import DagsterInstance, DefaultScheduleStatus, DefaultSensorStatus, RunRequest

from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS
from kb_pipeline.defs.automation.ticks import BACKLOG, IDLE, Verdict
from kb_pipeline.defs.tags import LAUNCHED_BY, WHY

# The tick has listed and compared: the run takes on what is known to be left to do.
PLANNED: dict[str, Any] = {"ops": {"raw_documents": {"config": {"compare_listing": False}}}}


def request(verdict: Verdict, launched_by: str, *, idle: int = 0, run_key: str | None = None) -> RunRequest:
    """A run of the job `sync` over the source; its tags say why it was launched, and how much there was to do."""
    tags = {WHY: verdict.words, LAUNCHED_BY: launched_by, BACKLOG: str(verdict.size), IDLE: str(idle)}
    return RunRequest(run_key=run_key, partition_key=verdict.source_system, run_config=PLANNED, tags=tags)


def add_partitions(instance: DagsterInstance, sources: Sequence[str]) -> None:
    """Make source systems partitions; those that are there already stay."""
    missing = sorted(set(sources) - set(instance.get_dynamic_partitions(SOURCE_SYSTEMS)))
    if missing:
        instance.add_dynamic_partitions(SOURCE_SYSTEMS, missing)


def sensor_status(enabled: bool) -> DefaultSensorStatus:
    """Whether a sensor is on when Dagster starts; the switch in the UI wins."""
    return DefaultSensorStatus.RUNNING if enabled else DefaultSensorStatus.STOPPED


def schedule_status(enabled: bool) -> DefaultScheduleStatus:
    """Whether a schedule is on when Dagster starts; the switch in the UI wins."""
    return DefaultScheduleStatus.RUNNING if enabled else DefaultScheduleStatus.STOPPED
