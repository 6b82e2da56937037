"""Bringing source systems in step from the command line or Python: the job of the UI, in this process.

Run follows run until nothing is left to do. A source with nothing to do starts no run and loads no Dagster.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kb_pipeline.core.errors import KbError, SourcesFailed, defect
from kb_pipeline.operations.alerts import Alert, send
from kb_pipeline.operations.ingesting import mirror_folder
from kb_pipeline.pipeline import intake
from kb_pipeline.pipeline.opening import checked, known_sources, no_such_source, object_store
from kb_pipeline.pipeline.reports import IngestReport, SyncReport, added, deletes_unconfirmed, no_stages
from kb_pipeline.settings import Settings
from kb_pipeline.store.ledger.backlog import Backlog

log = logging.getLogger("kb_pipeline.progress")

# A lost artifact is made again from the stage before, and that one from its own: as many runs as there are stages.
RUNS_WITHOUT_PROGRESS = 5

# One run of all stages over one source, given the settings, the source and the arguments of raw.
Run = Callable[..., SyncReport]


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """`confirm_deletes`: the brake does not hold. `rehash`: every object's bytes are read. `full`: the listing is
    compared although its digest is the last one's. `keys`: look at these alone."""

    confirm_deletes: bool = False
    rehash: bool = False
    full: bool = False
    keys: Sequence[str] | None = None


def ingest(settings: Settings, folder: Path | str, source: str, options: SyncOptions) -> IngestReport:
    """Make the source's raw prefix mirror `folder`, then sync it. A source that was removed comes back."""
    mirrored = mirror_folder(settings, Path(folder), source, drop_excluded=options.confirm_deletes)
    return IngestReport(mirrored, sync_source(settings, source, options))


def sync(settings: Settings, names: Sequence[str], options: SyncOptions, run: Run | None = None) -> list[SyncReport]:
    """Sync the named sources, or all. One that fails does not keep the others: what stopped it is raised at the end, of
    one source as it is, of several as SourcesFailed, which holds the reports of the others."""
    known = known_sources(settings)
    for name in names:
        checked(name)
        if name not in known and not has_objects(settings, name):
            raise no_such_source(name, known)
    wanted = list(dict.fromkeys(names)) or known
    if len(wanted) == 1:
        return [sync_source(settings, wanted[0], options, run)]
    reports: list[SyncReport] = []
    failed: dict[str, KbError] = {}
    for name in wanted:
        try:
            reports.append(sync_source(settings, name, options, run))
        except Exception as error:  # noqa: BLE001 - a defect in one source's turn is not the others' either
            failed[name] = error if isinstance(error, KbError) else defect(error)
            log.warning("%s: %s", name, failed[name].message)
    if failed:
        raise SourcesFailed.of(failed, reports)
    return reports


def sync_source(settings: Settings, source: str, options: SyncOptions, run: Run | None = None) -> SyncReport:
    """Run after run until the source has no backlog; what failed for a passing reason is left for later. Raises the
    KbError that stopped a run, after the alert webhook was told."""
    started = time.perf_counter()
    found = intake.take_in(
        settings,
        source,
        keys=options.keys,
        full=options.full,
        rehash=options.rehash,
        now=True,
        drop_excluded=options.confirm_deletes,
    )
    seen = found.reconciled
    listed = seen.listed if seen else None
    report = SyncReport(source, listed=listed, stages=no_stages(listed or 0), left_out=seen.excluded if seen else 0)
    try:
        for one in _runs(settings, source, options, found.backlog, run or _run_job):
            report = added(report, one)
        hinted_only = options.keys is not None
        left = intake.backlog(settings, source, hinted_only=hinted_only) if report.runs else found.backlog
    except KbError as stopped:
        send(settings, Alert("failed", source, stopped.message, report.run_id, type(stopped).__name__))
        raise
    if left.brake and (found.backlog.brake or {}).get("since") != left.brake.get("since"):
        error = deletes_unconfirmed(source, left.brake)
        send(settings, Alert("braked", source, error.message, report.run_id, type(error).__name__, left.brake))
    seconds = round(time.perf_counter() - started, 3)
    return replace(report, seconds=seconds, waiting=left.waiting, brake=left.brake)


def _run_job(settings: Settings, source: str, **observing: bool) -> SyncReport:
    from kb_pipeline.defs.running.in_process import run_sync

    return run_sync(settings, source, **observing)


def _runs(settings: Settings, source: str, options: SyncOptions, backlog: Backlog, run: Run) -> Iterator[SyncReport]:
    """One run's report after the other while there is work, or deletes that are confirmed."""
    total, idle = backlog.size, 0
    observing = {"confirm_deletes": options.confirm_deletes, "hinted_only": options.keys is not None}
    while backlog.work or (options.confirm_deletes and backlog.deletable):
        _say_left(source, backlog.size, total)
        yield run(settings, source, listing=False, **observing)
        before, backlog = backlog, intake.backlog(settings, source, hinted_only=options.keys is not None)
        idle = 0 if backlog.size < before.size else idle + 1
        if idle >= RUNS_WITHOUT_PROGRESS:
            break
    if total:
        _say_left(source, backlog.size, total)


def _say_left(source: str, left: int, total: int) -> None:
    log.info(
        "%s: %d of %d left to do",
        source,
        left,
        total,
        extra={"event": "backlog", "source": source, "left": left, "total": total},
    )


def has_objects(settings: Settings, name: str) -> bool:
    """Is there any object under the source's raw prefix?"""
    from kb_pipeline.pipeline.catalogue import raw_prefix

    return next(object_store(settings).list(raw_prefix(name)), None) is not None
