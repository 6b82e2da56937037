"""Publish: a document's masked chunks and vectors into the database, by difference, with the ledger in one transaction.

A reader sees the old version or the new one. Rows that are equal are not written; a chunk whose text is unchanged keeps
its id and its vector wherever it moved in the document.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from kb_pipeline.core.contracts import MaskedChunk, Outcome, Stage, Task
from kb_pipeline.core.errors import ArtifactDamaged, ServiceUnavailable, TransientError
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.identity import chunk_id
from kb_pipeline.embedding.vectors import truncate_and_renormalise
from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.ledger.deletes import withdraw
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.outcomes import forget_damaged, write_states
from kb_pipeline.store.objects.artifacts import read_table, table_to_records, table_to_vectors
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.spaces import Space
from kb_pipeline.store.published.words import search_words

# In quarantine, and not about to be published: neither masked under the present policy, nor embedded as masked so.
_UNMASKED = (
    "SELECT d.document_id FROM kb.document d JOIN kb.stage_state s USING (document_id)"
    " WHERE d.source_system = %(source)s AND s.stage = 'publish' AND s.variant = %(variant)s"
    " AND s.stage_key <> %(key)s AND s.rows > 0"
    " AND EXISTS (SELECT FROM kb.stage_state q WHERE q.document_id = d.document_id AND q.status = 'quarantined')"
    " AND NOT EXISTS (SELECT FROM kb.stage_state m JOIN kb.stage_state e ON e.document_id = m.document_id"
    "   AND e.stage = 'embed' AND e.variant = %(model_key)s AND e.status = 'ok' AND e.input_hash = m.output_hash"
    "   WHERE m.document_id = d.document_id AND m.stage = 'mask' AND m.status = 'ok' AND m.stage_key = %(mask_key)s)"
)
_OF_SCOPE = " AND d.document_id = ANY(%(scope)s)"
WITHDRAWN_AT_ONCE = 500  # documents, in one transaction
_FIELDS = ("ordinal", "content", "page_start", "page_end", "boxes", "section_path", "language", "text_hash")


@dataclass(frozen=True, slots=True)
class Rows:
    """One document ready to publish: chunk rows by id, and the served vector of each."""

    chunks: Mapping[str, Mapping[str, Any]]
    vectors: Mapping[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns the stored chunks of some documents into the wanted ones."""

    write: list[str]
    delete: list[str]


def chunk_rows(document_id: str, chunks: Sequence[MaskedChunk]) -> dict[str, dict[str, Any]]:
    """The rows of one document by chunk id. Equal texts are told apart by their occurrence, counted from 0."""
    seen: dict[str, int] = {}
    rows = {}
    for chunk in chunks:
        occurrence = seen.get(chunk.text_hash, 0)
        seen[chunk.text_hash] = occurrence + 1
        rows[chunk_id(document_id, chunk.text_hash, occurrence)] = {
            "ordinal": chunk.ordinal,
            "content": chunk.content,
            "page_start": chunk.page_start,
            "page_end": chunk.page_end,
            "boxes": [[b.page, b.x0, b.y0, b.x1, b.y1] for b in chunk.boxes],
            "section_path": list(chunk.section_path),
            "language": chunk.language,
            "text_hash": chunk.text_hash,
        }
    return rows


