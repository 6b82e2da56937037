"""A PostgreSQL for a session of tests, and a fresh database for each: copied from a template, so it costs 0.1 s."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import psycopg
import pytest

from kb_pipeline.local import stack
from kb_pipeline.settings import EmbeddingSettings, Settings
from kb_pipeline.store.database import Connection, connect, migrate

TEMPLATE = "migrated"
_numbers = itertools.count()


@cache
def _server(config: pytest.Config) -> str:
    folder = Path(tempfile.mkdtemp(prefix="kb-store-"))
    folder.chmod(0o755)  # the account of PostgreSQL must be able to enter it, as it cannot enter pytest's own
    settings = Settings(home=folder / "home", embedding=EmbeddingSettings(urls=("http://127.0.0.1:1/v1",)))
    config.add_cleanup(lambda: shutil.rmtree(folder))
    config.add_cleanup(lambda: stack.down(settings))
    stack.up(settings)
    dsn = stack.database_dsn(settings)
    with psycopg.connect(dsn, autocommit=True) as connection:  # nothing here outlives the tests
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
    return dsn


@pytest.fixture(scope="session")
def server_dsn(request: pytest.FixtureRequest) -> str:
    """The embedded PostgreSQL in a folder of its own: the DSN of its superuser. One for all tests of a session, though
    a fixture that several conftests import is a fixture of each."""
    return _server(request.config)


@pytest.fixture(scope="session")
def new_database(server_dsn: str) -> Callable[..., str]:
    """Makes an empty database and gives its DSN: new_database(template="template1")."""

    def make(template: str = "template1", name: str | None = None) -> str:
        name = name or f"test{next(_numbers)}"
        with psycopg.connect(server_dsn, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return psycopg.conninfo.make_conninfo(server_dsn, dbname=name)

    return make


@cache
def _migrated(server: str) -> str:
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
    with connect(psycopg.conninfo.make_conninfo(server, dbname=TEMPLATE)) as connection:
        migrate(connection)
    return TEMPLATE


@pytest.fixture(scope="session")
def _template(server_dsn: str) -> str:
    return _migrated(server_dsn)


@pytest.fixture
def dsn(new_database: Callable[..., str], _template: str) -> str:
    """A database of this test's own, with the schema."""
    return new_database(_template)


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as connection:
        yield connection
