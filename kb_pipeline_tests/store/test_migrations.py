"""The schema: applied once, and by one of however many ask at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import psycopg
import pytest
from psycopg import sql

from kb_pipeline.core.errors import DatabaseUnavailable
from kb_pipeline.store.database import connect, migrate, pgvector_version

ALL = sorted(
    item.name for item in resources.files("kb_pipeline.store.migrations").iterdir() if item.name.endswith(".sql")
)


def test_an_empty_database_gets_every_migration_in_order_and_the_second_time_none(
    new_database: Callable[..., str],
) -> None:
    with connect(new_database()) as connection:
        assert migrate(connection) == ALL
        assert migrate(connection) == []
        recorded = connection.execute("SELECT name FROM kb.migration ORDER BY applied_at, name").fetchall()
    assert [name for (name,) in recorded] == ALL


def test_each_migration_is_safe_to_run_twice(new_database: Callable[..., str]) -> None:
    with connect(new_database()) as connection:
        migrate(connection)
        connection.execute("INSERT INTO kb.document (document_id, source_system, key) VALUES ('d', 's', 'k')")
        connection.execute("DELETE FROM kb.migration")
        assert migrate(connection) == ALL
        assert connection.execute("SELECT count(*) FROM kb.document").fetchone() == (1,)


def test_of_many_that_migrate_at_once_each_file_is_applied_by_one(new_database: Callable[..., str]) -> None:
    dsn, start = new_database(), threading.Barrier(6)

    def run(_: int) -> list[str]:
        with connect(dsn) as connection:
            start.wait()
            return migrate(connection)

    with ThreadPoolExecutor(6) as threads:
        applied = list(threads.map(run, range(6)))
    assert sorted(applied) == [[]] * 5 + [ALL]


def test_a_migration_that_is_cut_short_leaves_nothing(new_database: Callable[..., str]) -> None:
    dsn = new_database()
    with psycopg.connect(dsn) as blocked, blocked.transaction(force_rollback=True):
        migrate(blocked)
    with connect(dsn) as connection:
        assert connection.execute("SELECT to_regclass('kb.document')").fetchone() == (None,)
        assert migrate(connection) == ALL


def test_a_user_who_may_not_create_the_schema_is_told_what_to_do(new_database: Callable[..., str]) -> None:
    dsn = new_database()
    with connect(dsn) as connection:
        database = connection.info.dbname
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN PASSWORD 'of-a-test'").format(sql.Identifier(database)))
    weak = psycopg.conninfo.make_conninfo(dsn, user=database, password="of-a-test")
    with connect(weak) as connection, pytest.raises(DatabaseUnavailable, match=r"may not create.*Grant"):
        migrate(connection)


def test_a_server_without_pgvector_is_named_as_such(new_database: Callable[..., str]) -> None:
    """PostgreSQL answers here as it does where the extension's files are not installed."""
    with connect(new_database()) as connection:
        connection.execute(
            "CREATE FUNCTION absent() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " RAISE EXCEPTION 'extension is not available' USING ERRCODE = 'feature_not_supported'; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER absent ON ddl_command_start WHEN TAG IN ('CREATE EXTENSION')"
            " EXECUTE FUNCTION absent()"
        )
        with pytest.raises(DatabaseUnavailable, match=r"no pgvector.*0\.8\.4"):
            migrate(connection)


def test_the_version_of_pgvector_is_known(connection: psycopg.Connection) -> None:
    assert pgvector_version(connection) >= (0, 8, 4)
