"""Tell someone of failed runs and of deletes that wait for a word. The command line tells of its own."""

import time
from collections.abc import Sequence

from dagster import (
    DagsterEvent,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunFailureSensorContext,
    RunStatusSensorContext,
    SkipReason,
    run_failure_sensor,
    run_status_sensor,
)

from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.defs.tags import PARTITION
from kb_pipeline.operations.alerts import Alert, send
from kb_pipeline.pipeline.opening import connected
from kb_pipeline.pipeline.reports import deletes_unconfirmed
from kb_pipeline.store.ledger.sources import Brake, brakes

ALERT_FAILED, ALERT_BRAKED = "alert_failed", "alert_braked"
EVERY_SOURCE = "every source"


@run_failure_sensor(
    name=ALERT_FAILED,
    default_status=DefaultSensorStatus.RUNNING,
    description="Posts a failed run to the webhook of the settings (alerts.webhook_url).",
)
def alert_failed(context: RunFailureSensorContext, knowledge_base: KnowledgeBaseResource) -> SkipReason:
    run = context.dagster_run
    alert = failed_run(run.tags.get(PARTITION, EVERY_SOURCE), run.run_id, context.get_step_failure_events())
    return _sent(send(knowledge_base.settings(), alert), alert)


@run_status_sensor(
    run_status=DagsterRunStatus.SUCCESS,
    name=ALERT_BRAKED,
    default_status=DefaultSensorStatus.RUNNING,
    description="Posts to the webhook of the settings when a run stopped before deleting a large share of its source.",
)
def alert_braked(context: RunStatusSensorContext, knowledge_base: KnowledgeBaseResource) -> SkipReason:
    run = context.dagster_run
    source = run.tags.get(PARTITION)
    record = context.instance.get_run_record_by_id(run.run_id)
    if source is None or record is None or record.start_time is None:
        return SkipReason(f"run {run.run_id[:8]} is not over a source system")
    settings = knowledge_base.settings()
    with connected(settings) as connection:
        brake = brakes(connection).get(source)
    if brake is None:
        return SkipReason(f"{source}: no deletes wait for a word")
    if not braked_in(brake, time.time() - record.start_time):
        return SkipReason(f"{source}: deletes wait for a word since before run {run.run_id[:8]}")
    alert = braked_run(source, run.run_id, brake)
    return _sent(send(settings, alert), alert)


def braked_in(brake: Brake, run_seconds: float) -> bool:
    """Whether the brake came while the run went on that began so many seconds ago. Each of the two ages is by one
    clock, the database's and this machine's, which need not agree."""
    return brake.seconds <= run_seconds


def braked_run(source_system: str, run_id: str, brake: Brake) -> Alert:
    """What is posted of a brake."""
    numbers: dict[str, int | float | str] = {"gone": brake.gone, "live": brake.live, "moved": brake.moved}
    error = deletes_unconfirmed(source_system, numbers)
    since = {"since": brake.since}
    return Alert("braked", source_system, error.message, run_id, type(error).__name__, numbers | since)


def failed_run(source_system: str, run_id: str, failures: Sequence[DagsterEvent]) -> Alert:
    """What is posted of a failed run: the words of our own error, and of any other only its class, for its message
    might quote a document. No failed step: its process died."""
    for event in failures:
        data = event.step_failure_data
        if data.user_failure_data and data.user_failure_data.description:
            named = data.user_failure_data.metadata.get("error")
            error_class = str(named.value) if named else "Failure"
            return Alert("failed", source_system, data.user_failure_data.description, run_id, error_class)
        if data.error:
            cause = data.error
            while cause.cause:
                cause = cause.cause
            error_class = cause.cls_name or "Exception"
            return Alert("failed", source_system, f"Unexpected {error_class} in {event.step_key}.", run_id, error_class)
    return Alert("failed", source_system, "The run's process died, or someone ended it.", run_id)


def _sent(taken: bool, alert: Alert) -> SkipReason:
    what = f"{alert.source_system}: run {alert.run_id[:8]} {alert.kind}"
    return SkipReason(f"{what}; {'posted' if taken else 'no webhook took it'}")
