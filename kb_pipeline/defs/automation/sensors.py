"""Sensors: new documents, the rest of a backlog, and runs whose process died. Each tick says what it saw and decided.

They only make work happen sooner: what is to be done is decided from the ledger, and a sync by hand finds the same.
"""

import time
from datetime import UTC, datetime

from dagster import (
    AssetCheckEvaluation,
    AssetMaterialization,
    AssetObservation,
    DagsterRun,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunStatusSensorContext,
    SensorDefinition,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    run_status_sensor,
    sensor,
)

from kb_pipeline.defs.assets.checks import deletes_evaluation
from kb_pipeline.defs.automation.dagster_runs import (
    Suspects,
    past_of,
    runs_in_progress,
    started_runs,
    suspect,
)
from kb_pipeline.defs.automation.last_seen import observations
from kb_pipeline.defs.automation.launching import add_partitions, request, sensor_status
from kb_pipeline.defs.automation.ticks import RUNS_WITHOUT_PROGRESS, Cursor, Verdict, decide, idle_runs
from kb_pipeline.defs.automation.upkeep import RECONCILE
from kb_pipeline.defs.automation.watching import (
    find_source,
    find_sources,
    known_sources,
    look_at,
    take_notifications,
)
from kb_pipeline.defs.jobs import SYNC, sync_job
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.defs.tags import COMMAND_LINE, LAUNCHED_BY, PARTITION
from kb_pipeline.operations.alerts import Alert, send
from kb_pipeline.pipeline.opening import connected
from kb_pipeline.settings import Settings
from kb_pipeline.store.ledger.lease import holders

NEW_DOCUMENTS, CONTINUE, LOST_RUNS = "new_documents", "continue_backlog", "lost_runs"
STEPS = 6
SOON_SECONDS = 10


def new_documents_sensor(settings: Settings) -> SensorDefinition:
    """The sensor over all source systems. Off until someone switches it on, or automation.enabled does."""

    @sensor(
        name=NEW_DOCUMENTS,
        job=sync_job,
        minimum_interval_seconds=settings.automation.poll_seconds,
        default_status=sensor_status(settings.automation.enabled),
        description="Looks for new, changed and deleted documents of every source system, by the queue of "
        "notifications or by listing, and launches a run where there is work.",
    )
    def new_documents(context: SensorEvaluationContext, knowledge_base: KnowledgeBaseResource) -> SensorResult:
        return watch(context, knowledge_base.settings())

    return new_documents


def watch(context: SensorEvaluationContext, settings: Settings) -> SensorResult:
    """One tick over every source system."""
    cursor, instance = Cursor.read(context.cursor), context.instance
    watched = take_notifications(settings) if settings.notifications.queue_url else find_sources(settings)
    add_partitions(instance, [name for name, look in watched.sources.items() if not look.removed])
    braked = set(cursor.braked)
    looks = look_at(settings, watched, runs_in_progress(instance), lambda name: past_of(instance, name), cursor)
    verdicts = [decide(look, datetime.now(UTC)) for look in looks]
    events: list[AssetCheckEvaluation | AssetObservation | AssetMaterialization] = []
    events += _deletes_now(settings, braked ^ set(cursor.braked))
    events += observations(instance, looks, verdicts, time.time())
    words = [*watched.words, *map(str, verdicts)] or ["no source systems yet"]
    requests = [request(verdict, NEW_DOCUMENTS) for verdict in verdicts if verdict.launch]
    if not requests:
        return SensorResult(skip_reason="\n".join(words), cursor=str(cursor), asset_events=events)
    for line in words:
        context.log.info(line)
    return SensorResult(run_requests=requests, cursor=str(cursor), asset_events=events)


def _deletes_now(settings: Settings, sources: set[str]) -> list[AssetCheckEvaluation]:
    """The check of each source whose brake began to hold, or was let go of, since the last tick."""
    if not sources:
        return []
    with connected(settings) as connection:
        return [deletes_evaluation(connection, source) for source in sorted(sources)]


@run_status_sensor(
    run_status=DagsterRunStatus.SUCCESS,
    name=CONTINUE,
    request_job=sync_job,
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=SOON_SECONDS,
    description="After a run that took on a part of its source's backlog, launches the next one; after the nightly "
    "reconciliation, a run for each source with work.",
)
def continue_backlog(
    context: RunStatusSensorContext, knowledge_base: KnowledgeBaseResource
) -> SkipReason | list[RunRequest]:
    run, instance = context.dagster_run, context.instance
    whole = run.job_name == RECONCILE
    if not whole and not _goes_on(run):
        return SkipReason(f"run {run.run_id[:8]} is none that is continued")
    settings = knowledge_base.settings()
    watched = known_sources(settings) if whole else find_source(settings, run.tags[PARTITION])
    watched.to_list.clear()
    looks = look_at(settings, watched, runs_in_progress(instance), lambda name: past_of(instance, name), Cursor())
    requests, words = [], []
    for verdict in (decide(look, datetime.now(UTC)) for look in looks):
        idle = 0 if whole else idle_runs(run.tags, verdict.size)
        if verdict.launch and idle < RUNS_WITHOUT_PROGRESS:
            requests.append(request(verdict, CONTINUE, idle=idle, run_key=f"{run.run_id}-{verdict.source_system}"))
        words.append(_stopped(verdict) if verdict.launch and idle >= RUNS_WITHOUT_PROGRESS else str(verdict))
    add_partitions(instance, [one.partition_key for one in requests if one.partition_key])
    for line in words:
        context.log.info(line)
    return requests or SkipReason("\n".join(words) or "no source systems yet")


def _goes_on(run: DagsterRun) -> bool:
    """A run through all stages over one source, and not of the command line, which goes on by itself."""
    every_stage = run.job_name == SYNC or len(run.asset_selection or ()) == STEPS
    return PARTITION in run.tags and every_stage and run.tags.get(LAUNCHED_BY) != COMMAND_LINE


def _stopped(verdict: Verdict) -> str:
    return f"{verdict.source_system}: {RUNS_WITHOUT_PROGRESS} runs in a row left as much to do as they found; stopped"


@sensor(
    name=LOST_RUNS,
    default_status=DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=30,
    description="Ends runs in Dagster's books whose process is gone: they would hold up the queue for ever.",
)
def lost_runs(context: SensorEvaluationContext, knowledge_base: KnowledgeBaseResource) -> SensorResult:
    now = datetime.now(UTC)
    started = started_runs(context.instance, now)
    if not started:
        return SensorResult(skip_reason="no run is in progress", cursor="{}")
    settings = knowledge_base.settings()
    with connected(settings) as connection:
        held = holders(connection)
    ages = {
        run_id: (record.dagster_run.tags[PARTITION], time.time() - (record.start_time or time.time()))
        for run_id, record in started.items()
    }
    suspects, dead = suspect(Suspects.read(context.cursor), ages, held, settings.lease.wait_seconds, now)
    for run_id in dead:
        run, source = started[run_id].dagster_run, ages[run_id][0]
        message = f"The process of run {run_id[:8]} is gone: it holds no lease of source system {source}."
        context.instance.report_run_failed(run, message)
        if run.tags.get(LAUNCHED_BY) == COMMAND_LINE:  # no other sensor hears of runs of the command line
            send(settings, Alert("failed", source, message, run_id))
    said = f"{len(started)} in progress, {len(suspects.since)} without a lease, {len(dead)} ended"
    return SensorResult(skip_reason=said, cursor=str(suspects))
