"""Connections and schema migrations. The only place that turns psycopg's errors into ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from kb_pipeline.core.errors import DatabaseUnavailable, DiskFull, SettingsError

Connection = psycopg.Connection[TupleRow]

MINIMUM_PGVECTOR = (0, 8, 4)
IDLE_SECONDS = 300
MIGRATION_LOCK = 0x6B625F6D  # "kb_m": one migrator at a time, whatever the number of runs that start together
_CORRECT = "Correct KB_DATABASE_DSN: postgresql://USER:PASSWORD@HOST:PORT/NAME, or host=... port=... dbname=..."
_REMEDY = "Run `kb up` for the embedded database, or correct KB_DATABASE_DSN."


def connect(
    dsn: str, *, autocommit: bool = True, connect_seconds: int = 10, most_seconds: int | None = None
) -> Connection:
    """One connection. Raises DatabaseUnavailable with a message that holds no password, SettingsError for a `dsn` that
    can lead to no server. `most_seconds` is what a statement may take.

    A run that is suspended in the middle of a transaction keeps its locks: the server ends such a one after a while.
    """
    _check_port(dsn)
    try:
        connection = psycopg.connect(
            dsn, autocommit=True, connect_timeout=connect_seconds, application_name="kb_pipeline"
        )
        connection.execute(f"SET idle_in_transaction_session_timeout = {IDLE_SECONDS * 1000}")
        if most_seconds is not None:
            connection.execute(f"SET statement_timeout = {most_seconds * 1000}")
        connection.autocommit = autocommit
        return connection
    except psycopg.OperationalError as error:
        if option := _BAD_OPTION.search(str(error)):
            raise SettingsError(f"KB_DATABASE_DSN: {option[1]} has no such value.", _CORRECT) from None
        raise DatabaseUnavailable(f"PostgreSQL at {describe(dsn)} {_reason(error)}.", _REMEDY) from None


# What libpq says of an option before it asks for any server: invalid sslmode value: "hunter2"
_BAD_OPTION = re.compile(r"connection is bad: invalid (\w+) value: ")


def _check_port(dsn: str) -> None:
    """Raise SettingsError for what is no connection string, or names no port: libpq says so only when it connects, and
    of some in words about the host."""
    try:
        port = psycopg.conninfo.conninfo_to_dict(dsn).get("port")
    except psycopg.ProgrammingError:
        raise SettingsError("KB_DATABASE_DSN is not a valid connection string.", _CORRECT) from None
    for one in str(port or "").split(","):
        if one and not (one.isascii() and one.isdigit() and 0 < int(one) < 65536):
            raise SettingsError("KB_DATABASE_DSN: its port is no number from 1 to 65535.", _CORRECT)


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn a lost connection or a full disk into our own errors; other errors of psycopg are defects and pass."""
    try:
        yield
    except psycopg.errors.DiskFull:
        raise DiskFull("PostgreSQL's disk is full.", "Free some space, then sync again.") from None
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise DatabaseUnavailable(f"PostgreSQL was lost during the run ({type(error).__name__}).", _REMEDY) from None


def describe(dsn: str) -> str:
    """host:port/database of a connection string, without user or password."""
    try:
        parts = psycopg.conninfo.conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return "an unreadable address"
    return f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"


def migrate(connection: Connection) -> list[str]:
    """Apply the migrations that are not recorded yet, in order; return their names. Safe to run twice or at once.

    Raises DatabaseUnavailable when the server has no pgvector, or the user may not create the schema.
    """
    files = sorted(
        (item for item in resources.files("kb_pipeline.store.migrations").iterdir() if item.name.endswith(".sql")),
        key=lambda item: item.name,
    )
    recorded = _recorded(connection)
    if all(item.name in recorded for item in files):
        return []
    applied = []
    with _schema_errors(), connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATION_LOCK,))
        recorded = _recorded(connection)
        for item in files:
            if item.name not in recorded:
                connection.execute(item.read_text(encoding="utf-8").encode())
                connection.execute("INSERT INTO kb.migration (name) VALUES (%s)", (item.name,))
                applied.append(item.name)
    return applied


def pgvector_version(connection: Connection) -> tuple[int, ...] | None:
    """Version of the pgvector extension that is installed in, or available to, this database."""
    row = connection.execute(
        "SELECT coalesce(installed_version, default_version) FROM pg_available_extensions WHERE name = 'vector'"
    ).fetchone()
    return tuple(int(part) for part in row[0].split(".")) if row and row[0] else None


def identifier(table: str) -> sql.Identifier:
    """A table of ours, quoted, in schema kb."""
    return sql.Identifier("kb", table)


def _recorded(connection: Connection) -> set[str]:
    # Not to_regclass: it remembers "not there" from before this transaction waited for another migrator.
    table = "SELECT FROM pg_catalog.pg_tables WHERE schemaname = 'kb' AND tablename = 'migration'"
    if connection.execute(table).fetchone() is None:
        return set()
    return {row[0] for row in connection.execute("SELECT name FROM kb.migration")}


@contextmanager
def _schema_errors() -> Iterator[None]:
    try:
        yield
    except psycopg.errors.InsufficientPrivilege:
        raise DatabaseUnavailable(
            "The user of KB_DATABASE_DSN may not create the schema kb and the extension vector.",
            "Grant it CREATE on the database, and run CREATE EXTENSION vector there as a superuser.",
        ) from None
    except (psycopg.errors.FeatureNotSupported, psycopg.errors.UndefinedFile):
        wanted = ".".join(map(str, MINIMUM_PGVECTOR))
        raise DatabaseUnavailable(
            "The PostgreSQL of KB_DATABASE_DSN has no pgvector.", f"Install pgvector {wanted} or later there."
        ) from None


def _reason(error: Any) -> str:
    text = str(error).lower()
    for phrase, meaning in (
        ("password authentication failed", "refuses the user or password"),
        ("no password supplied", "wants a password, and the connection string has none"),
        ("does not exist", "has no such database or user"),
        ("could not translate host name", "cannot be found: the host name does not resolve"),
        ("name or service not known", "cannot be found: the host name does not resolve"),
        ("failed to resolve host", "cannot be found: the host name does not resolve"),
        ("timeout", "does not answer in time"),
        ("refused", "refuses the connection: no server listens there"),
    ):
        if phrase in text:
            return meaning
    return f"cannot be reached ({type(error).__name__})"
