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

from kb_pipeline.core.contracts import ArtifactRef, Outcome, Stage, Task
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.core.identity import fingerprint
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.expired import wanted
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.outcomes import forget_damaged, write_artifacts, write_states
from kb_pipeline.store.objects.artifacts import read_table, table_to_vectors
from kb_pipeline.store.objects.object_store import ObjectStore

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
# Publish takes masked chunks and their vectors, and only together: vectors of the very chunks that are current. It
# depends on both: a text that now stands twice, or on another page, has the vectors that it had.
_PUBLISH_INPUT = sql.SQL(
    "SELECT d.*, p.output_hash || ':' || e.output_hash AS input_hash, p.fingerprint AS input_fingerprint,"
    " e.fingerprint AS vectors_fingerprint"
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


_AFTER = sql.SQL("i.document_id > %(after)s")
_IN_SCOPE = sql.SQL("i.document_id = ANY(%(scope)s)")


def _from(stage: Stage) -> sql.Composed:
    if stage.name == "publish":
        return _FROM.format(input=_PUBLISH_INPUT)
    return _FROM.format(input=_OBJECT_INPUT if stage.input_stage is None else _STAGE_INPUT)


class Ledger:
    """Stage rows of one source system, under one lease. `model_key` says whose vectors publish takes; `scope` holds the
    ids of the documents a run takes on, None means all of the source."""

    def __init__(
        self,
        connection: Connection,
        lease: Lease,
        run_id: str,
        model_key: str = "",
        scope: Sequence[str] | None = None,
    ) -> None:
        self.connection = connection
        self.lease = lease
        self.run_id = run_id
        self.model_key = model_key
        self.scope = None if scope is None else sorted(scope)

    def pending(self, stage: Stage) -> Iterator[list[Task]]:
        """Pages of tasks in order of document id; each document comes at most once a call."""
        columns = sql.SQL(
            "i.document_id, i.key, coalesce(i.display_name, ''), i.media_type, i.content_hash, coalesce(i.size, 0),"
            " i.input_hash, a.uri, a.size, a.sha256, v.uri, v.size, v.sha256,"
            " NOT EXISTS (SELECT FROM kb.stage_state n WHERE n.document_id = i.document_id AND n.stage = 'chunk')"
        )
        for rows in self._pages(stage, columns):
            if rows:
                yield [self._task(stage, row) for row in rows]

    def pending_ids(self, stage: Stage) -> Iterator[str]:
        """Ids of the documents that this stage has yet to do."""
        for rows in self._pages(stage, sql.SQL("i.document_id")):
            yield from (row[0] for row in rows)

    def _pages(self, stage: Stage, columns: sql.SQL) -> Iterator[list[tuple[Any, ...]]]:
        """Pages of what is pending: slices of the scope, or of the whole source after the last id seen."""
        query = sql.SQL(
            "SELECT {columns} {origin}"
            " LEFT JOIN kb.artifact a ON a.fingerprint = i.input_fingerprint"
            " LEFT JOIN kb.artifact v ON v.fingerprint = i.vectors_fingerprint {where} AND {selected}"
            " AND (s.document_id IS NULL OR NOT {current} OR s.status IN ('failed', 'retry') OR {wanted})"
            " ORDER BY i.document_id LIMIT %(page)s"
        ).format(
            columns=columns,
            origin=_from(stage),
            where=_WHERE,
            current=_CURRENT,
            wanted=sql.SQL(wanted("s", tuple(stage.onward))),
            selected=_AFTER if self.scope is None else _IN_SCOPE,
        )
        values = {**self._values(stage), "after": "", "page": PAGE}
        if self.scope is not None:
            for at in range(0, len(self.scope), PAGE):
                values["scope"] = self.scope[at : at + PAGE]
                yield self.connection.execute(query, values).fetchall()
            return
        while True:
            rows = self.connection.execute(query, values).fetchall()
            yield rows
            if len(rows) < PAGE:
                return
            values["after"] = rows[-1][0]

    def counts(self, stage: Stage) -> StageCounts:
        """How the scope stands at this stage, in one aggregate query."""
        query = sql.SQL(
            "SELECT count(*), count(*) FILTER (WHERE {current} AND s.status = 'ok'),"
            " count(*) FILTER (WHERE {current} AND s.status = 'quarantined'),"
            " count(*) FILTER (WHERE s.status = 'failed') {origin} {where} AND {selected}"
        ).format(
            current=_CURRENT,
            origin=_from(stage),
            where=_WHERE,
            selected=sql.SQL("true") if self.scope is None else _IN_SCOPE,
        )
        row = self.connection.execute(query, {**self._values(stage), "scope": self.scope}).fetchone()
        return StageCounts(*(row or (0, 0, 0, 0)))

    def artifacts(self, fingerprints: Sequence[str], stage: Stage) -> dict[str, KnownArtifact]:
        """Artifacts of a stage that exist already, locked against collection until the caller's transaction ends. One
        that expired serves while what the stages onward make of it exists."""
        return self._artifacts(fingerprints, tuple(stage.onward.values()))

    def _artifacts(self, fingerprints: Sequence[str], onward: Sequence[str]) -> dict[str, KnownArtifact]:
        rows = self.connection.execute(
            "SELECT fingerprint, uri, size, sha256, output_hash, rows, stats, expired_at IS NOT NULL FROM kb.artifact"
            " WHERE fingerprint = ANY(%s) ORDER BY fingerprint FOR SHARE",
            (list(fingerprints),),
        ).fetchall()
        found = {r[0]: KnownArtifact(ArtifactRef(r[1], r[2], r[3]), r[4], r[5], r[6]) for r in rows}
        made_of = {r[0]: fingerprint(onward[0], r[4]) if onward else "" for r in rows if r[7]}
        served = self._artifacts(list(made_of.values()), onward[1:]) if made_of and onward else {}
        return {name: known for name, known in found.items() if name not in made_of or made_of[name] in served}

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
            **stage.onward,
        }

    def _task(self, stage: Stage, row: tuple[Any, ...]) -> Task:
        of, key, name, media_type, content_hash, size, input_hash = row[:7]
        source = self.lease.source_system
        named = fingerprint(stage.key, input_hash)
        return Task(
            of,
            source,
            key,
            name,
            media_type,
            content_hash,
            size,
            input_hash,
            named,
            _ref(row[7:10]),
            _ref(row[10:13]),
            fresh=stage.name == "parse" and row[13],
        )

    def _write_vector_refs(self, stage: Stage, outcomes: Sequence[Outcome]) -> None:
        refs = [
            (text_hash, outcome.task.fingerprint, row)
            for outcome in outcomes
            if stage.name == "embed" and outcome.status == "ok" and outcome.payload
            for text_hash, row in outcome.payload
        ]
        if refs:
            names, fingerprints, rows = (list(column) for column in zip(*refs, strict=True))
            self.connection.execute(
                "INSERT INTO kb.vector_ref (model_key, text_hash, fingerprint, row)"
                " SELECT %s, * FROM unnest(%s::text[], %s::text[], %s::int[]) ON CONFLICT DO NOTHING",
                (self.model_key, names, fingerprints, rows),
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
