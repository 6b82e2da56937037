"""Mending: what can be made again is marked as work for the next sync, rows without an owner are deleted. Nothing goes
that could not be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import numpy as np
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from kb_pipeline.core.contracts import ArtifactRef
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.embedding.vectors import truncate_and_renormalise
from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.erasing.collect import Collected, sweep
from kb_pipeline.store.erasing.erase import forget, remove_source
from kb_pipeline.store.erasing.traces import CHAIN
from kb_pipeline.store.ledger.backlog import try_now
from kb_pipeline.store.ledger.deletes import withdraw
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.artifacts import read_table, table_to_vectors
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.spaces import live_spaces
from kb_pipeline.store.published.words import search_words
from kb_pipeline.store.verify.problems import Expected, Problem, Repair


def repair(
    connection: Connection, store: ObjectStore, lease: Lease, one: Expected, problems: Sequence[Problem]
) -> None:
    """Mend the repairable problems of one source, under its lease; the next sync makes again what was marked. What
    concerns no source is mended by repair_shared. Raises LeaseLost."""
    for name, mend in _MENDING.items():
        found = [p for p in problems if p.repair == name and p.source_system == one.source_system]
        if found:
            mend(Mending(connection, store, lease, one), found)


@dataclass(frozen=True, slots=True)
class Mending:
    """What mending one source needs."""

    connection: Connection
    store: ObjectStore
    lease: Lease
    one: Expected

    @contextmanager
    def commit(self) -> Iterator[Connection]:
        """One transaction under the lease."""
        with self.connection.transaction():
            self.lease.check(self.connection)
            yield self.connection


def repair_shared(connection: Connection, store: ObjectStore, problems: Sequence[Problem], grace_hours: float) -> None:
    """Mend what concerns no source: delete rows that no document owns, and objects that no row names."""
    wanted = {p.repair for p in problems if not p.source_system}
    if "withdraw" in wanted:
        connection.execute(
            "DELETE FROM kb.chunk c WHERE NOT EXISTS (SELECT FROM kb.document d WHERE d.document_id = c.document_id)"
        )
    if "sweep" in wanted:
        sweep(connection, store, Collected(), grace_hours=grace_hours, dry_run=False)


def _documents(problems: Sequence[Problem]) -> list[str]:
    return sorted({p.document_id for p in problems if p.document_id})


def _unsettle(connection: Connection, documents: Sequence[str]) -> None:
    connection.execute(
        "UPDATE kb.document SET settled_key = NULL, attempts = 0, retry_at = NULL WHERE document_id = ANY(%s)",
        (list(documents),),
    )


def _resettle(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        _unsettle(connection, _documents(problems))


def _republish(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        connection.execute(
            "UPDATE kb.stage_state SET status = 'retry' WHERE stage = 'publish' AND document_id = ANY(%s)",
            (_documents(problems),),
        )
        _unsettle(connection, _documents(problems))


def _rework(m: Mending, problems: Sequence[Problem]) -> None:
    """Stages whose artifact is gone or damaged do it again, for every document that shares it."""
    uris = [uri for p in problems for uri in p.items]
    with m.commit() as connection:
        rows = connection.execute(
            "UPDATE kb.stage_state s SET status = 'retry' WHERE s.status = 'ok' AND ("
            " s.fingerprint IN (SELECT fingerprint FROM kb.artifact WHERE uri = ANY(%s)) OR s.document_id = ANY(%s)"
            "   AND s.stage = ANY(%s) AND NOT EXISTS (SELECT FROM kb.artifact a WHERE a.fingerprint = s.fingerprint))"
            " RETURNING s.document_id",
            (uris, _documents(problems), list(CHAIN)),
        ).fetchall()
        connection.execute("DELETE FROM kb.artifact WHERE uri = ANY(%s)", (uris,))
        _unsettle(connection, [row[0] for row in rows])


def _withdraw(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        withdraw(connection, _documents(problems))
        _unsettle(connection, _documents(problems))


def _write_words(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection, connection.cursor() as cursor:
        rows = connection.execute(
            "SELECT section_path, content, chunk_id FROM kb.chunk"
            " WHERE lexemes = ''::tsvector AND document_id = ANY(%s)",
            (_documents(problems),),
        ).fetchall()
        cursor.executemany(
            "UPDATE kb.chunk SET lexemes = to_tsvector('simple', %s) WHERE chunk_id = %s",
            [(search_words(path, content), name) for path, content, name in rows],
        )


def _delete_strays(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        for space in live_spaces(connection):
            query = sql.SQL(
                "DELETE FROM {} v WHERE v.source_system = %s"
                " AND NOT EXISTS (SELECT FROM kb.chunk c WHERE c.chunk_id = v.chunk_id)"
            )
            connection.execute(query.format(identifier(space.table_name)), (m.one.source_system,))


def _relabel(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        for space in live_spaces(connection):
            query = sql.SQL(
                "UPDATE {} v SET source_system = %s FROM kb.chunk c WHERE c.chunk_id = v.chunk_id"
                " AND c.document_id = ANY(%s) AND v.source_system <> %s"
            )
            source = m.one.source_system
            connection.execute(query.format(identifier(space.table_name)), (source, _documents(problems), source))


def _rewrite_vectors(m: Mending, problems: Sequence[Problem]) -> None:
    """In place, from the artifact: searches never miss the document meanwhile."""
    register_vector(m.connection)
    for document_id in _documents(problems):
        with suppress(ArtifactDamaged), m.commit() as connection:
            chunks = connection.execute(
                "SELECT text_hash, chunk_id FROM kb.chunk WHERE document_id = %s", (document_id,)
            ).fetchall()
            for space in live_spaces(connection):
                native = _vectors(m, document_id, space.model_key)
                served = {
                    name: truncate_and_renormalise(vector[None, :], space.dimension)[0]
                    for name, vector in native.items()
                }
                query = sql.SQL("UPDATE {} SET embedding = %s WHERE chunk_id = %s")
                with connection.cursor() as cursor:
                    cursor.executemany(
                        query.format(identifier(space.table_name)),
                        [(HalfVector(served[of]), chunk) for of, chunk in chunks if of in served],
                    )


def _register(m: Mending, problems: Sequence[Problem]) -> None:
    model = m.one.stages["embed"].variant
    for document_id in _documents(problems):
        with suppress(ArtifactDamaged), m.commit() as connection, connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO kb.vector_ref (model_key, text_hash, fingerprint, row)"
                " SELECT %s, %s, s.fingerprint, %s FROM kb.stage_state s JOIN kb.artifact USING (fingerprint)"
                " WHERE s.document_id = %s AND s.stage = 'embed' AND s.variant = %s ON CONFLICT DO NOTHING",
                [(model, name, row, document_id, model) for row, name in enumerate(_vectors(m, document_id, model))],
            )


def _vectors(m: Mending, document_id: str, model: str) -> dict[str, np.ndarray]:
    row = m.connection.execute(
        "SELECT a.uri, a.size, a.sha256 FROM kb.stage_state s JOIN kb.artifact a USING (fingerprint)"
        " WHERE s.document_id = %s AND s.stage = 'embed' AND s.variant = %s AND s.status = 'ok'",
        (document_id, model),
    ).fetchone()
    return table_to_vectors(read_table(m.store, ArtifactRef(*row))) if row else {}


def _hint(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        connection.execute(
            "INSERT INTO kb.hint (source_system, key) SELECT source_system, key FROM kb.document"
            " WHERE document_id = ANY(%s) ON CONFLICT DO NOTHING",
            (_documents(problems),),
        )


def _relist(m: Mending, problems: Sequence[Problem]) -> None:
    """The next sync compares the whole listing, whatever its digest."""
    with m.commit() as connection:
        connection.execute(
            "UPDATE kb.source SET listing_digest = NULL WHERE source_system = %s", (m.one.source_system,)
        )


def _reask(m: Mending, problems: Sequence[Problem]) -> None:
    with m.commit() as connection:
        try_now(connection, m.one.source_system)


def _erase(m: Mending, problems: Sequence[Problem]) -> None:
    if m.one.removed:
        remove_source(m.connection, m.store, m.lease)
        return
    for document_id in _documents(problems):
        forget(m.connection, m.store, m.lease, document_id)


def _taken_over(m: Mending, problems: Sequence[Problem]) -> None:
    """The lease of a dead run is ours now, and given back when mending is over."""


# Artifacts come before what is published from them.
_MENDING: Mapping[Repair, Callable[[Mending, Sequence[Problem]], None]] = {
    "erase": _erase,
    "release": _taken_over,
    "rework": _rework,
    "withdraw": _withdraw,
    "republish": _republish,
    "resettle": _resettle,
    "words": _write_words,
    "unvector": _delete_strays,
    "revector": _rewrite_vectors,
    "relabel": _relabel,
    "register": _register,
    "hint": _hint,
    "relist": _relist,
    "reask": _reask,
}
