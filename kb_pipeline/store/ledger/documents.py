"""The ledger of documents: what was observed of each, its versions, its masked name, who may read it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from kb_pipeline.core.identity import document_id
from kb_pipeline.core.planning import Change, pause_seconds
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.hints import postpone, remove_hints
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.object_store import ObjectInfo

PAGE = 500


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the ledger has of a document. `content_hash` is None before its bytes were read once."""

    content_hash: str | None
    deleted: bool
    forgotten: bool


@dataclass(frozen=True, slots=True)
class Version:
    """What reading the bytes told: sha256, media type and the size that was read."""

    content_hash: str
    media_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Observation:
    """An object that was looked at, with what became of reading it: a version, or why there is none.

    `received_at` is the hint's; `attempts` counts earlier failures; `groups` may read the document.
    """

    seen: ObjectInfo
    received_at: datetime
    known: Recorded | None
    version: Version | None
    status: str = "ok"
    error_class: str | None = None
    error_message: str | None = None
    attempts: int = 0
    change: Change | None = None
    groups: Sequence[str] = field(default_factory=tuple)


def recorded(connection: Connection, source_system: str, keys: Sequence[str]) -> dict[str, Recorded]:
    """What the ledger has of these keys; new ones are left out. A forgotten document is found by its id alone."""
    ids = {document_id(source_system, key): key for key in keys}
    rows = connection.execute(
        "SELECT document_id, content_hash, deleted_at IS NOT NULL, forgotten_at IS NOT NULL FROM kb.document"
        " WHERE document_id = ANY(%s)",
        (list(ids),),
    )
    return {ids[of]: Recorded(content_hash, deleted, forgotten) for of, content_hash, deleted, forgotten in rows}


def held_elsewhere(connection: Connection, source_system: str, hashes: Sequence[str]) -> dict[str, dict[str, bool]]:
    """content hash -> {key: whether it is gone} of the live documents of the source that hold these bytes."""
    rows = connection.execute(
        "SELECT d.content_hash, d.key, coalesce(h.gone, false) FROM kb.document d LEFT JOIN kb.hint h"
        " ON h.source_system = d.source_system AND h.key = d.key"
        " WHERE d.source_system = %s AND d.deleted_at IS NULL AND d.content_hash = ANY(%s)",
        (source_system, list(hashes)),
    )
    found: dict[str, dict[str, bool]] = {}
    for content_hash, key, gone in rows:
        found.setdefault(content_hash, {})[key] = gone
    return found


_ROWS = """
FROM jsonb_to_recordset(%(rows)s) AS r (document_id text, key text, etag text, version_id text, size bigint,
    modified_at timestamptz, media_type text, content_hash text, groups text[], status text,
    error_class text, error_message text)
"""
# New bytes, or a document that came back, are work for the stages: settled_key goes. One that was deleted comes back
# with what was read now, never with its old version; a look that failed brings nothing back.
_UPSERT = f"""
WITH seen AS (SELECT * {_ROWS})
INSERT INTO kb.document AS d (document_id, source_system, key, etag, version_id, size, modified_at, media_type,
                              content_hash, access_groups)
SELECT document_id, %(source)s, key, etag, version_id, size, modified_at, media_type, content_hash, groups FROM seen
ON CONFLICT (document_id) DO UPDATE SET
    etag = EXCLUDED.etag, version_id = EXCLUDED.version_id, size = EXCLUDED.size, modified_at = EXCLUDED.modified_at,
    media_type = coalesce(EXCLUDED.media_type, d.media_type), access_groups = EXCLUDED.access_groups,
    content_hash = CASE WHEN d.deleted_at IS NULL OR d.document_id = ANY(%(failed)s)
        THEN coalesce(EXCLUDED.content_hash, d.content_hash) ELSE EXCLUDED.content_hash END,
    deleted_at = CASE WHEN d.document_id = ANY(%(failed)s) THEN d.deleted_at END,
    settled_key = CASE WHEN d.document_id = ANY(%(work)s) THEN NULL ELSE d.settled_key END,
    attempts = CASE WHEN d.document_id = ANY(%(work)s) THEN 0 ELSE d.attempts END,
    retry_at = CASE WHEN d.document_id = ANY(%(work)s) THEN NULL ELSE d.retry_at END
"""  # noqa: S608 - constants
# What a deleted document was made into is taken up again stage by stage, artifacts reused: else a version that parse
# refuses would let the old one through.
_ASK_AGAIN = f"""
UPDATE kb.stage_state s SET status = 'retry' FROM kb.document d
WHERE s.document_id = d.document_id AND d.deleted_at IS NOT NULL AND s.status = 'ok' AND s.stage <> 'raw'
  AND d.document_id IN (SELECT r.document_id {_ROWS} WHERE r.status <> 'failed')
"""  # noqa: S608 - constants
_STATE = f"""
INSERT INTO kb.stage_state (document_id, stage, stage_key, output_hash, rows, status, attempts, error_class,
                            error_message, run_id)
SELECT r.document_id, 'raw', '', r.content_hash, 1, r.status, 1, r.error_class, r.error_message, %(run_id)s {_ROWS}
ON CONFLICT (document_id, stage, variant) DO UPDATE SET
    output_hash = EXCLUDED.output_hash, status = EXCLUDED.status, attempts = kb.stage_state.attempts + 1,
    error_class = EXCLUDED.error_class, error_message = EXCLUDED.error_message, run_id = EXCLUDED.run_id,
    updated_at = now()
"""


