"""What a source system holds now, compared with the ledger: reads only objects whose ETag, size or time changed."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice

from kb_pipeline.errors import DocumentTooLarge, KbError, PermanentError, ServiceUnavailable
from kb_pipeline.identity import hash_stream
from kb_pipeline.media_type import HEAD_BYTES, detect
from kb_pipeline.planning import Change, change_of
from kb_pipeline.store.database import Connection
from kb_pipeline.store.documents import (
    Observation,
    Unread,
    Version,
    load_listing,
    mark_deleted,
    record,
    unread,
)
from kb_pipeline.store.lease import Lease
from kb_pipeline.store.objects import ObjectStore

READERS = 8
BATCH = 200


@dataclass(slots=True)
class Observed:
    """Counts of one observation. `changes` counts what reading told, by planning.Change."""

    listed: int = 0
    deleted: int = 0
    quarantined: int = 0
    failed: int = 0
    changes: dict[Change, int] = field(default_factory=dict)


def observe(
    connection: Connection, store: ObjectStore, lease: Lease, run_id: str, prefix: str, max_bytes: int
) -> Observed:
    """Bring the ledger's documents in step with what lies below `prefix`.

    An object that cannot be read waits, and one over `max_bytes` is quarantined; neither stops the others. Raises
    ServiceUnavailable when the store itself is down: nothing is then marked deleted.
    """
    counts = Observed(listed=load_listing(connection, lease.source_system, store.list(prefix)))
    with ThreadPoolExecutor(READERS) as readers:
        items = unread(connection)
        while batch := list(islice(items, BATCH)):
            observations = list(readers.map(lambda item: _look(store, prefix, item, max_bytes), batch))
            record(connection, lease, run_id, observations)
            for o in observations:
                _count(counts, o)
    counts.deleted = mark_deleted(connection, lease)
    return counts


def _look(store: ObjectStore, prefix: str, item: Unread, max_bytes: int) -> Observation:
    try:
        if item.size > max_bytes:
            raise DocumentTooLarge(
                f"{item.size / 1e6:.0f} MB; the limit is {max_bytes / 1e6:.0f} MB.",
                "Raise limits.document_mb in kb.yaml and retry.",
            )
        return Observation(item, _read(store, prefix, item))
    except ServiceUnavailable:
        raise
    except KbError as error:
        status = "quarantined" if isinstance(error, PermanentError) else "failed"
        return Observation(item, None, status, type(error).__name__, str(error))


def _read(store: ObjectStore, prefix: str, item: Unread) -> Version:
    head = bytearray()

    def pieces() -> Iterator[bytes]:
        for piece in store.stream(f"{prefix}/{item.key}"):
            if len(head) < HEAD_BYTES:
                head.extend(piece[: HEAD_BYTES - len(head)])
            yield piece

    content_hash, size = hash_stream(pieces())
    return Version(content_hash, detect(bytes(head), item.key), size)


def _count(counts: Observed, o: Observation) -> None:
    if o.version:
        change = change_of(o.item.known_hash, o.item.deleted, o.version.content_hash)
        counts.changes[change] = counts.changes.get(change, 0) + 1
    elif o.status == "quarantined":
        counts.quarantined += 1
    else:
        counts.failed += 1
