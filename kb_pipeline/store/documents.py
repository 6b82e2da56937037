"""The ledger of documents: a listing compared with it as a set, versions recorded, deletes marked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kb_pipeline.identity import document_id
from kb_pipeline.store.database import Connection
from kb_pipeline.store.lease import Lease
from kb_pipeline.store.objects import ObjectInfo

PAGE = 500


@dataclass(frozen=True, slots=True)
class Unread:
    """An object whose ETag, size or time is not the ledger's: its bytes must be hashed to know its version.

    `known_hash` is the content hash the ledger has, None for a new document; `deleted` if the ledger says so.
    """

    document_id: str
    key: str
    size: int
    etag: str | None
    version_id: str | None
    modified_at: datetime
    known_hash: str | None
    deleted: bool


@dataclass(frozen=True, slots=True)
class Version:
    """What reading the bytes told: sha256, media type and the size that was read."""

    content_hash: str
    media_type: str
    size: int


def load_listing(connection: Connection, source_system: str, listing: Iterable[ObjectInfo]) -> int:
    """Stream a listing into a session table and return the number of objects; nothing else is changed."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS observed (document_id text PRIMARY KEY, key text NOT NULL, size bigint,"
        " etag text, version_id text, modified_at timestamptz)"
    )
    count = 0
    with connection.transaction():
        connection.execute("TRUNCATE observed")
        with (
            connection.cursor() as cursor,
            cursor.copy("COPY observed (document_id, key, size, etag, version_id, modified_at) FROM STDIN") as copy,
        ):
            for item in listing:
                copy.write_row(
                    (
                        document_id(source_system, item.key),
                        item.key,
                        item.size,
                        item.etag,
                        item.version_id,
                        item.modified_at,
                    )
                )
                count += 1
        connection.execute("ANALYZE observed")
    return count


_UNREAD = """
SELECT o.document_id, o.key, o.size, o.etag, o.version_id, o.modified_at, d.content_hash, d.deleted_at IS NOT NULL
FROM observed o LEFT JOIN kb.document d USING (document_id)
LEFT JOIN kb.stage_state r ON r.document_id = o.document_id AND r.stage = 'raw' AND r.variant = ''
WHERE o.document_id > %(after)s AND d.forgotten_at IS NULL
  AND (d.document_id IS NULL OR d.deleted_at IS NOT NULL OR r.document_id IS NULL OR r.status IN ('failed', 'retry')
       OR (d.etag, d.size, d.version_id, d.modified_at)
          IS DISTINCT FROM (o.etag, o.size, o.version_id, o.modified_at))
ORDER BY o.document_id LIMIT %(page)s
"""


def unread(connection: Connection) -> Iterator[Unread]:
    """Objects of the loaded listing whose bytes must be read, a page at a time."""
    after = ""
    while True:
        rows = connection.execute(_UNREAD, {"after": after, "page": PAGE}).fetchall()
        yield from (Unread(*row) for row in rows)
        if len(rows) < PAGE:
            return
        after = rows[-1][0]


_UPSERT = """
INSERT INTO kb.document AS d
    (document_id, source_system, key, etag, version_id, size, modified_at, media_type, content_hash)
VALUES (%(document_id)s, %(source)s, %(key)s, %(etag)s, %(version_id)s, %(size)s, %(modified_at)s,
        %(media_type)s, %(content_hash)s)
ON CONFLICT (document_id) DO UPDATE SET
    etag = EXCLUDED.etag, version_id = EXCLUDED.version_id, size = EXCLUDED.size, modified_at = EXCLUDED.modified_at,
    media_type = coalesce(EXCLUDED.media_type, d.media_type),
    content_hash = coalesce(EXCLUDED.content_hash, d.content_hash), deleted_at = NULL
"""
_STATE = """
INSERT INTO kb.stage_state (document_id, stage, stage_key, output_hash, rows, status, attempts, error_class,
                            error_message, run_id)
VALUES (%(document_id)s, 'raw', '', %(content_hash)s, 1, %(status)s, 1, %(error_class)s, %(error_message)s, %(run_id)s)
ON CONFLICT (document_id, stage, variant) DO UPDATE SET
    output_hash = EXCLUDED.output_hash, status = EXCLUDED.status, attempts = kb.stage_state.attempts + 1,
    error_class = EXCLUDED.error_class, error_message = EXCLUDED.error_message, run_id = EXCLUDED.run_id,
    updated_at = now()
"""


@dataclass(frozen=True, slots=True)
class Observation:
    """An unread object with what became of reading it: a version, or why there is none."""

    item: Unread
    version: Version | None
    status: str = "ok"
    error_class: str | None = None
    error_message: str | None = None


def record(connection: Connection, lease: Lease, run_id: str, observations: Sequence[Observation]) -> None:
    """Write what was observed, in one transaction."""
    rows = [
        {
            "document_id": o.item.document_id,
            "source": lease.source_system,
            "key": o.item.key,
            "etag": o.item.etag,
            "version_id": o.item.version_id,
            "size": o.item.size,
            "modified_at": o.item.modified_at,
            "media_type": o.version.media_type if o.version else None,
            "content_hash": o.version.content_hash if o.version else None,
            "status": o.status,
            "error_class": o.error_class,
            "error_message": o.error_message,
            "run_id": run_id,
        }
        for o in observations
    ]
    changed = [
        (o.item.document_id, o.version.content_hash)
        for o in observations
        if o.version and o.version.content_hash != o.item.known_hash
    ]
    with connection.transaction(), connection.cursor() as cursor:
        lease.check(connection)
        cursor.executemany(_UPSERT, rows)
        cursor.executemany(_STATE, rows)
        cursor.executemany(
            "INSERT INTO kb.document_version (document_id, content_hash) VALUES (%s, %s) ON CONFLICT DO NOTHING",
            changed,
        )


def mark_deleted(connection: Connection, lease: Lease) -> int:
    """Mark documents that the loaded listing lacks; their rows go when the source is published. Returns how many."""
    with connection.transaction():
        lease.check(connection)
        return connection.execute(
            "UPDATE kb.document d SET deleted_at = now() WHERE source_system = %s AND deleted_at IS NULL"
            " AND NOT EXISTS (SELECT FROM observed o WHERE o.document_id = d.document_id)",
            (lease.source_system,),
        ).rowcount


def name_documents(connection: Connection, lease: Lease, policy: str, mask: Callable[[str], str]) -> int:
    """Give every document its masked display name under `policy` (a hash of the masking settings). Returns how many."""
    count = 0
    while True:
        rows = connection.execute(
            "SELECT document_id, key FROM kb.document WHERE source_system = %s AND deleted_at IS NULL"
            " AND display_policy IS DISTINCT FROM %s LIMIT %s",
            (lease.source_system, policy, PAGE),
        ).fetchall()
        if not rows:
            return count
        with connection.transaction(), connection.cursor() as cursor:
            lease.check(connection)
            cursor.executemany(
                "UPDATE kb.document SET display_name = %s, display_policy = %s WHERE document_id = %s",
                [(mask(key), policy, of) for of, key in rows],
            )
        count += len(rows)


def known_versions(connection: Connection, source_system: str) -> dict[str, tuple[str | None, str | None]]:
    """key -> (etag, content hash) of the live documents of a source, for `kb ingest` to compare a folder with."""
    rows = connection.execute(
        "SELECT key, etag, content_hash FROM kb.document WHERE source_system = %s AND deleted_at IS NULL",
        (source_system,),
    )
    return {key: (etag, content_hash) for key, etag, content_hash in rows}
