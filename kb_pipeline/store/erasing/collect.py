"""Garbage collection: what documents deleted long ago left behind, artifacts that nothing names, objects without a row,
and the objects of artifacts below clear/ whose own retention is over (their rows stay: store.expired).

It may run beside any run. Reuse holds an artifact's row FOR SHARE in the transaction that names it; collection takes
it FOR UPDATE, skips those held, then looks once more, in a new statement, whether anything names it. An object goes
by the path in the row, which no later artifact has: every write has a path of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from kb_pipeline.core.faults import fault_point
from kb_pipeline.store.database import Connection
from kb_pipeline.store.objects.artifacts import ROOTS
from kb_pipeline.store.objects.object_store import ObjectStore

ARTIFACTS = "artifacts"
BATCH = 200
DELETERS = 8


@dataclass(frozen=True, slots=True)
class Clear:
    """The retention of clear/: `days` after it was made, an artifact's object goes if each live document that names it
    is settled under the key of its source in `chains` (stages.chain_key): no run has a use for it."""

    days: float
    chains: Mapping[str, str]


@dataclass(slots=True)
class Collected:
    """What was collected, or what would be. `bytes` are those of all objects that go: of the `artifacts` (counted
    `by_stage`), of those `cleared` and of the `objects_orphaned`. `documents_expired` lost their stage rows, after the
    retention; `cleared` artifacts below clear/ lost their objects alone, after theirs."""

    artifacts: int = 0
    cleared: int = 0
    bytes: int = 0
    objects_orphaned: int = 0
    documents_expired: int = 0
    by_stage: dict[str, int] = field(default_factory=dict)

    def add(self, stage: str, count: int, size: int) -> None:
        """Count artifacts of one stage with their bytes."""
        self.artifacts += count
        self.bytes += size
        self.by_stage[stage] = self.by_stage.get(stage, 0) + count


def collect(
    connection: Connection,
    store: ObjectStore,
    *,
    retention_days: float,
    grace_hours: float,
    dry_run: bool,
    clear: Clear | None = None,
) -> Collected:
    """Collect garbage; with `dry_run` change nothing and report the same.

    Documents deleted longer ago than `retention_days` give up their artifacts; the documents and their versions stay on
    record. An object that no ledger row names must be older than `grace_hours`: a younger one may belong to a run that
    has not come to its commit. Raises ServiceUnavailable when a service is down; what was done until then stays.
    """
    collected = Collected()
    if dry_run:
        _foresee(connection, collected, retention_days, clear)
    else:
        _expire(connection, collected, retention_days)
        _collect_artifacts(connection, store, collected)
        if clear:
            _clear(connection, store, collected, clear)
    sweep(connection, store, collected, grace_hours=grace_hours, dry_run=dry_run)
    return collected


# One that still has chunks is not done with: withdrawing it comes first.
_EXPIRED = (
    "SELECT d.document_id FROM kb.document d WHERE d.deleted_at < now() - make_interval(secs => %(days)s * 86400)"
    " AND EXISTS (SELECT FROM kb.stage_state s WHERE s.document_id = d.document_id)"
    " AND NOT EXISTS (SELECT FROM kb.chunk c WHERE c.document_id = d.document_id)"
)


_UNNAMED = "NOT EXISTS (SELECT FROM kb.stage_state s WHERE s.fingerprint = a.fingerprint)"
_CLEARED = (
    "a.stage = ANY(%(clear_stages)s) AND a.expired_at IS NULL"
    " AND a.created_at <= now() - make_interval(secs => %(clear_days)s * 86400)"
    " AND NOT EXISTS (SELECT FROM kb.stage_state s JOIN kb.document d USING (document_id)"
    "   WHERE s.fingerprint = a.fingerprint AND d.deleted_at IS NULL"
    "   AND (d.settled_key = %(chains)s ->> d.source_system) IS NOT TRUE)"
)


def _values_of(clear: Clear | None) -> dict[str, Any]:
    """The parameters of _CLEARED; without a retention there is no stage to clear."""
    stages = [stage for stage, root in ROOTS.items() if root == "clear"] if clear else []
    days, chains = (clear.days, clear.chains) if clear else (0, {})
    return {"clear_stages": stages, "clear_days": days, "chains": Jsonb(dict(chains))}


def _foresee(connection: Connection, collected: Collected, retention_days: float, clear: Clear | None) -> None:
    rows = connection.execute(
        f"WITH expired AS MATERIALIZED ({_EXPIRED}), kept AS MATERIALIZED (SELECT DISTINCT s.fingerprint"  # noqa: S608
        "   FROM kb.stage_state s WHERE s.fingerprint IS NOT NULL AND s.document_id NOT IN (TABLE expired))"
        " SELECT 'expired', '', count(*), 0 FROM expired UNION ALL"
        " SELECT 'cleared', '', count(*), coalesce(sum(a.size), 0)::bigint FROM kb.artifact a JOIN kept USING"
        f"   (fingerprint) WHERE {_CLEARED} UNION ALL"
        " SELECT 'unnamed', a.stage, count(*), sum(a.size)::bigint FROM kb.artifact a LEFT JOIN kept k"
        "   USING (fingerprint) WHERE k.fingerprint IS NULL GROUP BY a.stage",
        {"days": retention_days, **_values_of(clear)},
    )
    for why, stage, count, size in rows:
        if why == "expired":
            collected.documents_expired = count
        elif why == "cleared":
            collected.cleared = count
            collected.bytes += size
        else:
            collected.add(stage, count, size)


def _expire(connection: Connection, collected: Collected, retention_days: float) -> None:
    """Take the stage rows of documents deleted long ago. One that comes back just now is locked, or seen as live."""
    while True:
        with connection.transaction():
            rows = connection.execute(
                f"{_EXPIRED} LIMIT {BATCH} FOR UPDATE OF d SKIP LOCKED", {"days": retention_days}
            ).fetchall()
            if not rows:
                return
            connection.execute("DELETE FROM kb.stage_state WHERE document_id = ANY(%s)", ([row[0] for row in rows],))
        collected.documents_expired += len(rows)
        fault_point("collect.expired")


def _collect_artifacts(connection: Connection, store: ObjectStore, collected: Collected) -> None:
    after = ""
    while True:
        with connection.transaction():
            rows = connection.execute(
                f"SELECT a.fingerprint FROM kb.artifact a WHERE a.fingerprint > %s AND {_UNNAMED}"  # noqa: S608
                " ORDER BY a.fingerprint LIMIT %s FOR UPDATE SKIP LOCKED",
                (after, BATCH),
            ).fetchall()
            if not rows:
                return
            # A new statement sees what was named between the one before began and it locked the row.
            gone = connection.execute(
                f"DELETE FROM kb.artifact a WHERE a.fingerprint = ANY(%s) AND {_UNNAMED}"  # noqa: S608
                " RETURNING a.stage, a.size, a.uri",
                ([row[0] for row in rows],),
            ).fetchall()
            fault_point("collect.rows_deleted")
        fault_point("collect.rows_committed")
        delete_objects(store, [uri for _, _, uri in gone])
        fault_point("collect.objects_deleted")
        for stage, size, _ in gone:
            collected.add(stage, 1, size)
        after = rows[-1][0]


def _clear(connection: Connection, store: ObjectStore, collected: Collected, clear: Clear) -> None:
    """Delete the objects of artifacts below clear/ after their retention. A row that says so first: an object that a
    crash leaves behind then is an orphan."""
    values = {**_values_of(clear), "after": "", "batch": BATCH}
    while True:
        with connection.transaction():
            rows = connection.execute(
                f"SELECT a.fingerprint, a.size FROM kb.artifact a WHERE a.fingerprint > %(after)s AND {_CLEARED}"  # noqa: S608
                f" AND NOT {_UNNAMED} ORDER BY a.fingerprint LIMIT %(batch)s FOR UPDATE SKIP LOCKED",
                values,
            ).fetchall()
            if not rows:
                return
            sizes: dict[str, int] = dict(rows)
            gone = connection.execute(
                "UPDATE kb.artifact a SET expired_at = now(), size = 0"  # noqa: S608
                f" WHERE a.fingerprint = ANY(%(names)s) AND {_CLEARED} RETURNING a.fingerprint, a.uri",
                {**values, "names": list(sizes)},
            ).fetchall()
            fault_point("collect.clear_marked")
        fault_point("collect.clear_committed")
        delete_objects(store, [uri for _, uri in gone])
        fault_point("collect.clear_deleted")
        collected.cleared += len(gone)
        collected.bytes += sum(sizes[name] for name, _ in gone)
        values["after"] = rows[-1][0]


def sweep(
    connection: Connection, store: ObjectStore, collected: Collected, *, grace_hours: float, dry_run: bool
) -> None:
    """Delete objects older than `grace_hours` that no row names: of crashed runs, and of two that made the same."""
    before = datetime.now(UTC) - timedelta(hours=grace_hours)
    load_objects(connection, store)
    with connection.transaction(), connection.cursor(name="orphans") as cursor:
        cursor.execute(f"{ORPHANS} AND o.modified_at < %(before)s", {"before": before})
        while rows := cursor.fetchmany(BATCH):
            if not dry_run:
                delete_objects(store, [uri for uri, _ in rows])
                fault_point("collect.orphans_deleted")
            collected.objects_orphaned += len(rows)
            collected.bytes += sum(size for _, size in rows)


# Of the session table that load_objects fills. What a row names that says it expired was left by a crash.
ORPHANS = (
    "SELECT o.uri, o.size FROM stored_object o LEFT JOIN kb.artifact a ON a.uri = o.uri AND a.expired_at IS NULL"
    " WHERE a.uri IS NULL"
)


def load_objects(connection: Connection, store: ObjectStore) -> None:
    """Stream the listing of all artifacts' objects into the session table stored_object (uri, size, modified_at)."""
    connection.execute(
        "CREATE TEMP TABLE IF NOT EXISTS stored_object (uri text PRIMARY KEY, size bigint, modified_at timestamptz)"
    )
    with connection.transaction():
        connection.execute("TRUNCATE stored_object")
        with connection.cursor() as cursor, cursor.copy("COPY stored_object FROM STDIN") as copy:
            for item in store.list(ARTIFACTS):
                copy.write_row((f"{ARTIFACTS}/{item.key}", item.size, item.modified_at))
        connection.execute("ANALYZE stored_object")


def delete_objects(store: ObjectStore, paths: Sequence[str]) -> None:
    """Delete objects, several requests at a time. Those that are gone already are no error."""
    with ThreadPoolExecutor(DELETERS) as pool:
        for _ in pool.map(store.delete, paths):
            pass
