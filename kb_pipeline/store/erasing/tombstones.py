"""Tombstones of forgotten documents: by their ids later listings know what not to take in. They keep no name."""

from __future__ import annotations

from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.lease import Lease


def forgotten(connection: Connection, source_system: str) -> set[str]:
    """Ids of a source's forgotten documents. Whoever has a key finds its id by core.identity.document_id."""
    rows = connection.execute(
        "SELECT document_id FROM kb.document WHERE source_system = %s AND forgotten_at IS NOT NULL", (source_system,)
    )
    return {document_id for (document_id,) in rows}


def count(connection: Connection) -> dict[str, int]:
    """How many documents of each source system are forgotten."""
    rows = connection.execute(
        "SELECT source_system, count(*) FROM kb.document WHERE forgotten_at IS NOT NULL GROUP BY 1"
    )
    return dict(rows.fetchall())


def remove(connection: Connection, lease: Lease, document_id: str) -> None:
    """Take a tombstone away. The next listing is compared again though it is the last one's, for its object is new."""
    with connection.transaction():
        lease.check(connection)
        connection.execute(
            "DELETE FROM kb.document WHERE document_id = %s AND source_system = %s AND forgotten_at IS NOT NULL",
            (document_id, lease.source_system),
        )
        connection.execute(
            "UPDATE kb.source SET listing_digest = NULL WHERE source_system = %s", (lease.source_system,)
        )
