"""Erasing a document, or a whole source system, at once: from every table, every space and the object store.

What is searched goes first, in one transaction with the tombstone. Then the artifacts, the last stage first and each
object before its row, so that a crash leaves nothing that no row leads to. The version history, by which those are
found, goes last: until then erasing again goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from kb_pipeline.core.errors import NotFound
from kb_pipeline.core.faults import fault_point
from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.erasing.collect import delete_objects
from kb_pipeline.store.erasing.traces import stray_fingerprints, stray_objects, traces
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.object_store import ObjectStore

BATCH = 200


@dataclass(slots=True)
class Erased:
    """What was erased: `rows` by table, `objects` by root (clear, masked). `kept` artifacts are still used by other
    documents; `copies` live documents hold the same bytes under another key. The source's own objects stay."""

    documents: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    objects: dict[str, int] = field(default_factory=dict)
    kept: int = 0
    copies: int = 0

    def add_rows(self, table: str, count: int) -> None:
        """Count rows of a table; none is no entry."""
        if count:
            self.rows[table] = self.rows.get(table, 0) + count

    def add_objects(self, paths: Iterable[str]) -> None:
        """Count objects by root: artifacts/ROOT/..."""
        for path in paths:
            root = path.split("/")[1]
            self.objects[root] = self.objects.get(root, 0) + 1


def forget(connection: Connection, store: ObjectStore, lease: Lease, document_id: str) -> Erased:
    """Erase everything that was made of a document, and leave a tombstone: no later sync brings it back.

    Ended by a crash, it is completed by calling it again. Raises NotFound when the lease's source has no such document.
    """
    row = connection.execute(
        "SELECT (SELECT count(*) FROM kb.document o WHERE o.content_hash = d.content_hash AND o.deleted_at IS NULL"
        "   AND o.document_id <> d.document_id) FROM kb.document d WHERE document_id = %s AND source_system = %s",
        (document_id, lease.source_system),
    ).fetchone()
    if row is None:
        raise NotFound(f"Source system {lease.source_system} has no document {document_id}.", "Name it by its id.")
    erased = Erased(documents=1, copies=row[0])
    strays = stray_fingerprints(connection, [document_id])
    _hide(connection, lease, [document_id], erased, forgotten=True)
    _erase_artifacts(connection, store, lease, [document_id], erased)
    for path in stray_objects(connection, store, strays):
        store.delete(path)
        erased.add_objects([path])
    _finish(connection, lease, [document_id], erased)
    return erased


def remove_source(connection: Connection, store: ObjectStore, lease: Lease) -> Erased:
    """Erase a whole source system, batch by batch; its row in kb.source stays as the tombstone.

    Searches stop finding it first. Documents that were forgotten keep their own tombstones. Ended by a crash, it is
    completed by calling it again.
    """
    erased = Erased()
    source = lease.source_system
    with connection.transaction():
        lease.check(connection)
        connection.execute(
            "INSERT INTO kb.source (source_system, removed_at) VALUES (%s, now()) ON CONFLICT (source_system) DO UPDATE"
            " SET removed_at = coalesce(kb.source.removed_at, now()), listing_digest = NULL, brake = NULL",
            (source,),
        )
    fault_point("erase.source_marked")
    while documents := _select(connection, source, f"{_SHOWN} OR d.deleted_at IS NULL"):
        _hide(connection, lease, documents, erased, forgotten=False)
    while documents := _select(connection, source, f"d.forgotten_at IS NULL OR {_UNFINISHED}"):
        _erase_artifacts(connection, store, lease, documents, erased)
        _finish(connection, lease, documents, erased)
        erased.documents += len(documents)
    with connection.transaction():
        lease.check(connection)
        for table in ("hint", "source_lease"):
            count = connection.execute(
                sql.SQL("DELETE FROM {} WHERE source_system = %s").format(identifier(table)), (source,)
            ).rowcount
            erased.add_rows(table, count)
    return erased


_SHOWN = "EXISTS (SELECT FROM kb.chunk c WHERE c.document_id = d.document_id)"
_UNFINISHED = "EXISTS (SELECT FROM kb.document_version v WHERE v.document_id = d.document_id)"


def _select(connection: Connection, source_system: str, condition: str) -> list[str]:
    rows = connection.execute(
        f"SELECT d.document_id FROM kb.document d WHERE d.source_system = %s AND ({condition})"  # noqa: S608
        f" ORDER BY d.document_id LIMIT {BATCH}",
        (source_system,),
    )
    return [row[0] for row in rows]


