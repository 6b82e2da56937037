"""Hints: keys of a source system to look at. Notifications name them, a listing compared with the ledger finds them.

A hint stays until the transaction that records what looking at it told. One that came in anew meanwhile stays too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kb_pipeline.store.database import Connection
from kb_pipeline.store.objects.object_store import ObjectInfo


@dataclass(frozen=True, slots=True)
class Hint:
    """A key to look at. `seen` is what a listing saw, None when only the key is known; `gone`: the listing lacks it."""

    key: str
    received_at: datetime
    seen: ObjectInfo | None
    gone: bool
    attempts: int


def add_hints(connection: Connection, keys: Iterable[tuple[str, str]]) -> int:
    """Write (source system, key) pairs down; each key is then asked for by name. Returns how many pairs were given."""
    pairs = sorted(set(keys))
    with connection.transaction():
        connection.execute(
            "INSERT INTO kb.hint (source_system, key) SELECT * FROM unnest(%s::text[], %s::text[])"
            " ON CONFLICT (source_system, key) DO UPDATE SET received_at = clock_timestamp(), etag = NULL,"
            " version_id = NULL, size = NULL, modified_at = NULL, gone = false, attempts = 0, retry_at = NULL",
            ([source for source, _ in pairs], [key for _, key in pairs]),
        )
    return len(pairs)


# What differs from the ledger, as a set: objects that are new, came back or have another ETag, size, version or time.
# Of those that patterns exclude, only documents that are held: they stay in step until someone lets them go (drop).
_CHANGED = """
INSERT INTO kb.hint AS h (source_system, key, received_at, etag, version_id, size, modified_at)
SELECT %(source)s, o.key, clock_timestamp(), o.etag, o.version_id, o.size, o.modified_at
FROM observed o LEFT JOIN kb.document d USING (document_id)
WHERE d.forgotten_at IS NULL
  AND NOT (o.excluded AND (%(drop)s OR d.document_id IS NULL OR d.deleted_at IS NOT NULL))
  AND (%(rehash)s OR d.document_id IS NULL OR d.deleted_at IS NOT NULL
       OR (d.etag, d.size, d.version_id, d.modified_at) IS DISTINCT FROM (o.etag, o.size, o.version_id, o.modified_at))
ON CONFLICT (source_system, key) DO UPDATE SET
    received_at = EXCLUDED.received_at, etag = EXCLUDED.etag, version_id = EXCLUDED.version_id, size = EXCLUDED.size,
    modified_at = EXCLUDED.modified_at, gone = false, attempts = 0, retry_at = NULL
WHERE h.gone OR (h.etag, h.size, h.version_id, h.modified_at)
      IS DISTINCT FROM (EXCLUDED.etag, EXCLUDED.size, EXCLUDED.version_id, EXCLUDED.modified_at)
"""
# Documents the listing lacks, but for those that were looked at after it began. With drop, excluded ones are lacking.
_GONE = """
WITH missing AS MATERIALIZED (  -- few as a rule: the stages are asked about these alone
    SELECT d.document_id, d.source_system, d.key FROM kb.document d
    WHERE d.source_system = %(source)s AND d.deleted_at IS NULL AND d.forgotten_at IS NULL
      AND NOT EXISTS (SELECT FROM observed o WHERE o.document_id = d.document_id AND NOT (o.excluded AND %(drop)s)))
INSERT INTO kb.hint AS h (source_system, key, received_at, gone)
SELECT d.source_system, d.key, clock_timestamp(), true FROM missing d
WHERE NOT EXISTS (SELECT FROM kb.stage_state r WHERE r.document_id = d.document_id AND r.stage = 'raw'
                  AND r.updated_at >= %(began)s)
ON CONFLICT (source_system, key) DO UPDATE SET
    received_at = EXCLUDED.received_at, gone = true, etag = NULL, size = NULL, attempts = 0, retry_at = NULL
WHERE NOT h.gone AND h.received_at < %(began)s
"""
# Hints that this listing answers: a key that is back as it was, and one that came and went before anyone looked. Two
# statements of joins: one with OR would look through the listing anew for each hint.
_BACK = """
DELETE FROM kb.hint h USING kb.document d JOIN observed o USING (document_id)
WHERE h.source_system = %(source)s AND h.gone AND h.received_at < %(began)s
  AND d.source_system = h.source_system AND d.key = h.key AND d.deleted_at IS NULL AND NOT (o.excluded AND %(drop)s)
  AND (d.etag, d.size, d.version_id, d.modified_at) IS NOT DISTINCT FROM (o.etag, o.size, o.version_id, o.modified_at)
