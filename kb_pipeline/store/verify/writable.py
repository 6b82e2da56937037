"""Whether a run could write: the rights it needs, and a row in each table on its way, all taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg import sql

from kb_pipeline.core.errors import DatabaseUnavailable, DiskFull
from kb_pipeline.store.database import Connection, identifier, migrate
from kb_pipeline.store.published.spaces import Space, active_space

# What waits for a lock of a run that works now says nothing of the next one: better no answer than a long wait.
LOCK_SECONDS = 5
_NAME = "(a row that is taken back)"  # no source system can have this name

_MISSING = """
SELECT r.privilege || ' on kb.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) WITH ORDINALITY AS r (privilege, place)
WHERE n.nspname = 'kb' AND c.relkind = 'r' AND (c.relname <> 'migration' OR r.privilege = 'SELECT')
  AND NOT has_table_privilege(c.oid, r.privilege)
ORDER BY c.relname, r.place
"""
# The first vectors make a table; the end of the first load makes its index, which only the owner of the table may.
_MAY_CREATE = "SELECT has_schema_privilege('kb', 'CREATE')"
_MAY_INDEX = (
    "SELECT pg_has_role(relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(%s) AND to_regclass(%s) IS NULL"
)
_ROWS = (
    "CREATE TEMP TABLE kb_taken_back (document_id text)",
    "INSERT INTO kb.source (source_system) VALUES (%(name)s)",
    "INSERT INTO kb.hint (source_system, key) VALUES (%(name)s, %(name)s)",
    "INSERT INTO kb.document (document_id, source_system, key) VALUES (%(name)s, %(name)s, %(name)s)",
    "INSERT INTO kb.stage_state (document_id, stage, stage_key, status) VALUES (%(name)s, 'raw', '', 'ok')",
    "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, text_hash)"
    " VALUES (%(name)s, %(name)s, 0, '', '', '')",
)


def check_writable(connection: Connection) -> Space | None:
    """Bring the schema up to date and write a row as a run would, and take both back. Returns the active space. Raises
    DatabaseUnavailable (no rights, read-only) or DiskFull; nothing is left either way."""
    with _refusals(), connection.transaction(force_rollback=True):
        connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_SECONDS}s",))
        migrate(connection)
        missing = [row[0] for row in connection.execute(_MISSING)]
        space = active_space(connection) if "SELECT on kb.space" not in missing else None
        missing += _missing_of(connection, space)
        if missing:
            raise DatabaseUnavailable(
                f"The user of KB_DATABASE_DSN lacks rights that a run needs: {', '.join(missing)}.",
                "Grant them, or connect as the owner of the schema kb.",
            )
        for statement in _ROWS:
            connection.execute(statement, {"name": _NAME})
        if space:
            connection.execute(
                sql.SQL("INSERT INTO {} VALUES (%s, %s, array_fill(1, ARRAY[%s])::real[]::halfvec)").format(
                    identifier(space.table_name)
                ),
                (_NAME, _NAME, space.dimension),
            )
    return space


def _missing_of(connection: Connection, space: Space | None) -> list[str]:
    if space is None:
        return [] if connection.execute(_MAY_CREATE).fetchone() == (True,) else ["CREATE on schema kb"]
    table = f"kb.{space.table_name}"
    row = connection.execute(_MAY_INDEX, (table, f"{table}_hnsw")).fetchone()
    return [f"ownership of {table}"] if row == (False,) else []


@contextmanager
def _refusals() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.ReadOnlySqlTransaction:
        raise DatabaseUnavailable(
            "PostgreSQL takes no writes here: it is read-only (a standby, or default_transaction_read_only).",
            "Let KB_DATABASE_DSN name the primary and a user who may write.",
        ) from None
    except psycopg.errors.DiskFull:
        raise DiskFull("PostgreSQL's disk is full.", "Free some space, then sync again.") from None
    except psycopg.errors.LockNotAvailable:
        raise DatabaseUnavailable(
            f"PostgreSQL did not take a row within {LOCK_SECONDS} s: a lock is held.",
            "Look into pg_stat_activity, or try again when no run or upgrade is at work.",
        ) from None
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"PostgreSQL refuses a row as a run writes it ({type(error).__name__}).", "Look at the server's log."
        ) from None