# The key may be personal data, and so may what was derived from it; the id is enough to know the object again.
_TOMBSTONE = """
UPDATE kb.document SET forgotten_at = coalesce(forgotten_at, now()), deleted_at = coalesce(deleted_at, now()),
    key = document_id, display_name = NULL, display_policy = NULL, etag = NULL, version_id = NULL, size = NULL,
    modified_at = NULL, media_type = NULL, access_groups = '{}', attributes = '{}', settled_key = NULL, attempts = 0,
    retry_at = NULL
WHERE document_id = ANY(%s)
"""
_DELETED = """
UPDATE kb.document SET deleted_at = coalesce(deleted_at, now()), settled_key = NULL WHERE document_id = ANY(%s)
"""


def _hide(connection: Connection, lease: Lease, documents: Sequence[str], erased: Erased, *, forgotten: bool) -> None:
    """Take documents out of everything that is searched, and mark them."""
    ids = list(documents)
    tables = [row[0] for row in connection.execute("SELECT table_name FROM kb.space ORDER BY table_name")]
    with connection.transaction():
        lease.check(connection)
        for table in tables:
            vectors = sql.SQL(
                "DELETE FROM {} WHERE chunk_id IN (SELECT chunk_id FROM kb.chunk WHERE document_id = ANY(%s))"
            )
            erased.add_rows(table, connection.execute(vectors.format(identifier(table)), (ids,)).rowcount)
        for table, condition in (
            ("chunk", "document_id = ANY(%s)"),
            ("stage_state", "document_id = ANY(%s) AND stage = 'publish'"),
            (
                "hint",
                "(source_system, key) IN (SELECT source_system, key FROM kb.document WHERE document_id = ANY(%s))",
            ),
        ):
            query = sql.SQL("DELETE FROM {} WHERE ").format(identifier(table)) + sql.SQL(condition)
            erased.add_rows(table, connection.execute(query, (ids,)).rowcount)
        connection.execute(_TOMBSTONE if forgotten else _DELETED, (ids,))
    fault_point("erase.hidden")


# Documents that are being erased, now or by a call that did not come to its end, do not count.
_USED = """
EXISTS (SELECT FROM kb.stage_state s JOIN kb.document d USING (document_id)
    WHERE s.fingerprint = a.fingerprint AND s.document_id <> ALL(%(documents)s) AND d.forgotten_at IS NULL
      AND NOT EXISTS (SELECT FROM kb.source r WHERE r.source_system = d.source_system AND r.removed_at IS NOT NULL))
"""


def _erase_artifacts(
    connection: Connection, store: ObjectStore, lease: Lease, documents: Sequence[str], erased: Erased
) -> None:
    found = traces(connection, documents)
    for start in range(0, len(found), BATCH):
        values = {"names": found[start : start + BATCH], "documents": list(documents)}
        with connection.transaction():
            lease.check(connection)
            # Reuse by another document has the row FOR SHARE until it is named: wait for that, then look again.
            connection.execute(
                "SELECT FROM kb.artifact WHERE fingerprint = ANY(%(names)s) ORDER BY fingerprint FOR UPDATE", values
            )
            rows = connection.execute(
                "SELECT fingerprint, uri, expired_at FROM kb.artifact a"  # noqa: S608
                f" WHERE fingerprint = ANY(%(names)s) AND NOT {_USED}",
                values,
            ).fetchall()
            names, paths = [row[0] for row in rows], [row[1] for row in rows]
            delete_objects(store, paths)
            fault_point("erase.objects_deleted")
            for table in ("vector_ref", "artifact"):
                query = sql.SQL("DELETE FROM {} WHERE fingerprint = ANY(%s)").format(identifier(table))
                erased.add_rows(table, connection.execute(query, (names,)).rowcount)
        erased.add_objects(path for _, path, expired_at in rows if expired_at is None)
        erased.kept += len(values["names"]) - len(names)
        fault_point("erase.artifacts_committed")


def _finish(connection: Connection, lease: Lease, documents: Sequence[str], erased: Erased) -> None:
    """Erase the history, by which the artifacts were found. Only tombstones of forgotten documents are left."""
    ids = list(documents)
    with connection.transaction():
        lease.check(connection)
        for table in ("stage_state", "document_version"):
            query = sql.SQL("DELETE FROM {} WHERE document_id = ANY(%s)").format(identifier(table))
            erased.add_rows(table, connection.execute(query, (ids,)).rowcount)
        connection.execute("UPDATE kb.document SET content_hash = NULL WHERE document_id = ANY(%s)", (ids,))
        removed = "DELETE FROM kb.document WHERE document_id = ANY(%s) AND forgotten_at IS NULL"
        erased.add_rows("document", connection.execute(removed, (ids,)).rowcount)
    fault_point("erase.finished")
