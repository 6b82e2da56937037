"""infra/postgres on a real server: what each role may do, and what it may not."""

from __future__ import annotations

import psycopg
import pytest

from kb_pipeline.store.database import connect, migrate
from kb_pipeline.store.published import spaces
from kb_pipeline_tests.infra.conftest import PASSWORDS, Server

OWNER, READER, DAGSTER = PASSWORDS.values()


@pytest.fixture(scope="module")
def ready(server: Server) -> Server:
    """The owner made the tables and a space with one chunk, and let the reader in."""
    with connect(server.dsn("kb", OWNER)) as connection:
        migrate(connection)
        space = spaces.ensure_space(
            connection, model="m", revision="r", instruction="", native_dimension=2, dimension=None
        )
        connection.execute(
            "INSERT INTO kb.document (document_id, source_system, key, display_name) VALUES ('d', 'hr', 'k', 'shown')"
        )
        connection.execute(
            "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, text_hash)"
            " VALUES ('c', 'd', 0, 'masked text', '', 't')"
        )
        table = spaces.identifier(space.table_name)
        connection.execute(psycopg.sql.SQL("INSERT INTO {} VALUES ('c', 'hr', '[1,0]')").format(table))
    server.psql("reader.sql", server.dsn("kb", OWNER))
    return server


def test_the_owner_of_the_tables_is_no_superuser(ready: Server) -> None:
    with connect(ready.dsn("kb", OWNER)) as connection:
        assert connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() == (False,)


def test_the_reader_sees_the_view(ready: Server) -> None:
    with connect(ready.dsn("kb_reader", READER)) as connection:
        rows = connection.execute("SELECT source_file, content FROM kb.knowledge_chunks").fetchall()
    assert rows == [("shown", "masked text")]


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT key FROM kb.document",
        "SELECT * FROM kb.stage_state",
        "SELECT * FROM kb.artifact",
        "SELECT lexemes FROM kb.chunk",
    ],
)
def test_the_reader_sees_nothing_else(ready: Server, statement: str) -> None:
    with connect(ready.dsn("kb_reader", READER)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(statement)


def test_the_reader_sees_no_vector(ready: Server) -> None:
    with connect(ready.dsn("kb", OWNER)) as connection:
        space = spaces.active_space(connection)
    assert space is not None
    query = psycopg.sql.SQL("SELECT embedding FROM {}").format(spaces.identifier(space.table_name))
    with connect(ready.dsn("kb_reader", READER)) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute(query)


def test_the_reader_writes_nothing_even_when_it_asks_to(ready: Server) -> None:
    with connect(ready.dsn("kb_reader", READER)) as connection:
        connection.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE public.mine (x int)")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM kb.chunk")


def test_letting_the_reader_in_twice_changes_nothing(ready: Server) -> None:
    ready.psql("reader.sql", ready.dsn("kb", OWNER))
    test_the_reader_sees_the_view(ready)


def test_dagster_owns_its_database_and_cannot_enter_the_other(ready: Server) -> None:
    with connect(ready.dsn("dagster", DAGSTER, "dagster")) as connection:
        connection.execute("CREATE TABLE runs (x int)")
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(ready.dsn("dagster", DAGSTER, "kb"))
