"""What lies in the object store, listed and compared with the ledger: objects without a row, and the source itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from kb_pipeline.core.selection import Selection
from kb_pipeline.store.database import Connection
from kb_pipeline.store.erasing.collect import ORPHANS, load_objects
from kb_pipeline.store.ledger.listings import Listing
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.verify.problems import Expected, Problem


def verify_objects(connection: Connection, store: ObjectStore, grace_hours: float) -> Iterator[Problem]:
    """Objects below artifacts/ that no row names and that are older than `grace_hours`. Lists all of them."""
    load_objects(connection, store)
    row = connection.execute(
        f"SELECT count(*), coalesce(sum(size), 0)::bigint FROM ({ORPHANS} AND o.modified_at < %(before)s) o",  # noqa: S608
        {"before": datetime.now(UTC) - timedelta(hours=grace_hours)},
    ).fetchone()
    count, size = row or (0, 0)
    if count:
        detail = (
            f"{count} objects below artifacts/ ({size} bytes) are named by no row of kb.artifact and older than"
            f" {grace_hours:g} hours: `kb collect` deletes them."
        )
        yield Problem("orphaned-objects", "", "", detail, True, repair="sweep")


# Keys that a hint names are known to be looked at; `observed` is the listing. Nothing asks for what patterns exclude.
_DIFFERENCES = """
WITH pairs AS (
    SELECT o.document_id AS there, d.document_id AS here, d.deleted_at, d.forgotten_at,
        (d.etag, d.size) IS DISTINCT FROM (o.etag, o.size) AS differs, coalesce(o.excluded, false) AS excluded
    FROM observed o FULL JOIN (SELECT * FROM kb.document WHERE source_system = %(source)s) d USING (document_id)
    WHERE NOT EXISTS (SELECT FROM kb.hint h WHERE h.source_system = %(source)s AND h.key = coalesce(o.key, d.key))
)
SELECT count(*) FILTER (WHERE NOT excluded
        AND (here IS NULL OR there IS NOT NULL AND deleted_at IS NOT NULL AND forgotten_at IS NULL)),
    count(*) FILTER (WHERE here IS NOT NULL AND there IS NOT NULL AND deleted_at IS NULL AND differs),
    count(*) FILTER (WHERE there IS NULL AND deleted_at IS NULL)
FROM pairs
"""


def verify_listing(
    connection: Connection, store: ObjectStore, one: Expected, prefix: str, selection: Selection | None = None
) -> Iterator[Problem]:
    """Whether the ledger names what lies below `prefix` and `selection` takes in, by key, size and ETag, or a hint says
    that it is to be looked at. Reads no object body."""
    if one.removed:
        return
    with Listing(one.source_system, store.list(prefix), selection) as listing:
        listing.load(connection)
    row = connection.execute(_DIFFERENCES, {"source": one.source_system}).fetchone()
    missing, different, gone = row or (0, 0, 0)
    if missing or different or gone:
        detail = (
            f"of the {listing.count} objects that the source has now, {missing} are not in kb.document and {different}"
            f" have another size or ETag there; {gone} documents are gone from the source; no hint says so:"
            f" `kb sync {one.source_system}` looks at them."
        )
        yield Problem("unlisted-changes", one.source_system, "", detail, True, repair="relist")