"""
_NEVER_SEEN = """
DELETE FROM kb.hint h WHERE h.source_system = %(source)s AND h.received_at < %(began)s
  AND NOT EXISTS (SELECT FROM observed o WHERE o.key = h.key)
  AND NOT EXISTS (SELECT FROM kb.document d
                  WHERE d.source_system = h.source_system AND d.key = h.key AND d.deleted_at IS NULL)
"""


def hint_listing(
    connection: Connection,
    source_system: str,
    digest: str,
    began: datetime,
    *,
    rehash: bool,
    drop_excluded: bool = False,
) -> int:
    """Compare the loaded listing (listings.Listing) with the ledger; write a hint for each difference, and the
    listing's digest, in one transaction. `began` is the database's time before listing; `rehash` hints every key;
    with `drop_excluded` documents that patterns exclude are gone. Returns the number of hints written."""
    values = {"source": source_system, "began": began, "rehash": rehash, "drop": drop_excluded}
    with connection.transaction():
        written = connection.execute(_CHANGED, values).rowcount
        written += connection.execute(_GONE, values).rowcount
        connection.execute(_BACK, values)
        connection.execute(_NEVER_SEEN, values)
        connection.execute(
            "INSERT INTO kb.source (source_system, listing_digest, listed_at) VALUES (%s, %s, now())"
            " ON CONFLICT (source_system) DO UPDATE SET listing_digest = EXCLUDED.listing_digest, listed_at = now()",
            (source_system, digest),
        )
        connection.execute(
            "UPDATE kb.source s SET brake = NULL WHERE source_system = %s AND brake IS NOT NULL AND NOT EXISTS"
            " (SELECT FROM kb.hint h WHERE h.source_system = s.source_system AND h.gone)",
            (source_system,),
        )
    return written


def due_hints(connection: Connection, source_system: str, limit: int) -> list[Hint]:
    """Keys to look at now, the longest waiting first; not those of documents that are gone."""
    rows = connection.execute(
        "SELECT key, received_at, etag, version_id, size, modified_at, gone, attempts FROM kb.hint"
        " WHERE source_system = %s AND NOT gone AND (retry_at IS NULL OR retry_at <= now())"
        " ORDER BY received_at, key LIMIT %s",
        (source_system, limit),
    )
    return [_hint(row) for row in rows]


def mark_gone(connection: Connection, source_system: str, hints: Sequence[Hint]) -> None:
    """Keys that were asked for and are not there: a live document waits for its delete, other hints are done with."""
    keys, times = [h.key for h in hints], [h.received_at for h in hints]
    with connection.transaction():
        connection.execute(
            "UPDATE kb.hint h SET gone = true FROM unnest(%s::text[], %s::timestamptz[]) k (key, received_at)"
            " WHERE h.source_system = %s AND h.key = k.key AND h.received_at = k.received_at AND EXISTS (SELECT FROM"
            " kb.document d WHERE d.source_system = h.source_system AND d.key = h.key AND d.deleted_at IS NULL)",
            (keys, times, source_system),
        )
        connection.execute(
            "DELETE FROM kb.hint h USING unnest(%s::text[], %s::timestamptz[]) k (key, received_at)"
            " WHERE h.source_system = %s AND h.key = k.key AND h.received_at = k.received_at AND NOT h.gone",
            (keys, times, source_system),
        )


def remove_hints(connection: Connection, source_system: str, hints: Sequence[tuple[str, datetime]]) -> None:
    """Take away hints that were answered, unless they came in anew. In the caller's transaction."""
    connection.execute(
        "DELETE FROM kb.hint h USING unnest(%s::text[], %s::timestamptz[]) k (key, received_at)"
        " WHERE h.source_system = %s AND h.key = k.key AND h.received_at = k.received_at",
        ([key for key, _ in hints], [at for _, at in hints], source_system),
    )


def postpone(connection: Connection, source_system: str, waits: Sequence[tuple[str, float]]) -> None:
    """Keys whose reading failed are asked for again, by name, after so many seconds. In the caller's transaction."""
    connection.execute(
        "UPDATE kb.hint h SET attempts = attempts + 1, retry_at = now() + make_interval(secs => w.seconds),"
        " etag = NULL, version_id = NULL, size = NULL, modified_at = NULL"
        " FROM unnest(%s::text[], %s::float8[]) w (key, seconds) WHERE h.source_system = %s AND h.key = w.key",
        ([key for key, _ in waits], [seconds for _, seconds in waits], source_system),
    )


def _hint(row: tuple[Any, ...]) -> Hint:
    key, received_at, etag, version_id, size, modified_at, gone, attempts = row
    seen = None if size is None else ObjectInfo(key, size, etag, modified_at, version_id)
    return Hint(key, received_at, seen, gone, attempts)