def record(connection: Connection, lease: Lease, run_id: str, observations: Sequence[Observation]) -> list[str]:
    """Write what was observed and take the hints away, in one transaction. Returns the ids of documents that were read.

    What could not be read keeps its hint, to be asked for again later; its ETag is not written down, so that no listing
    takes it for read.
    """
    source = lease.source_system
    rows = [_row(source, o) for o in observations]
    versions = [
        (document_id(source, o.seen.key), o.version.content_hash)
        for o in observations
        if o.version and (o.known is None or o.known.content_hash != o.version.content_hash)
    ]
    answered = [(o.seen.key, o.received_at) for o in observations if o.status != "failed"]
    waits = [
        (o.seen.key, pause_seconds(o.attempts + 1, random.random()))  # noqa: S311 - spreads load, hides nothing
        for o in observations
        if o.status == "failed"
    ]
    values = {
        "source": source,
        "run_id": run_id,
        "rows": Jsonb(rows),
        "work": [row["document_id"] for row, o in zip(rows, observations, strict=True) if _is_work(o)],
        "failed": [row["document_id"] for row in rows if row["status"] == "failed"],
    }
    with connection.transaction():
        lease.check(connection)
        connection.execute(_ASK_AGAIN, values)
        connection.execute(_UPSERT, values)
        connection.execute(_STATE, values)
        connection.execute(
            "INSERT INTO kb.document_version (document_id, content_hash) SELECT * FROM unnest(%s::text[], %s::text[])"
            " ON CONFLICT DO NOTHING",
            ([of for of, _ in versions], [content_hash for _, content_hash in versions]),
        )
        remove_hints(connection, source, answered)
        if waits:
            postpone(connection, source, waits)
    return [row["document_id"] for row, o in zip(rows, observations, strict=True) if o.version]


def _is_work(o: Observation) -> bool:
    """Whether the stages have something new to do: other bytes, or a document that came back."""
    if o.version is None:
        return False
    return o.known is None or o.known.content_hash != o.version.content_hash or o.known.deleted


def _row(source: str, o: Observation) -> dict[str, Any]:
    read = o.status != "failed"
    return {
        "document_id": document_id(source, o.seen.key),
        "key": o.seen.key,
        "etag": o.seen.etag if read else None,
        "version_id": o.seen.version_id if read else None,
        "size": o.seen.size if read else None,
        "modified_at": o.seen.modified_at.isoformat() if read else None,
        "media_type": o.version.media_type if o.version else None,
        "content_hash": o.version.content_hash if o.version else None,
        "groups": list(o.groups),
        "status": o.status,
        "error_class": o.error_class,
        "error_message": o.error_message,
    }


def name_documents(
    connection: Connection, lease: Lease, documents: Sequence[str], policy: str, mask: Callable[[str], str]
) -> int:
    """Give these documents their masked display name under `policy` (a hash of the masking settings), those that have
    it stay. Returns how many were named."""
    count = 0
    for at in range(0, len(documents), PAGE):
        rows = connection.execute(
            "SELECT document_id, key FROM kb.document WHERE document_id = ANY(%s)"
            " AND display_policy IS DISTINCT FROM %s",
            (list(documents[at : at + PAGE]), policy),
        ).fetchall()
        if not rows:
            continue
        with connection.transaction():
            lease.check(connection)
            connection.execute(
                "UPDATE kb.document d SET display_name = n.name, display_policy = %s, settled_key = NULL"
                " FROM unnest(%s::text[], %s::text[]) n (document_id, name) WHERE d.document_id = n.document_id",
                (policy, [of for of, _ in rows], [mask(key) for _, key in rows]),
            )
        count += len(rows)
    return count


def regroup(connection: Connection, lease: Lease, access_key: str, groups: Callable[[str], list[str]]) -> int:
    """Apply changed access rules to every live document: their rows in kb.document, and nothing else. Returns how many
    documents have other groups now."""
    count, after = 0, ""
    while True:
        rows = connection.execute(
            "SELECT document_id, key, access_groups FROM kb.document WHERE source_system = %s AND deleted_at IS NULL"
            " AND forgotten_at IS NULL AND document_id > %s ORDER BY document_id LIMIT %s",
            (lease.source_system, after, PAGE),
        ).fetchall()
        changed = [(new, of) for of, key, old in rows if (new := groups(key)) != old]
        with connection.transaction(), connection.cursor() as cursor:
            lease.check(connection)
            cursor.executemany("UPDATE kb.document SET access_groups = %s WHERE document_id = %s", changed)
            if len(rows) < PAGE:
                connection.execute(
                    "UPDATE kb.source SET access_key = %s WHERE source_system = %s", (access_key, lease.source_system)
                )
        count += len(changed)
        if len(rows) < PAGE:
            return count
        after = rows[-1][0]


def known_versions(connection: Connection, source_system: str) -> dict[str, tuple[str | None, str | None]]:
    """key -> (etag, content hash) of the live documents of a source, for `kb ingest` to compare a folder with."""
    rows = connection.execute(
        "SELECT key, etag, content_hash FROM kb.document WHERE source_system = %s AND deleted_at IS NULL",
        (source_system,),
    )
    return {key: (etag, content_hash) for key, etag, content_hash in rows}


def media_types_of(connection: Connection, documents: Sequence[str]) -> set[str | None]:
    """The media types of documents; None is that of one whose bytes could not be read."""
    rows = connection.execute(
        "SELECT DISTINCT media_type FROM kb.document WHERE document_id = ANY(%s)", (list(documents),)
    )
    return {row[0] for row in rows}
