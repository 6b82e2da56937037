"""Schedules from kb.yaml: a source system by its own cron, the nightly reconciliation, the weekly collection."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime

from dagster import (
    RunRequest,
    ScheduleDefinition,
    ScheduleEvaluationContext,
    SkipReason,
    schedule,
)

from kb_pipeline.defs.automation.dagster_runs import past_of, runs_in_progress
from kb_pipeline.defs.automation.last_seen import observations
from kb_pipeline.defs.automation.launching import add_partitions, request, schedule_status
from kb_pipeline.defs.automation.ticks import Cursor, decide
from kb_pipeline.defs.automation.upkeep import collect_job, reconcile_job
from kb_pipeline.defs.automation.watching import find_source, look_at
from kb_pipeline.defs.jobs import sync_job
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.settings import Settings


def schedules(settings: Settings) -> list[ScheduleDefinition]:
    """Every schedule that kb.yaml asks for. Those of sources are on when Dagster starts: someone wrote their cron."""
    crons = {source: settings.cron_for(source) for source in settings.sources}
    names = schedule_names(source for source, cron in crons.items() if cron)
    found = [_sync_schedule(settings, source, names[source], cron) for source, cron in crons.items() if cron]
    automation = settings.automation
    for cron, job in ((automation.reconcile_cron, reconcile_job), (automation.collect_cron, collect_job)):
        if cron:
            found.append(
                ScheduleDefinition(
                    name=job.name,
                    job=job,
                    cron_schedule=cron,
                    execution_timezone=automation.timezone,
                    default_status=schedule_status(automation.enabled),
                    description=job.description,
                )
            )
    return found


def schedule_names(sources: Iterable[str]) -> dict[str, str]:
    """Source system -> name of its schedule. Dagster's names hold no hyphen; two sources never share a name."""
    names: dict[str, str] = {}
    for source in sorted(sources):
        name = plain = f"sync_{source.replace('-', '_')}"
        number = 1
        while name in names.values():
            number += 1
            name = f"{plain}_{number}"
        names[source] = name
    return names


def _sync_schedule(settings: Settings, source: str, name: str, cron: str) -> ScheduleDefinition:
    @schedule(
        name=name,
        job=sync_job,
        cron_schedule=cron,
        execution_timezone=settings.timezone_for(source),
        default_status=schedule_status(True),
        description=f"Lists source system {source} and launches a run where there is work.",
    )
    def tick(context: ScheduleEvaluationContext, knowledge_base: KnowledgeBaseResource) -> RunRequest | SkipReason:
        return sync_tick(context, knowledge_base.settings(), source, name)

    return tick


def sync_tick(
    context: ScheduleEvaluationContext, settings: Settings, source: str, name: str
) -> RunRequest | SkipReason:
    """One tick of a source's own schedule: list, count what is to be done, and launch a run only if there is any."""
    instance = context.instance
    watched = find_source(settings, source)
    (look,) = look_at(settings, watched, runs_in_progress(instance), lambda of: past_of(instance, of), Cursor())
    verdict = decide(look, datetime.now(UTC))
    for event in observations(instance, [look], [verdict], time.time()):
        instance.report_runless_asset_event(event)
    if not verdict.launch:
        return SkipReason(str(verdict))
    context.log.info(str(verdict))
    add_partitions(instance, [source])
    return request(verdict, name)
