"""What Dagster knows of runs over a source system: those in progress, how the latest ended, and those that died."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dagster import DagsterInstance, DagsterRunStatus, RunRecord, RunsFilter

from kb_pipeline.defs.automation.ticks import Past
from kb_pipeline.defs.tags import PARTITION

IN_PROGRESS = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
# A canceled run counts too: who ended it does not want it back at once.
UNSUCCESSFUL = (DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED)
LATEST = 12
# A run in a process that lives holds its source's lease from its first step on, or waits for it.
STARTING_SECONDS = 60.0
SUSPECTED_SECONDS = 60.0


def runs_in_progress(instance: DagsterInstance) -> dict[str, str]:
    """Source systems with a run that is queued or runs, of any job, and the run's id."""
    runs = instance.get_runs(RunsFilter(statuses=IN_PROGRESS))
    return {run.tags[PARTITION]: run.run_id for run in runs if PARTITION in run.tags}


def past_of(instance: DagsterInstance, source_system: str) -> Past:
    """How the latest runs over the source ended."""
    records = instance.get_run_records(RunsFilter(tags={PARTITION: source_system}), limit=LATEST)
    return past_of_statuses((record.dagster_run.status, record.end_time) for record in records)


def past_of_statuses(ended: Iterable[tuple[DagsterRunStatus, float | None]]) -> Past:
    """Runs as (status, end as a timestamp), the newest first; those in progress count for nothing."""
    failures, last = 0, None
    for status, at in ended:
        if status in IN_PROGRESS:
            continue
        if status not in UNSUCCESSFUL:
            break
        failures += 1
        last = last or (datetime.fromtimestamp(at, UTC) if at else None)
    return Past(failures, last)


@dataclass(frozen=True, slots=True)
class Suspects:
    """Runs that should hold their source's lease and do not, and when each was first seen so."""

    since: Mapping[str, datetime]

    @classmethod
    def read(cls, text: str | None) -> Suspects:
        """A sensor's cursor; none in place of what is no such cursor."""
        try:
            return cls({run: datetime.fromisoformat(at) for run, at in json.loads(text or "{}").items()})
        except (ValueError, TypeError, AttributeError):
            return cls({})

    def __str__(self) -> str:
        return json.dumps({run: at.isoformat() for run, at in sorted(self.since.items())})


def suspect(
    before: Suspects, started: Mapping[str, tuple[str, float]], holders: Mapping[str, str], wait: float, now: datetime
) -> tuple[Suspects, list[str]]:
    """Which runs to keep an eye on, and which of them are dead.

    `started` are runs as id -> (source system, seconds since its start), `holders` the leases as source system -> run
    id, `wait` is how long a run may wait for its lease. A run is dead when it was found without its lease twice,
    SUSPECTED_SECONDS apart: between its last step and its end there is a moment without one.
    """
    without = [
        run_id
        for run_id, (source, seconds) in started.items()
        if seconds > wait + STARTING_SECONDS and holders.get(source) != run_id
    ]
    since = {run_id: before.since.get(run_id, now) for run_id in without}
    dead = [run_id for run_id, at in since.items() if (now - at).total_seconds() >= SUSPECTED_SECONDS]
    return Suspects({run_id: at for run_id, at in since.items() if run_id not in dead}), dead


def started_runs(instance: DagsterInstance, now: datetime) -> dict[str, RunRecord]:
    """Runs over source systems that say they are running, by id."""
    records = instance.get_run_records(RunsFilter(statuses=[DagsterRunStatus.STARTED]))
    return {
        record.dagster_run.run_id: record
        for record in records
        if PARTITION in record.dagster_run.tags and record.start_time and record.start_time <= now.timestamp()
    }
