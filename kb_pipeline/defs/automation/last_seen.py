"""When a source system was last looked at and found in step, for the UI: an observation of raw_documents."""

from __future__ import annotations

from collections.abc import Sequence

from dagster import AssetKey, AssetObservation, AssetRecordsFilter, DagsterInstance

from kb_pipeline.defs.automation.ticks import Look, Verdict

RAW_DOCUMENTS = AssetKey("raw_documents")
# A tick comes every half minute; Dagster keeps what it is told for ever.
SECONDS_BETWEEN = 600.0


def observations(
    instance: DagsterInstance, looks: Sequence[Look], verdicts: Sequence[Verdict], now: float
) -> list[AssetObservation]:
    """One for each source that a tick saw and found nothing to do for, and of which none was noted in the last ten
    minutes. `now` is a timestamp."""
    seen = [(look, verdict) for look, verdict in zip(looks, verdicts, strict=True) if _in_step(look)]
    return [
        _observation(look, verdict)
        for look, verdict in seen
        if now - _noted_at(instance, look.source_system) >= SECONDS_BETWEEN
    ]


def _in_step(look: Look) -> bool:
    """Whether the source was looked at to the end, and nothing is to be done now."""
    unknown = look.removed or look.late or look.error or look.run_id or look.listing_seconds is not None
    return not unknown and not look.backlog.work


def _noted_at(instance: DagsterInstance, source_system: str) -> float:
    of_source = AssetRecordsFilter(RAW_DOCUMENTS, asset_partitions=[source_system])
    return max((record.timestamp for record in instance.fetch_observations(of_source, limit=1).records), default=0.0)


def _observation(look: Look, verdict: Verdict) -> AssetObservation:
    metadata: dict[str, str | int] = {"kb/seen": verdict.words, "kb/waiting": look.backlog.waiting}
    if look.seen:
        metadata["kb/listed"] = look.seen.listed
    return AssetObservation(RAW_DOCUMENTS, partition=look.source_system, metadata=metadata)
