"""A real history of a folder of documents: snapshots, what changed between them, and a knowledge base that follows."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, Definitions, JobDefinition, build_sensor_context
from dagster._core.definitions.partitions.context import partition_loading_context

from kb_pipeline.core.identity import text_hash
from kb_pipeline.definitions import build_definitions
from kb_pipeline.defs.assets.graph import STAGE_OF_ASSET
from kb_pipeline.defs.automation.sensors import NEW_DOCUMENTS
from kb_pipeline.defs.jobs import SYNC
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.pipeline.reports import SyncReport, run_report
from kb_pipeline_tests.e2e.workspace import Workspace
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub

SOURCE = "docs"
CONTROL_TEXT = "test"  # what a client embeds to see whether a server is well

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

Files = Mapping[str, bytes]


@dataclass(frozen=True)
class Steps:
    """The snapshots of a folder, and git's account of what changed from one to the next."""

    folder: Path

    def snapshot(self, number: int) -> Files:
        """Path -> bytes."""
        (path,) = self.folder.glob(f"{number:02d}_*.tar.gz")
        with tarfile.open(path) as archive:
            return {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # type: ignore[union-attr]

    def recorded(self, number: int) -> Counter[str]:
        """How many files git says were added, modified, renamed (as they were, or edited) and deleted."""
        lines = (json.loads(line) for line in (self.folder / "changes.jsonl").read_text().splitlines())
        return Counter(
            "rename, edited" if one["status"] == "rename" and one["similarity"] < 100 else one["status"]
            for one in lines
            if one["step"] == number
        )


def expected_changes(old: Files, new: Files) -> Counter[str]:
    """What a sync has to call the changes between two snapshots: a rename is a move when no byte changed."""
    held: dict[bytes, set[str]] = {}
    for path, data in old.items():
        held.setdefault(data, set()).add(path)
    counts: Counter[str] = Counter(deleted=len(old.keys() - new.keys()))
    seen: set[bytes] = set()
    for path, data in new.items():
        if path in old:
            counts["changed"] += old[path] != data
            continue
        gone = any(other not in new for other in held.get(data, ()))
        stays = data in held or data in seen
        counts["moved" if gone and data not in seen else "copied" if stays else "added"] += 1
        seen.add(data)
    return +counts


@dataclass
class Follower:
    """A knowledge base on S3 whose sensor is asked after each change, as Dagster's daemon would."""

    workspace: Workspace
    s3: Any
    bucket: str
    stub: EmbeddingStub
    instance: DagsterInstance
    cursor: str | None = None
    held: dict[str, bytes] = field(default_factory=dict)

    def put(self, files: Files) -> None:
        """Make the source hold these files: only what differs is put or deleted, as a source system would do it."""
        for path in self.held.keys() - files.keys():
            self.s3.delete_object(Bucket=self.bucket, Key=f"raw/{SOURCE}/{path}")
        for path, data in files.items():
            if self.held.get(path) != data:
                self.s3.put_object(Bucket=self.bucket, Key=f"raw/{SOURCE}/{path}", Body=data)
        self.held = dict(files)

    def tick(self) -> tuple[list[SyncReport], str]:
        """One tick of the sensor over new documents, the runs it asks for, and what it says when it asks for none."""
        definitions = build_definitions(self.workspace.base.settings)
        repository = definitions.get_repository_def()
        resources = {"knowledge_base": KnowledgeBaseResource()}
        with (
            build_sensor_context(self.instance, self.cursor, repository_def=repository, resources=resources) as context,
            partition_loading_context(dynamic_partitions_store=self.instance),
        ):
            tick = repository.get_sensor_def(NEW_DOCUMENTS).evaluate_tick(context)
        self.cursor = tick.cursor
        reports = []
        for request in tick.run_requests or ():
            assert request.partition_key == SOURCE
            reports.append(self._run(definitions, request.run_config, request.tags))
        return reports, tick.skip_message or ""

    def embedded(self) -> list[str]:
        """Texts that the model was sent since this was last asked."""
        texts = [text for text in self.stub.texts if text != CONTROL_TEXT]
        self.stub.texts.clear()
        return texts

    def _run(self, definitions: Definitions, run_config: Mapping[str, Any], tags: Mapping[str, str]) -> SyncReport:
        job: JobDefinition = definitions.resolve_job_def(SYNC)
        result = job.execute_in_process(
            run_config={**run_config, **QUIET}, instance=self.instance, partition_key=SOURCE, tags=dict(tags)
        )
        assert result.success
        stages: dict[str, dict[str, Any]] = {}
        for event in result.get_asset_materialization_events():
            made = event.step_materialization_data.materialization
            value: Any = made.metadata["kb/report"].value
            stages[STAGE_OF_ASSET[made.asset_key.to_user_string()]] = dict(value)
        return run_report(SOURCE, result.run_id, 0.0, stages)


def published(workspace: Workspace) -> dict[str, tuple[Any, ...]]:
    """Chunk id -> every column of its row, its document's key and its vector."""
    with workspace.database() as connection:
        ((table,),) = connection.execute("SELECT table_name FROM kb.space WHERE status = 'active'").fetchall()
        rows = connection.execute(
            "SELECT c.chunk_id, d.key, d.display_name, d.media_type, d.content_hash, d.access_groups, c.document_id,"
            " c.ordinal, c.content, c.lexemes::text, c.page_start, c.page_end, c.boxes::text, c.section_path,"
            " c.language, c.text_hash, v.source_system, v.embedding::text"
            f" FROM kb.chunk c FULL JOIN kb.{table} v USING (chunk_id) LEFT JOIN kb.document d USING (document_id)"
        ).fetchall()
    return {row[0]: row[1:] for row in rows}


def hashes(texts: list[str]) -> Counter[str]:
    """Hashes of texts as sent to the model."""
    return Counter(text_hash(text) for text in texts)
