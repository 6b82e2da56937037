"""Run the sync job in this process, on the Dagster instance that the UI shows."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from dagster import (
    DagsterExecutionInterruptedError,
    DagsterInstance,
    Definitions,
    Failure,
    JobDefinition,
    in_process_executor,
)

from kb_pipeline.core.errors import KbError
from kb_pipeline.defs.assets.graph import ALL_ASSETS, STAGE_OF_ASSET
from kb_pipeline.defs.assets.metadata import REPORT
from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS
from kb_pipeline.defs.dagster_private import instance_that_captures_nothing
from kb_pipeline.defs.jobs import SYNC, sync_job
from kb_pipeline.defs.resources import KEEPS_NOTHING, GivenSettings, KnowledgeBaseResource
from kb_pipeline.defs.tags import COMMAND_LINE, KEYS_ONLY, LAUNCHED_BY
from kb_pipeline.local.dagster_home import prepare_dagster_home
from kb_pipeline.pipeline.reports import SyncReport, run_report
from kb_pipeline.settings import Settings


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The instance of the settings' DAGSTER_HOME.

    Its dagster.yaml names that variable, so it is set meanwhile, and put back: another KB_HOME has another. Standard
    output is not captured: the person at the command line sees it, and capturing costs four processes a run.
    """
    home, before = prepare_dagster_home(settings), os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with instance_that_captures_nothing(home) as instance:
            yield instance
    finally:
        if before is None:
            del os.environ["DAGSTER_HOME"]
        else:
            os.environ["DAGSTER_HOME"] = before


def register_sources(settings: Settings, names: Sequence[str]) -> None:
    """Add source systems as partitions; those that are there already stay."""
    with dagster_instance(settings) as instance:
        instance.add_dynamic_partitions(SOURCE_SYSTEMS, list(names))


def forget_source(settings: Settings, name: str) -> None:
    """Take a source system out of the partitions: a backfill over all of them would have a failed run for it."""
    with dagster_instance(settings) as instance:
        if instance.has_dynamic_partition(SOURCE_SYSTEMS, name):
            instance.delete_dynamic_partition(SOURCE_SYSTEMS, name)


def run_sync(
    settings: Settings,
    source_system: str,
    *,
    listing: bool = True,
    confirm_deletes: bool = False,
    hinted_only: bool = False,
) -> SyncReport:
    """One run of all six stages over one source system; SourceRun.observe says what the rest means. Raises the KbError
    that stopped the run, if one did; KeyboardInterrupt after the run was noted as canceled."""
    observing = {"compare_listing": listing, "confirm_deletes": confirm_deletes}
    run_config = {
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        "ops": {"raw_documents": {"config": observing}},
    }
    job, run_id = _sync_job(), str(uuid.uuid4())
    with dagster_instance(settings) as instance:
        instance.add_dynamic_partitions(SOURCE_SYSTEMS, [source_system])
        try:
            result = job.execute_in_process(
                run_config=run_config,
                instance=instance,
                partition_key=source_system,
                tags={LAUNCHED_BY: COMMAND_LINE, **({KEYS_ONLY: "yes"} if hinted_only else {})},
                run_id=run_id,
                resources={"knowledge_base": GivenSettings(settings)},
            )
        except Failure as failure:
            stopped = _cause(failure)
            context = stopped.__context__
            try:
                raise stopped from None
            finally:  # raising it here made Dagster's error its context: --debug shows what it was raised from
                stopped.__context__ = context
        except (DagsterExecutionInterruptedError, KeyboardInterrupt):
            _end_canceled(instance, run_id)
            raise KeyboardInterrupt from None
        record = instance.get_run_record_by_id(result.run_id)
    seconds = (record.end_time - record.start_time) if record and record.end_time and record.start_time else 0.0
    stages: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        stage = STAGE_OF_ASSET[materialization.asset_key.to_user_string()]
        value: Any = materialization.metadata[REPORT].value
        stages[stage] = dict(value)
    return run_report(source_system, result.run_id, round(seconds, 3), stages)


@cache
def _sync_job() -> JobDefinition:
    """The job of the UI, resolved once a process; schedules and sensors are not needed here."""
    resources = {"knowledge_base": KnowledgeBaseResource(), "io_manager": KEEPS_NOTHING}
    only = Definitions(assets=ALL_ASSETS, jobs=[sync_job], resources=resources, executor=in_process_executor)
    return only.resolve_job_def(SYNC)


def _end_canceled(instance: DagsterInstance, run_id: str) -> None:
    """An interrupt between two steps finds no asset that could say so: Dagster's books then hold an unfinished run."""
    run = instance.get_run_by_id(run_id)
    if run and not run.is_finished:
        instance.report_run_canceled(run, "Interrupted at the command line.")


def _cause(failure: BaseException) -> BaseException:
    """Our own error behind Dagster's, or Dagster's when there is none."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, KbError):
            return cause
        cause = cause.__cause__
    return failure
