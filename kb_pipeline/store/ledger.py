"""The ledger of stages: which documents a stage has yet to do, what exists already, and the commit of what was done.

Whether a stage's row is current is a comparison of two columns (input_hash, stage_key), so planning 100,000 documents
is one set operation in the database and nothing is hashed for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from psycopg import sql
from psycopg.types.json import Jsonb

from kb_pipeline.contracts import ArtifactRef, Outcome, Stage, Task
from kb_pipeline.errors import ArtifactDamaged
from kb_pipeline.identity import fingerprint
from kb_pipeline.store.artifacts import read_table, table_to_vectors
from kb_pipeline.store.database import Connection
from kb_pipeline.store.lease import Lease
from kb_pipeline.store.objects import ObjectStore

PAGE = 256
HOLDERS = 8  # artifacts considered for a text's vector: a heading that every document has lies in all of theirs


@dataclass(frozen=True, slots=True)
class KnownArtifact:
    """An artifact that exists, with what the ledger needs to point at it without opening it."""

    ref: ArtifactRef
    output_hash: str
    rows: int
    stats: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class StageCounts:
    """Live documents of one source at one stage. `current` are done under the present input and settings."""

    considered: int
    current: int
    quarantined: int
    failed: int


# What a stage takes in: for parse the object itself, else the ok output of the stage before under the settings in
# force. Parse depends on the bytes and on what they were taken for.
_OBJECT_INPUT = sql.SQL(
    "SELECT d.*, d.content_hash || ':' || d.media_type AS input_hash, NULL::text AS input_fingerprint,"
    " NULL::text AS vectors_fingerprint FROM kb.document d WHERE d.content_hash IS NOT NULL"
)
_STAGE_INPUT = sql.SQL(
    "SELECT d.*, p.output_hash AS input_hash, p.fingerprint AS input_fingerprint, NULL::text AS vectors_fingerprint"
    " FROM kb.document d JOIN kb.stage_state p ON p.document_id = d.document_id AND p.stage = %(input_stage)s"
    " AND p.variant = '' AND p.status = 'ok' AND p.stage_key = %(input_key)s"
)
# Publish takes masked chunks and their vectors, and only together: vectors of the very chunks that are current.
_PUBLISH_INPUT = sql.SQL(
    "SELECT d.*, e.output_hash AS input_hash, p.fingerprint AS input_fingerprint, e.fingerprint AS vectors_fingerprint"
    " FROM kb.document d JOIN kb.stage_state p ON p.document_id = d.document_id AND p.stage = 'mask'"
    " AND p.status = 'ok' AND p.stage_key = %(input_key)s"
    " JOIN kb.stage_state e ON e.document_id = d.document_id AND e.stage = 'embed' AND e.status = 'ok'"
    " AND e.variant = %(model_key)s AND e.input_hash = p.output_hash"
)
_FROM = sql.SQL(
    "FROM ({input}) i LEFT JOIN kb.stage_state s ON s.document_id = i.document_id AND s.stage = %(stage)s"
    " AND s.variant = %(variant)s"
)
_WHERE = sql.SQL("WHERE i.source_system = %(source)s AND i.deleted_at IS NULL")
_CURRENT = sql.SQL("(s.input_hash IS NOT DISTINCT FROM i.input_hash AND s.stage_key = %(key)s)")


def _from(stage: Stage) -> sql.Composed:
    if stage.name == "publish":
        return _FROM.format(input=_PUBLISH_INPUT)
    return _FROM.format(input=_OBJECT_INPUT if stage.input_stage is None else _STAGE_INPUT)


class Ledger:
    """Stage rows of one source system, under one lease. `model_key` says whose vectors publish takes."""

    def __init__(self, connection: Connection, lease: Lease, run_id: str, model_key: str = "") -> None:
        self.connection = connection
        self.lease = lease
        self.run_id = run_id
        self.model_key = model_key

    def pending(self, stage: Stage) -> Iterator[list[Task]]:
        """Pages of tasks in order of document id; each document comes at most once a call."""
        query = sql.SQL(
            "SELECT i.document_id, i.key, coalesce(i.display_name, ''), i.media_type, i.content_hash,"
            " coalesce(i.size, 0),"
            " i.input_hash, a.uri, a.size, a.sha256, v.uri, v.size, v.sha256 {origin}"
            " LEFT JOIN kb.artifact a ON a.fingerprint = i.input_fingerprint"
            " LEFT JOIN kb.artifact v ON v.fingerprint = i.vectors_fingerprint {where} AND i.document_id > %(after)s"
            " AND (s.document_id IS NULL OR NOT {current} OR s.status IN ('failed', 'retry'))"
            " ORDER BY i.document_id LIMIT %(page)s"
        ).format(origin=_from(stage), where=_WHERE, current=_CURRENT)
        values = {**self._values(stage), "after": "", "page": PAGE}
        while True:
            rows = self.connection.execute(query, values).fetchall()
            if rows:
                yield [self._task(stage, row) for row in rows]
            if len(rows) < PAGE:
                return
            values["after"] = rows[-1][0]

    def counts(self, stage: Stage) -> StageCounts:
        """How the source stands at this stage, in one aggregate query."""
        query = sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE {current} AND s.status = 'ok'),"
            " count(*) FILTER (WHERE {current} AND s.status = 'quarantined'),"
            " count(*) FILTER (WHERE s.status = 'failed') {origin} {where}"
        ).format(current=_CURRENT, origin=_from(stage), where=_WHERE)
        row = self.connection.execute(query, self._values(stage)).fetchone()
        return StageCounts(*(row or (0, 0, 0, 0)))

    def artifacts(self, fingerprints: Sequence[str]) -> dict[str, KnownArtifact]:
        """Artifacts that exist already, locked against collection until the caller's transaction ends."""
        rows = self.connection.execute(
            "SELECT fingerprint, uri, size, sha256, output_hash, rows, stats FROM kb.artifact"
            " WHERE fingerprint = ANY(%s) FOR SHARE",
            (list(fingerprints),),
        )
        return {r[0]: KnownArtifact(ArtifactRef(r[1], r[2], r[3]), r[4], r[5], r[6]) for r in rows}

    def commit(self, stage: Stage, outcomes: Sequence[Outcome]) -> None:
        """Point the ledger at what was done: artifacts, stage rows and vector references, in one transaction."""
        with self.connection.transaction():
            self.lease.check(self.connection)
            write_artifacts(self.connection, stage, outcomes)
            write_states(self.connection, stage, outcomes, self.run_id)
            self._write_vector_refs(stage, outcomes)
            forget_damaged(self.connection, outcomes)

    def vectors(self, store: ObjectStore, text_hashes: Sequence[str]) -> dict[str, np.ndarray]:
        """Vectors that texts already have in this model: text_hash -> (d,) float16. Reads few artifacts."""
        rows = self.connection.execute(
            "SELECT w.text_hash, a.uri, a.size, a.sha256 FROM unnest(%s::text[]) AS w(text_hash)"
            " CROSS JOIN LATERAL (SELECT r.fingerprint FROM kb.vector_ref r WHERE r.model_key = %s"
            "   AND r.text_hash = w.text_hash ORDER BY r.fingerprint LIMIT %s) v"
            " JOIN kb.artifact a USING (fingerprint)",
            (list(text_hashes), self.model_key, HOLDERS),
        )
        holders: dict[str, list[ArtifactRef]] = {}
        for name, *ref in rows:
            holders.setdefault(name, []).append(ArtifactRef(*ref))
        return _read_vectors(store, holders)

    def _values(self, stage: Stage) -> dict[str, object]:
        return {
            "stage": stage.name,
            "variant": stage.variant,
            "key": stage.key,
            "input_stage": stage.input_stage,
            "input_key": stage.input_key,
            "model_key": self.model_key,
            "source": self.lease.source_system,
        }

    def _task(self, stage: Stage, row: tuple[Any, ...]) -> Task:
        of, key, name, media_type, content_hash, size, input_hash = row[:7]
        source = self.lease.source_system
        named = fingerprint(stage.key, input_hash)
        return Task(
            of, source, key, name, media_type, content_hash, size, input_hash, named, _ref(row[7:10]), _ref(row[10:13])
        )

    def _write_vector_refs(self, stage: Stage, outcomes: Sequence[Outcome]) -> None:
        refs = [
            (self.model_key, text_hash, outcome.task.fingerprint, row)
            for outcome in outcomes
            if stage.name == "embed" and outcome.status == "ok" and outcome.payload
            for text_hash, row in outcome.payload
        ]
        with self.connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO kb.vector_ref (model_key, text_hash, fingerprint, row) VALUES (%s, %s, %s, %s)"
                " ON CONFLICT DO NOTHING",
                refs,
            )


