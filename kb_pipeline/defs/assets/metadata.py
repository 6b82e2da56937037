"""What a materialization says of itself: counts, costs, a sample of masked chunks, the newest quarantined documents."""

from __future__ import annotations

from collections.abc import Sequence

from dagster import MetadataValue, TableColumn, TableRecord, TableSchema
from dagster._core.definitions.metadata import RawMetadataValue

from kb_pipeline.core.contracts import StageName
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import SourceRun, report_json
from kb_pipeline.store.ledger.sources import lag_seconds
from kb_pipeline.store.views import overview
from kb_pipeline.store.views.overview import Passage

SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 300
NEWEST_QUARANTINED = 10
COUNTED_DOCUMENTS = 10_000
# Text is shown from here on only: before, it is not masked.
SAMPLED: tuple[StageName, ...] = ("mask", "publish")


def describe(
    run: SourceRun, report: StageReport, stage: StageName, sample: Sequence[Passage]
) -> dict[str, RawMetadataValue]:
    """Metadata of one stage of one source, for the Dagster UI. Totals are those of the documents that the run took on,
    and of the whole source only while it is small: a run must not cost more because the source holds more."""
    connection, source = run.connection, run.source_system
    metadata: dict[str, RawMetadataValue] = {
        "documents considered": report.considered,
        "done": report.done,
        "reused": report.reused,
        "quarantined": report.quarantined,
        "waiting": report.failed,
        "rows written": report.rows,
        "seconds": report.seconds,
    }
    if report.deleted:
        metadata["deleted"] = report.deleted
    held = overview.rows_held(connection, source, stage, COUNTED_DOCUMENTS)
    if held is not None:
        metadata["dagster/partition_row_count"] = held
    if stage == "publish":
        metadata.update(_left(run))
    totals = overview.stats(connection, source, stage, run.state.scope)
    metadata.update({name.replace(".", ": "): value for name, value in sorted(totals.items())})
    metadata.update({name.replace("_", " "): value for name, value in report.costs.items()})
    if sample:
        metadata["sample"] = _sample_table(sample)
    quarantined = overview.quarantined(connection, source, NEWEST_QUARANTINED)
    if quarantined:
        metadata["newest quarantined"] = _table(
            ("document", "stage", "error_class", "error_message"),
            [(q.name, q.stage, q.error_class, q.error_message) for q in quarantined],
        )
    metadata["report"] = MetadataValue.json(report_json(report))
    return metadata


def _left(run: SourceRun) -> dict[str, RawMetadataValue]:
    """How far the source is behind when the run ends."""
    backlog = run.backlog()
    return {
        "left: keys to look at": backlog.hints,
        "left: documents": backlog.documents,
        "left: waiting for another try": backlog.waiting,
        "left: to delete": backlog.gone,
        "lag in seconds": lag_seconds(run.connection, run.source_system),
    }


def _sample_table(sample: Sequence[Passage]) -> MetadataValue:
    """A few masked passages as a table."""
    rows = [(p.source_file, p.section, p.page, p.content[:SAMPLE_CHARACTERS]) for p in sample[:SAMPLE_ROWS]]
    return _table(("source_file", "section", "page", "content"), rows)


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> MetadataValue:
    return MetadataValue.table(
        [TableRecord(dict(zip(columns, row, strict=True))) for row in rows],
        TableSchema([TableColumn(name) for name in columns]),
    )
