"""What people ask of the ledger: spaces, the quarantine, totals. Reads only, but for retry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg import sql

from kb_pipeline.core.contracts import ArtifactRef, MaskedText, StageName
from kb_pipeline.store.database import Connection, identifier

MOST_QUARANTINED = 1000  # shown at once
# Whether the vector of a row `v` has unit length, within what half precision takes; not so if it is not finite.
UNIT_LENGTH = sql.SQL("l2_norm(v.embedding) BETWEEN 0.99 AND 1.01")


@dataclass(frozen=True, slots=True)
class SpaceOverview:
    """One embedding space and the rows of its vector table."""

    space_id: str
    model: str
    dimension: int
    status: str
    rows: int


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A document in quarantine: where it failed and why. `name` is masked."""

    document_id: str
    source_system: str
    name: str
    media_type: str
    stage: str
    error_class: str
    error_message: str
    attempts: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Passage:
    """A masked passage as people are shown it."""

    source_file: str
    section: str
    page: str
    content: MaskedText


def passages(connection: Connection, source_system: str, documents: Sequence[str] | None, limit: int) -> list[Passage]:
    """Published passages of a source (of these documents; None: of all), the same ones each time."""
    rows = connection.execute(
        sql.SQL(
            "SELECT coalesce(d.display_name, ''), array_to_string(c.section_path, ' > '),"
            " coalesce(c.page_start::text, ''), c.content FROM kb.chunk c JOIN kb.document d USING (document_id)"
            " WHERE d.source_system = %(source)s {} ORDER BY c.chunk_id LIMIT %(limit)s"
        ).format(_of(documents)),
        {"source": source_system, "documents": documents, "limit": limit},
    )
    return [Passage(row[0], row[1], row[2], MaskedText(row[3])) for row in rows]


def _of(documents: Sequence[str] | None) -> sql.SQL:
    return sql.SQL("" if documents is None else "AND d.document_id = ANY(%(documents)s)")


def spaces(connection: Connection) -> list[SpaceOverview]:
    """Every embedding space with its number of rows."""
    found = connection.execute(
        "SELECT space_id, model, dimension, status, table_name FROM kb.space ORDER BY created_at"
    ).fetchall()
    counted = []
    for space_id, model, dimension, status, table in found:
        row = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(identifier(table))).fetchone()
        counted.append(SpaceOverview(space_id, model, dimension, status, row[0] if row else 0))
    return counted


def quarantined(
    connection: Connection, source_system: str | None = None, limit: int | None = MOST_QUARANTINED
) -> list[Quarantined]:
    """Documents in quarantine, the newest first; at most `limit`, None for all of them."""
    rows = connection.execute(
        "SELECT d.document_id, d.source_system, coalesce(d.display_name, d.document_id), coalesce(d.media_type, ''),"
        " s.stage, coalesce(s.error_class, ''), coalesce(s.error_message, ''), s.attempts, s.updated_at"
        " FROM kb.stage_state s JOIN kb.document d USING (document_id)"
        " WHERE s.status = 'quarantined' AND d.deleted_at IS NULL"
        " AND (%(source)s::text IS NULL OR d.source_system = %(source)s)"
        " ORDER BY s.updated_at DESC, d.document_id LIMIT %(limit)s",
        {"source": source_system, "limit": limit},
    )
    return [Quarantined(*row) for row in rows]


# A stage is asked again for documents that are not settled, and reading (raw) for keys that are hinted.
_RETRY = """
WITH retried AS (
    UPDATE kb.stage_state s SET status = 'retry', updated_at = now() FROM kb.document d
    WHERE d.document_id = s.document_id AND s.status = 'quarantined' AND d.deleted_at IS NULL
        AND (%(ids)s::text[] IS NULL OR EXISTS (SELECT FROM unnest(%(ids)s) p WHERE starts_with(s.document_id, p)))
        AND (%(source)s::text IS NULL OR d.source_system = %(source)s)
    RETURNING s.document_id, s.stage
), unsettled AS (
    UPDATE kb.document SET settled_key = NULL, attempts = 0, retry_at = NULL
    WHERE document_id IN (SELECT document_id FROM retried)
), hinted AS (
    INSERT INTO kb.hint (source_system, key) SELECT d.source_system, d.key FROM kb.document d JOIN retried r
    USING (document_id) WHERE r.stage = 'raw' ON CONFLICT DO NOTHING
)
SELECT count(*) FROM retried
"""


def retry(connection: Connection, document_ids: Sequence[str] | None, source_system: str | None) -> int:
    """Mark quarantined documents to be tried again by the next sync, by the beginnings of their ids; None means all."""
    ids = list(document_ids) if document_ids is not None else None
    row = connection.execute(_RETRY, {"ids": ids, "source": source_system}).fetchone()
    return int(row[0]) if row else 0


