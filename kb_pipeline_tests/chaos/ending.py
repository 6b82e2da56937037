"""After the last kill: sync until quiet; then the tables must be those of a fresh load of the same folders."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from kb_pipeline.store.ledger.lease import holders
from kb_pipeline_tests.chaos.changing import Changing
from kb_pipeline_tests.chaos.model import Model
from kb_pipeline_tests.chaos.reader import look_once, vector_table
from kb_pipeline_tests.chaos.victims import Services
from kb_pipeline_tests.e2e.workspace import KB

FRESH = "fresh"
TRIES = 8
_EVERYTHING = """
SELECT d.source_system, d.key, c.chunk_id, c.ordinal, c.content, c.section_path, c.language, c.text_hash, c.page_start,
    c.page_end, c.boxes::text, d.media_type, d.content_hash, v.embedding::text
FROM kb.chunk c JOIN kb.document d USING (document_id) LEFT JOIN {table} v USING (chunk_id)
ORDER BY d.source_system, d.key, c.chunk_id
"""
_STALE = {
    "hints are left": "SELECT source_system, count(*) FROM kb.hint GROUP BY 1",
    "documents not settled": "SELECT key FROM kb.document WHERE deleted_at IS NULL AND settled_key IS NULL",
    "stages failed or in quarantine": "SELECT d.key, s.stage, s.status, s.error_class FROM kb.stage_state s"
    " JOIN kb.document d USING (document_id) WHERE s.status <> 'ok' AND d.deleted_at IS NULL",
    "deleted, and published still": "SELECT d.key FROM kb.document d JOIN kb.stage_state p ON"
    " p.document_id = d.document_id AND p.stage = 'publish' WHERE d.deleted_at IS NOT NULL",
}


def run_kb(services: Services, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """One `kb` command to its end."""
    return subprocess.run(
        [str(KB), *arguments],
        env=services.variables(**more),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def settle(services: Services, sources: Sequence[Changing], model: Model) -> None:
    """Sync until a sync finds nothing to do."""
    for source in sources[1:]:
        done = run_kb(services, "ingest", str(source.folder), "--source", source.source, "--confirm-deletes")
        if done.returncode:
            model.problem(f"an undisturbed ingest ended with {done.returncode}: {done.stderr[-800:]}")
    for _ in range(TRIES):
        done = run_kb(services, "sync", "--confirm-deletes", "--json")
        if done.returncode:
            model.problem(f"an undisturbed sync ended with {done.returncode}: {done.stderr[-800:]}")
            continue
        reports = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
        if not any(report["runs"] or report["waiting"] for report in reports):
            return
    model.problem(f"still at work after {TRIES} undisturbed syncs")


def compare(services: Services, sources: Sequence[Changing], model: Model, beside: Path) -> tuple[int, int]:
    """What is in the tables against the files, and against a fresh load. Returns (documents, rows)."""
    with services.database() as connection:
        look_once(connection, model)
        for name, story in model.stories.items():
            if story.versions[story.floor] != story.versions[-1]:
                model.problem(f"{name} is not at its last version")
        for what, query in _STALE.items():
            rows = connection.execute(query.encode()).fetchall()
            if rows:
                model.problem(f"{what}: {rows[:5]}")
        if found := holders(connection):
            model.problem(f"a lease is still held: {found}")
        connection.execute(sql.SQL("DROP DATABASE IF EXISTS {}").format(sql.Identifier(FRESH)))
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(FRESH)))
        ours = _everything(connection)
    other = {
        "KB_HOME": str(beside),
        "KB_DATABASE_DSN": services.dsn(FRESH),
        "KB_OBJECT_STORE_URL": (beside / "objects").as_uri(),
    }
    beside.mkdir()
    for source in sources:
        done = run_kb(services, "ingest", str(source.folder), "--source", source.source, **other)
        if done.returncode:
            model.problem(f"the fresh load ended with {done.returncode}: {done.stderr[-800:]}")
    with services.database(FRESH) as connection:
        fresh = _everything(connection)
    _difference(ours, fresh, model)
    return sum(len(source.files) for source in sources), len(ours)


def verify(services: Services, model: Model) -> None:
    """The product's own look at its invariants."""
    done = run_kb(services, "verify", "--deep", "--json")
    if done.returncode == 2 and "No such command" in done.stderr:
        return
    told = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    problems = [problem for report in told for problem in report.get("problems", [])]
    if done.returncode or problems:
        model.problem(f"kb verify --deep ended with {done.returncode}: {problems[:5] or done.stderr[-800:]}")


def _everything(connection: psycopg.Connection[Any]) -> dict[tuple[str, str, str], tuple[Any, ...]]:
    space = vector_table(connection)
    if space is None:
        return {}
    return {row[:3]: row[3:] for row in connection.execute(sql.SQL(_EVERYTHING).format(table=space))}


def _difference(ours: dict[Any, Any], fresh: dict[Any, Any], model: Model) -> None:
    missing, extra = fresh.keys() - ours.keys(), ours.keys() - fresh.keys()
    other = [key for key in ours.keys() & fresh.keys() if ours[key] != fresh[key]]
    for what, keys in (("missing", missing), ("too many", extra), ("not those of a fresh load", other)):
        if keys:
            model.problem(f"{len(keys)} rows {what}: {sorted(keys)[:5]}")
