"""What a materialization says of itself: counts, costs, a sample of masked chunks, the newest quarantined documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
from dagster import MetadataValue, TableColumn, TableRecord, TableSchema

from kb_pipeline.core.contracts import CHUNK_SCHEMA, ELEMENT_SCHEMA, MASKED_CHUNK_SCHEMA, StageName
from kb_pipeline.pipeline.catalogue import catalogue, raw_prefix
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import SourceRun, report_json
from kb_pipeline.store.ledger.sources import lag_seconds
from kb_pipeline.store.objects.artifacts import ROOTS
from kb_pipeline.store.published.spaces import active_space
from kb_pipeline.store.views import overview
from kb_pipeline.store.views.overview import Passage

# What Dagster takes as a value of metadata; its own name for it is private.
Value = MetadataValue | str | int | float
REPORT = "kb/report"
SAMPLE = "kb/sample"
NEWEST_QUARANTINED_TABLE = "kb/newest_quarantined"
SAMPLE_ROWS = 5
SAMPLE_CHARACTERS = 300
NEWEST_QUARANTINED = 10
COUNTED_DOCUMENTS = 10_000
# Text is shown from here on only: before, it is not masked.
SAMPLED: tuple[StageName, ...] = ("mask", "publish")
# What readers query. Rows of the stages before it are Arrow artifacts.
VIEW = "kb.knowledge_chunks"
_ARTIFACTS: Mapping[StageName, pa.Schema] = {
    "parse": ELEMENT_SCHEMA,
    "chunk": CHUNK_SCHEMA,
    "mask": MASKED_CHUNK_SCHEMA,
}
_VIEW_COLUMNS = {
    "chunk_id": "text",
    "source_system": "text",
    "source_file": "text",
    "media_type": "text",
    "ordinal": "integer",
    "content": "text",
    "page_start": "integer",
    "page_end": "integer",
    "section_path": "text[]",
    "language": "text",
    "modified_at": "timestamp with time zone",
    "access_groups": "text[]",
}


def of_definition(stage: StageName) -> dict[str, Value]:
    """What can be said of an asset before any run: its columns, and for publish the table that readers query."""
    if stage == "publish":
        columns = [TableColumn(name, kind) for name, kind in _VIEW_COLUMNS.items()]
        return {"dagster/table_name": VIEW, "dagster/column_schema": MetadataValue.table_schema(TableSchema(columns))}
    if stage not in _ARTIFACTS:
        return {}
    columns = [TableColumn(field.name, str(field.type)) for field in _ARTIFACTS[stage]]
    return {"dagster/column_schema": MetadataValue.table_schema(TableSchema(columns))}


def describe(run: SourceRun, report: StageReport, stage: StageName, sample: Sequence[Passage]) -> dict[str, Value]:
    """Metadata of one stage of one source, for the Dagster UI. Totals are those of the documents that the run took on,
    and of the whole source only while it is small: a run must not cost more because the source holds more."""
    connection, source = run.connection, run.source_system
    metadata: dict[str, Value] = {
        "kb/considered": report.considered,
        "kb/done": report.done,
        "kb/reused": report.reused,
        "kb/quarantined": report.quarantined,
        "kb/waiting": report.failed,
        "kb/rows_written": report.rows,
        "kb/seconds": report.seconds,
        **_place(run, stage),
    }
    if report.deleted:
        metadata["kb/deleted"] = report.deleted
    held = overview.rows_held(connection, source, stage, COUNTED_DOCUMENTS)
    if held is not None:
        metadata["dagster/partition_row_count"] = held
    if stage == "publish":
        metadata.update(_left(run))
    totals = overview.stats(connection, source, stage, run.state.scope)
    metadata.update({f"kb/{name}": value for name, value in sorted(totals.items())})
    metadata.update({f"kb/{name}": value for name, value in report.costs.items()})
    if sample:
        metadata[SAMPLE] = _sample_table(sample)
    quarantined = overview.quarantined(connection, source, NEWEST_QUARANTINED)
    if quarantined:
        metadata[NEWEST_QUARANTINED_TABLE] = _table(
            ("document", "stage", "error_class", "error_message"),
            [(q.name, q.stage, q.error_class, q.error_message) for q in quarantined],
        )
    metadata[REPORT] = MetadataValue.json(report_json(report))
    return metadata


def _place(run: SourceRun, stage: StageName) -> dict[str, Value]:
    """Under which settings the stage stands for this source, and where what it made lies."""
    store = run.settings.object_store_url.rstrip("/")
    if stage == "raw":
        return {"dagster/uri": f"{store}/{raw_prefix(run.source_system)}"}
    space = active_space(run.connection) if stage == "publish" else None
    stages = catalogue(run.settings, run.source_system, space)
    said: dict[str, Value] = {"kb/settings_key": stages[stage].key} if stage in stages else {}
    if space:
        said["kb/vector_table"] = f"kb.{space.table_name}"
    if stage in ROOTS:
        said["dagster/uri"] = f"{store}/artifacts/{ROOTS[stage]}/{stage}"
    return said


def _left(run: SourceRun) -> dict[str, Value]:
    """How far the source is behind when the run ends."""
    backlog = run.backlog()
    return {
        "kb/left_keys": backlog.hints,
        "kb/left_documents": backlog.documents,
        "kb/left_waiting": backlog.waiting,
        "kb/left_to_delete": backlog.gone,
        "kb/lag_seconds": lag_seconds(run.connection, run.source_system),
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