def stats(
    connection: Connection, source_system: str, stage: StageName, documents: Sequence[str] | None = None
) -> dict[str, int]:
    """The statistics of the source's current artifacts at a stage (of these documents; None: of all), added up: tokens,
    masked spans ..."""
    rows = connection.execute(
        sql.SQL(
            "SELECT e.key, sum(e.value::bigint)::bigint FROM kb.stage_state s JOIN kb.document d USING (document_id)"
            " JOIN kb.artifact a USING (fingerprint), jsonb_each_text(a.stats) e WHERE d.source_system = %(source)s"
            " AND d.deleted_at IS NULL AND s.stage = %(stage)s AND s.status = 'ok' {} GROUP BY 1"
        ).format(_of(documents)),
        {"source": source_system, "stage": stage, "documents": documents},
    )
    return {row[0]: row[1] for row in rows}


def rows_held(connection: Connection, source_system: str, stage: StageName, most: int) -> int | None:
    """How many rows (documents, elements, chunks, vectors) a stage holds for the live documents of a source; None when
    these are more than `most`, for counting takes time with every document."""
    row = connection.execute(
        "WITH d AS (SELECT document_id FROM kb.document WHERE source_system = %(source)s AND deleted_at IS NULL"
        "   LIMIT %(most)s + 1)"
        " SELECT CASE WHEN (SELECT count(*) FROM d) > %(most)s THEN NULL"
        "   WHEN %(stage)s = 'raw' THEN (SELECT count(*) FROM d)"
        "   ELSE (SELECT coalesce(sum(s.rows), 0)::bigint FROM kb.stage_state s JOIN d USING (document_id)"
        "     WHERE s.stage = %(stage)s AND s.status = 'ok') END",
        {"source": source_system, "stage": stage, "most": most},
    ).fetchone()
    return row[0] if row else None


def current_artifacts(
    connection: Connection,
    source_system: str,
    stage: StageName,
    documents: Sequence[str] | None = None,
    limit: int | None = None,
) -> list[tuple[str, str, ArtifactRef]]:
    """(document id, masked name, artifact) of live documents that have an ok artifact at this stage, by key; of these
    documents (None: of all), at most `limit`. Those whose artifact expired are left out."""
    rows = connection.execute(
        sql.SQL(
            "SELECT d.document_id, coalesce(d.display_name, d.document_id), a.uri, a.size, a.sha256"
            " FROM kb.stage_state s JOIN kb.document d USING (document_id) JOIN kb.artifact a USING (fingerprint)"
            " WHERE d.source_system = %(source)s AND d.deleted_at IS NULL AND s.stage = %(stage)s"
            " AND s.status = 'ok' AND a.expired_at IS NULL {}"
            " ORDER BY d.key LIMIT %(limit)s"
        ).format(_of(documents)),
        {"source": source_system, "stage": stage, "documents": documents, "limit": limit},
    )
    return [(row[0], row[1], ArtifactRef(*row[2:])) for row in rows]


def published_rows(
    connection: Connection, source_system: str, table: str, scope: Sequence[str] | None = None
) -> tuple[int, int, int]:
    """(rows the ledger says are published, chunk rows, vector rows) of a source, or of the documents in `scope` alone:
    equal when all is well."""
    row = connection.execute(
        sql.SQL(
            "WITH d AS (SELECT document_id FROM kb.document WHERE source_system = %(source)s"
            "   AND (%(scope)s::text[] IS NULL OR document_id = ANY(%(scope)s)))"
            " SELECT (SELECT coalesce(sum(s.rows), 0) FROM kb.stage_state s JOIN d USING (document_id)"
            "   WHERE s.stage = 'publish' AND s.status = 'ok')::bigint,"
            " (SELECT count(*) FROM kb.chunk JOIN d USING (document_id)),"
            " (SELECT count(*) FROM {} v WHERE v.source_system = %(source)s AND (%(scope)s::text[] IS NULL"
            "   OR v.chunk_id IN (SELECT chunk_id FROM kb.chunk WHERE document_id = ANY(%(scope)s))))"
        ).format(identifier(table)),
        {"source": source_system, "scope": list(scope) if scope is not None else None},
    ).fetchone()
    return (row[0], row[1], row[2]) if row else (0, 0, 0)


def bad_vectors(connection: Connection, source_system: str, table: str, scope: Sequence[str] | None = None) -> int:
    """Vectors of a source, or of the documents in `scope` alone, that are not finite or not of unit length (within 1 %:
    half precision)."""
    row = connection.execute(
        sql.SQL(
            "SELECT count(*) FROM {} v WHERE v.source_system = %(source)s"
            " AND (%(scope)s::text[] IS NULL"
            "   OR v.chunk_id IN (SELECT chunk_id FROM kb.chunk WHERE document_id = ANY(%(scope)s)))"
            " AND NOT {unit_length}"
        ).format(identifier(table), unit_length=UNIT_LENGTH),
        {"source": source_system, "scope": list(scope) if scope is not None else None},
    ).fetchone()
    return int(row[0]) if row else 0
