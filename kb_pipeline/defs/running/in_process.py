"""Run the sync job in this process, on the Dagster instance that the UI shows."""

from __future__ import annotations

import os
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
from dagster._core.instance.ref import InstanceRef

from kb_pipeline.core.errors import KbError
from kb_pipeline.defs.assets.graph import ALL_ASSETS, STAGE_OF_ASSET
from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS
from kb_pipeline.defs.jobs import COMMAND_LINE, LAUNCHED_BY, SYNC, sync_job
from kb_pipeline.defs.resources import KnowledgeBaseResource, SGLangResource
from kb_pipeline.local.dagster_home import prepare_dagster_home
from kb_pipeline.pipeline.reports import SyncReport, run_report
from kb_pipeline.settings import Settings

NOT_CAPTURED = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}


@contextmanager
def dagster_instance(settings: Settings) -> Iterator[DagsterInstance]:
    """The instance of the settings' DAGSTER_HOME.

    Its dagster.yaml names that variable, so it is set meanwhile, and put back: another KB_HOME has another. Standard
    output is not captured: the person at the command line sees it, and capturing costs four processes a run.
    """
    home, before = prepare_dagster_home(settings), os.environ.get("DAGSTER_HOME")
    os.environ["DAGSTER_HOME"] = str(home)
    try:
        with DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=NOT_CAPTURED)) as instance:
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


def run_sync(settings: Settings, source_system: str, **observing: bool) -> SyncReport:
    """One run of all six stages over one source system; `observing` is the config of raw_documents. Raises the KbError
    that stopped the run, if one did."""
    where = {"home": str(settings.home)}
    if settings.config_path:
        where["config_path"] = str(settings.config_path)
    run_config = {
        "resources": {"knowledge_base": {"config": where}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        "ops": {"raw_documents": {"config": observing}},
    }
    job = _sync_job()
    with dagster_instance(settings) as instance:
        instance.add_dynamic_partitions(SOURCE_SYSTEMS, [source_system])
        try:
            result = job.execute_in_process(
                run_config=run_config,
                instance=instance,
                partition_key=source_system,
                tags={LAUNCHED_BY: COMMAND_LINE},
            )
        except Failure as failure:
            stopped = _cause(failure)
            context = stopped.__context__
            try:
                raise stopped from None
            finally:  # raising it here made Dagster's error its context: --debug shows what it was raised from
                stopped.__context__ = context
        except DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        record = instance.get_run_record_by_id(result.run_id)
    seconds = (record.end_time - record.start_time) if record and record.end_time and record.start_time else 0.0
    stages: dict[str, dict[str, Any]] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        stage = STAGE_OF_ASSET[materialization.asset_key.to_user_string()]
        value: Any = materialization.metadata["report"].value
        stages[stage] = dict(value)
    return run_report(source_system, result.run_id, round(seconds, 3), stages)


@cache
def _sync_job() -> JobDefinition:
    """The job of the UI, resolved once a process; schedules and sensors are not needed here."""
    resources = {"knowledge_base": KnowledgeBaseResource(), "sglang": SGLangResource()}
    only = Definitions(assets=ALL_ASSETS, jobs=[sync_job], resources=resources, executor=in_process_executor)
    return only.resolve_job_def(SYNC)


def _cause(failure: BaseException) -> BaseException:
    """Our own error behind Dagster's, or Dagster's when there is none."""
    cause: BaseException | None = failure
    while cause is not None:
        if isinstance(cause, KbError):
            return cause
        cause = cause.__cause__
    return failure
