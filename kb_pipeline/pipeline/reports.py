"""What a sync did: the reports of its runs, added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, get_args

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.errors import DeletesUnconfirmed
from kb_pipeline.pipeline.runner import StageReport

if TYPE_CHECKING:
    from kb_pipeline.sources.mirror import MirrorReport

TOTALS = ("object_reads", "object_writes", "model_calls", "model_texts")


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync of one source system did, all its runs together. `stages` maps a stage to its report, totals add up
    over the stages. `listed` objects were compared with the ledger; `run_id` is the last run's, empty when there was
    nothing to do. `brake` holds the numbers when deletes wait for a word, `waiting` counts what failed and is tried
    again later, `left_out` objects whose names patterns exclude.
    """

    source_system: str
    run_id: str = ""
    runs: int = 0
    seconds: float = 0.0
    listed: int | None = None
    stages: dict[str, dict[str, Any]] = field(default_factory=dict)
    object_reads: int = 0
    object_writes: int = 0
    model_calls: int = 0
    model_texts: int = 0
    peak_worker_bytes: int = 0
    deleted: int = 0
    waiting: int = 0
    brake: dict[str, Any] | None = None
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What mirroring the folder did, and the sync that followed."""

    mirror: MirrorReport
    sync: SyncReport


def no_stages(listed: int) -> dict[str, dict[str, Any]]:
    """Reports of stages that had nothing to do."""
    found = {name: asdict(StageReport(name)) for name in get_args(StageName)}
    found["raw"].update(considered=listed, reused=listed)
    return found


def run_report(source: str, run_id: str, seconds: float, stages: dict[str, dict[str, Any]]) -> SyncReport:
    """One run's report from those of its stages."""
    totals = {name: sum(s["costs"].get(name, 0) for s in stages.values()) for name in TOTALS}
    peak = max((s["costs"].get("peak_worker_bytes", 0) for s in stages.values()), default=0)
    deleted = sum(s["deleted"] for s in stages.values())
    return SyncReport(source, run_id, 1, seconds, None, stages, peak_worker_bytes=peak, deleted=deleted, **totals)


def added(whole: SyncReport, one: SyncReport) -> SyncReport:
    """Two reports of one source as one: counts add up, peaks are the highest."""
    stages = {name: _stage_added(report, one.stages.get(name, {})) for name, report in whole.stages.items()}
    raw = stages["raw"]
    if whole.listed is not None:  # every run looked at a part of what was listed once
        raw["considered"] = raw["rows"] = whole.listed
        raw["reused"] = max(0, whole.listed - raw["done"] - raw["quarantined"] - raw["failed"])
    return replace(
        whole,
        run_id=one.run_id,
        runs=whole.runs + 1,
        stages=stages,
        peak_worker_bytes=max(whole.peak_worker_bytes, one.peak_worker_bytes),
        deleted=whole.deleted + one.deleted,
        **{name: getattr(whole, name) + getattr(one, name) for name in TOTALS},
    )


def _stage_added(whole: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    added = dict(whole)
    for name, value in one.items():
        if isinstance(value, Mapping):
            counts = dict(added.get(name, {}))
            for key, count in value.items():
                old = counts.get(key, 0)
                counts[key] = max(old, count) if key.startswith("peak_") else old + count
            added[name] = counts
        elif isinstance(value, int | float):
            added[name] = round(added.get(name, 0) + value, 3)
    return added


def deletes_unconfirmed(source: str, brake: Mapping[str, Any]) -> DeletesUnconfirmed:
    """What the brake's numbers mean, and what to do."""
    return DeletesUnconfirmed(
        f"{brake['gone']} of {brake['live']} documents of {source} are gone from the source; none was deleted.",
        f"If that is right, run `kb sync {source} --confirm-deletes`; if not, mend the source and sync again.",
    )