def stored_rows(connection: Connection, documents: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The chunk rows that some documents have in the database, by chunk id, as chunk_rows makes them."""
    rows = connection.execute(
        sql.SQL("SELECT chunk_id, {} FROM kb.chunk WHERE document_id = ANY(%s)").format(
            sql.SQL(", ").join(map(sql.Identifier, _FIELDS))
        ),
        (list(documents),),
    )
    return {row[0]: dict(zip(_FIELDS, row[1:], strict=True)) for row in rows}


def difference(stored: Mapping[str, Mapping[str, Any]], wanted: Mapping[str, Mapping[str, Any]]) -> Difference:
    """Rows to write (new or different) and ids to delete. Pure."""
    write = [key for key, row in wanted.items() if stored.get(key) != row]
    return Difference(write, [key for key in stored if key not in wanted])


class Publisher:
    """Prepares documents from their artifacts and commits them in small transactions."""

    def __init__(self, connection: Connection, store: ObjectStore, lease: Lease, space: Space, run_id: str) -> None:
        self.connection = connection
        self.store = store
        self.lease = lease
        self.space = space
        self.run_id = run_id
        register_vector(connection)

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Read each document's artifacts; the rows to publish travel in the outcome's payload."""
        for task in tasks:
            started = time.perf_counter()
            try:
                rows = self._prepare(task)
            except ServiceUnavailable:
                raise
            except TransientError as error:
                yield Outcome(task, "failed", error_class=type(error).__name__, error_message=error.message)
                continue
            yield Outcome(
                task,
                "ok",
                output_hash=task.input_hash,
                rows=len(rows.chunks),
                duration_ms=int((time.perf_counter() - started) * 1000),
                payload=rows,
            )

    def commit(self, stage: Stage, outcomes: Sequence[Outcome]) -> None:
        """Publish the prepared documents and point the ledger at them, in one transaction."""
        ready = {o.task.document_id: o.payload for o in outcomes if o.status == "ok"}
        with self.connection.transaction():
            self.lease.check(self.connection)
            stored = stored_rows(self.connection, list(ready))
            wanted = {key: (of, row) for of, rows in ready.items() for key, row in rows.chunks.items()}
            change = difference(stored, {key: row for key, (_, row) in wanted.items()})
            self._delete_chunks(change.delete)
            self._write_chunks([{"chunk_id": k, "document_id": wanted[k][0], **wanted[k][1]} for k in change.write])
            self._write_vectors({k: v for rows in ready.values() for k, v in rows.vectors.items()})
            write_states(self.connection, stage, [replace(o, payload=None) for o in outcomes], self.run_id)
            forget_damaged(self.connection, outcomes)
            self._mark_published(list(ready))

    def withdraw_unmasked(self, stage: Stage, scope: Sequence[str] | None) -> int:
        """Remove rows masked under a policy that no longer holds, of documents (of `scope`, None: of the source) that
        the new one could not be applied to because a stage is in quarantine. Returns how many documents."""
        query = _UNMASKED + ("" if scope is None else _OF_SCOPE) + " LIMIT %(most)s"
        values = {
            "source": self.lease.source_system,
            "variant": stage.variant,
            "key": stage.key,
            "mask_key": stage.input_key,
            "model_key": self.space.model_key,
            "scope": None if scope is None else list(scope),
            "most": WITHDRAWN_AT_ONCE,
        }
        count = 0
        while True:
            with self.connection.transaction():
                self.lease.check(self.connection)
                found = self.connection.execute(query, values).fetchall()
                if not found:
                    return count
                withdraw(self.connection, [row[0] for row in found])
            count += len(found)
            fault_point("publish.withdrawn")

    def _prepare(self, task: Task) -> Rows:
        if task.input is None or task.vectors is None:
            raise ArtifactDamaged("An artifact named by the ledger is gone.", "Sync again: it is made anew.")
        chunks: list[MaskedChunk] = table_to_records(read_table(self.store, task.input), MaskedChunk)
        native = table_to_vectors(read_table(self.store, task.vectors))
        rows = chunk_rows(task.document_id, chunks)
        if not rows:
            return Rows({}, {})
        # The space's dimension is cut from the model's own: no model is called for it.
        stacked = np.stack([native[row["text_hash"]] for row in rows.values()])
        served = truncate_and_renormalise(stacked, self.space.dimension)
        return Rows(rows, dict(zip(rows, served, strict=True)))

    def _delete_chunks(self, keys: list[str]) -> None:
        if keys:
            self.connection.execute("DELETE FROM kb.chunk WHERE chunk_id = ANY(%s)", (keys,))

    def _write_chunks(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        records = [{**row, "words": search_words(row["section_path"], row["content"])} for row in rows]
        self.connection.execute(
            "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, page_start, page_end, boxes,"
            " section_path, language, text_hash)"
            " SELECT chunk_id, document_id, ordinal, content, to_tsvector('simple', words), page_start, page_end,"
            " boxes, ARRAY(SELECT jsonb_array_elements_text(section_path)), language, text_hash"
            " FROM jsonb_to_recordset(%s::jsonb) AS r(chunk_id text, document_id text, ordinal int, content text,"
            " words text, page_start int, page_end int, boxes jsonb, section_path jsonb, language text, text_hash text)"
            " ON CONFLICT (chunk_id) DO UPDATE SET ordinal = EXCLUDED.ordinal, content = EXCLUDED.content,"
            " lexemes = EXCLUDED.lexemes, page_start = EXCLUDED.page_start, page_end = EXCLUDED.page_end,"
            " boxes = EXCLUDED.boxes, section_path = EXCLUDED.section_path, language = EXCLUDED.language",
            (json.dumps(records, ensure_ascii=False),),
        )

    def _write_vectors(self, vectors: Mapping[str, np.ndarray]) -> None:
        """Load vectors that the space's table lacks, by binary COPY (several times faster than INSERT)."""
        table = identifier(self.space.table_name)
        present = {
            row[0]
            for row in self.connection.execute(
                sql.SQL("SELECT chunk_id FROM {} WHERE chunk_id = ANY(%s)").format(table), (list(vectors),)
            )
        }
        missing = [key for key in vectors if key not in present]
        if not missing:
            return
        copy_into = sql.SQL("COPY {} (chunk_id, source_system, embedding) FROM STDIN WITH (FORMAT BINARY)")
        with self.connection.cursor() as cursor, cursor.copy(copy_into.format(table)) as copy:
            copy.set_types(["text", "text", "halfvec"])
            for key in missing:
                copy.write_row((key, self.lease.source_system, HalfVector(vectors[key])))

    def _mark_published(self, documents: list[str]) -> None:
        self.connection.execute(
            "UPDATE kb.document_version v SET published_at = now() FROM kb.stage_state p"
            " WHERE p.document_id = v.document_id AND p.stage = 'parse' AND p.status = 'ok'"
            " AND split_part(p.input_hash, ':', 1) = v.content_hash"
            " AND v.document_id = ANY(%s) AND v.published_at IS NULL",
            (documents,),
        )
