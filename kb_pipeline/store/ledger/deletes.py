"""Deletes: documents their source lacks leave every table in one transaction with the ledger, unless the brake holds.

A document whose bytes live on under another key (a move) is deleted once that one is settled, published or refused, so
that what it says can be found meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg.types.json import Jsonb

from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.planning import Deletes
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.outcomes import unsettle

PAGE = 500

_GONE = (
    "kb.hint h JOIN kb.document d ON d.source_system = h.source_system AND d.key = h.key AND d.deleted_at IS NULL"
    " WHERE h.source_system = %(source)s AND h.gone"
)
_SAME_BYTES = (
    "SELECT FROM kb.document o WHERE o.source_system = d.source_system AND o.content_hash = d.content_hash"
    " AND o.document_id <> d.document_id AND o.deleted_at IS NULL AND NOT EXISTS (SELECT FROM kb.hint g"
    " WHERE g.source_system = o.source_system AND g.key = o.key AND g.gone)"
)
_LIVES_ON = f"EXISTS ({_SAME_BYTES})"
# ... and has work left, due or waiting for its time.
_AHEAD = f"EXISTS ({_SAME_BYTES} AND o.settled_key IS DISTINCT FROM %(chain)s)"


def count_deletes(connection: Connection, source_system: str) -> Deletes:
    """What deleting would take from the source; `live` are the documents it had before the last of them was missed."""
    row = connection.execute(
        f"SELECT count(*), count(*) FILTER (WHERE {_LIVES_ON}), max(h.received_at) FROM {_GONE}",  # noqa: S608
        {"source": source_system},
    ).fetchone()
    if row is None or not row[0]:
        return Deletes(0, 0, 0)
    gone, moved, since = row
    live = connection.execute(
        "SELECT count(*) FILTER (WHERE first_seen_at < %(since)s), count(*) FILTER (WHERE first_seen_at >= %(since)s)"
        " FROM kb.document WHERE source_system = %(source)s AND deleted_at IS NULL AND forgotten_at IS NULL",
        {"source": source_system, "since": since},
    ).fetchone()
    return Deletes(gone, moved, *(live or (0, 0)))


def count_gone(connection: Connection, source_system: str) -> int:
    """How many keys of documents are gone from the source and wait to be deleted."""
    row = connection.execute(
        "SELECT count(*) FROM kb.hint WHERE source_system = %s AND gone", (source_system,)
    ).fetchone()
    return row[0] if row else 0


def count_moving(connection: Connection, source_system: str, chain: str) -> int:
    """How many documents that are gone stay until those that hold their bytes are settled under `chain`."""
    row = connection.execute(
        f"SELECT count(*) FROM {_GONE} AND {_AHEAD}",  # noqa: S608
        {"source": source_system, "chain": chain},
    ).fetchone()
    return row[0] if row else 0


def set_brake(connection: Connection, lease: Lease, deletes: Deletes | None) -> None:
    """Say, or take back, that deletes of this source wait for a word. Not written again while nothing changed."""
    value = None if deletes is None else {"gone": deletes.lost, "live": deletes.live, "moved": deletes.moved}
    with connection.transaction():
        lease.check(connection)
        connection.execute(
            "UPDATE kb.source SET brake = CASE WHEN %(value)s::jsonb IS NULL THEN NULL ELSE %(value)s::jsonb"
            " || jsonb_build_object('since', coalesce(brake->>'since', now()::text)) END"
            " WHERE source_system = %(source)s AND (brake - 'since') IS DISTINCT FROM %(value)s::jsonb",
            {"source": lease.source_system, "value": Jsonb(value) if value else None},
        )


def delete_gone(connection: Connection, lease: Lease, chain: str, among: Sequence[str] | None = None) -> int:
    """Delete documents that are gone: their chunks and vectors in every space, and what the ledger says is published.
    `among`: those of these keys alone. Those whose bytes live on under another key stay until that is settled under
    `chain` (stages.chain_key). Small transactions; returns how many documents."""
    query = f"SELECT d.document_id, h.key FROM {_GONE} AND NOT {_AHEAD}"  # noqa: S608
    query += "" if among is None else " AND h.key = ANY(%(among)s)"
    values = {"source": lease.source_system, "chain": chain, "page": PAGE, "among": list(among or ())}
    count = 0
    while True:
        with connection.transaction():
            lease.check(connection)
            found = connection.execute(query + " LIMIT %(page)s", values).fetchall()
            if not found:
                return count
            documents = [row[0] for row in found]
            withdraw(connection, documents)
            connection.execute(
                "UPDATE kb.document SET deleted_at = now(), settled_key = NULL, retry_at = NULL, attempts = 0"
                " WHERE document_id = ANY(%s)",
                (documents,),
            )
            connection.execute(
                "DELETE FROM kb.hint WHERE source_system = %s AND key = ANY(%s)",
                (lease.source_system, [row[1] for row in found]),
            )
        count += len(documents)
        fault_point("delete.committed")


def withdraw(connection: Connection, documents: list[str]) -> None:
    """Take documents out of every table that searches read, and say so in the ledger. In the caller's transaction."""
    connection.execute("DELETE FROM kb.chunk WHERE document_id = ANY(%s)", (documents,))
    connection.execute("DELETE FROM kb.stage_state WHERE document_id = ANY(%s) AND stage = 'publish'", (documents,))
    connection.execute(
        "UPDATE kb.document_version SET withdrawn_at = now()"
        " WHERE document_id = ANY(%s) AND published_at IS NOT NULL AND withdrawn_at IS NULL",
        (documents,),
    )
    unsettle(connection, documents)