def _read_vectors(store: ObjectStore, holders: Mapping[str, Sequence[ArtifactRef]]) -> dict[str, np.ndarray]:
    """A vector for each text from one of its holders. Rare texts first: the artifact that must be read for one often
    has the common ones too."""
    found: dict[str, np.ndarray] = {}
    tried: set[ArtifactRef] = set()
    for name in sorted(holders, key=lambda name: len(holders[name])):
        for ref in holders[name]:
            if name in found:
                break
            if ref in tried:  # it was damaged: another may hold the text, else the text is embedded again
                continue
            tried.add(ref)
            with suppress(ArtifactDamaged):
                known = table_to_vectors(read_table(store, ref))
                found.update({text: known[text] for text in holders.keys() & known.keys()})
    return found


def _ref(columns: tuple[Any, ...]) -> ArtifactRef | None:
    return ArtifactRef(*columns) if columns[0] else None


_ARTIFACT = """
INSERT INTO kb.artifact (fingerprint, stage, input_hash, uri, size, sha256, output_hash, rows, stats)
SELECT %(fingerprint)s, %(stage)s, %(input_hash)s, %(uri)s, %(size)s, %(sha256)s, %(output_hash)s, %(rows)s, %(stats)s
WHERE NOT EXISTS (SELECT FROM kb.artifact WHERE fingerprint = %(fingerprint)s AND uri = %(uri)s)
ON CONFLICT (fingerprint) DO UPDATE SET
    input_hash = EXCLUDED.input_hash, uri = EXCLUDED.uri, size = EXCLUDED.size, sha256 = EXCLUDED.sha256,
    output_hash = EXCLUDED.output_hash, rows = EXCLUDED.rows, stats = EXCLUDED.stats
"""


def write_artifacts(connection: Connection, stage: Stage, outcomes: Sequence[Outcome]) -> None:
    """Record new artifacts. One that is reused is not written: two runs that share it would wait for each other."""
    rows = [
        {
            "fingerprint": o.task.fingerprint,
            "stage": stage.name,
            "input_hash": o.task.input_hash,
            "uri": a.uri,
            "size": a.size,
            "sha256": a.sha256,
            "output_hash": o.output_hash,
            "rows": o.rows,
            "stats": Jsonb(dict(o.stats)),
        }
        for o in outcomes
        if o.status == "ok" and (a := o.artifact)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(_ARTIFACT, rows)


_STATE = """
INSERT INTO kb.stage_state AS s (document_id, stage, variant, stage_key, input_hash, fingerprint, output_hash, rows,
    status, attempts, error_class, error_message, duration_ms, run_id)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s)
ON CONFLICT (document_id, stage, variant) DO UPDATE SET
    stage_key = EXCLUDED.stage_key, input_hash = EXCLUDED.input_hash, fingerprint = EXCLUDED.fingerprint,
    output_hash = EXCLUDED.output_hash, rows = EXCLUDED.rows, status = EXCLUDED.status,
    attempts = CASE WHEN s.fingerprint = EXCLUDED.fingerprint THEN s.attempts + 1 ELSE 1 END,
    error_class = EXCLUDED.error_class, error_message = EXCLUDED.error_message, duration_ms = EXCLUDED.duration_ms,
    run_id = EXCLUDED.run_id, updated_at = now()
"""


def write_states(connection: Connection, stage: Stage, outcomes: Sequence[Outcome], run_id: str) -> None:
    """Record what became of each document at this stage."""
    with connection.cursor() as cursor:
        cursor.executemany(
            _STATE,
            [
                (
                    o.task.document_id,
                    stage.name,
                    stage.variant,
                    stage.key,
                    o.task.input_hash,
                    o.task.fingerprint,
                    o.output_hash,
                    o.rows,
                    o.status,
                    o.error_class,
                    o.error_message,
                    o.duration_ms,
                    run_id,
                )
                for o in outcomes
            ],
        )


def forget_damaged(connection: Connection, outcomes: Sequence[Outcome]) -> None:
    """Forget artifacts that were found damaged or gone, so that the stages before make them again."""
    damaged = [
        ref.uri
        for o in outcomes
        if o.error_class == ArtifactDamaged.__name__
        for ref in (o.task.input, o.task.vectors)
        if ref
    ]
    if damaged:
        connection.execute(
            "UPDATE kb.stage_state SET status = 'retry' WHERE fingerprint IN"
            " (SELECT fingerprint FROM kb.artifact WHERE uri = ANY(%s))",
            (damaged,),
        )
        connection.execute("DELETE FROM kb.artifact WHERE uri = ANY(%s)", (damaged,))
