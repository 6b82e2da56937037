"""Who gets in: the password alone, on loopback alone, one database a KB_HOME."""

from __future__ import annotations

import os
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kb_pipeline.local import stack
from kb_pipeline.settings import Settings
from kb_pipeline_tests.local.conftest import database_only


def test_a_wrong_password_is_refused(database: Settings) -> None:
    dsn = stack.database_dsn(database)
    password = (database.home / "postgres.password").read_text()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn.replace(password, "wrong"))
    with psycopg.connect(dsn) as connection:
        assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)
        rules = connection.execute("SELECT DISTINCT auth_method FROM pg_hba_file_rules").fetchall()
    assert rules == [("scram-sha-256",)]


def test_only_the_owner_can_read_the_password(database: Settings) -> None:
    assert stat.S_IMODE((database.home / "postgres.password").stat().st_mode) == 0o600


def test_it_is_durable_speaks_utf8_and_listens_on_loopback_alone(database: Settings) -> None:
    with psycopg.connect(stack.database_dsn(database)) as connection:
        shown = [
            connection.execute(f"SHOW {name}").fetchone()
            for name in ("fsync", "server_encoding", "listen_addresses", "unix_socket_directories")
        ]
        locale = connection.execute("SELECT datlocale FROM pg_database WHERE datname = 'kb'").fetchone()
    assert shown == [("on",), ("UTF8",), ("127.0.0.1",), ("",)]
    assert locale == ("C.UTF-8",)


def test_two_homes_run_side_by_side(database: Settings, new_home: Callable[[], Path]) -> None:
    other = database_only(new_home())
    stack.up(other)
    with psycopg.connect(stack.database_dsn(database)) as connection:
        connection.execute("CREATE TABLE only_here ()")
    with psycopg.connect(stack.database_dsn(other)) as connection:
        assert connection.execute("SELECT to_regclass('only_here')").fetchone() == (None,)
    stack.down(other)
    assert stack.status(database)[0].running


def test_a_server_that_recovers_is_waited_for(database: Settings) -> None:
    """PostgreSQL refuses everyone while it makes up for a backend that was killed."""
    for _ in range(5):
        with psycopg.connect(stack.database_dsn(database), autocommit=True) as connection:
            connection.execute("DROP TABLE IF EXISTS unflushed")
            connection.execute("CREATE TABLE unflushed AS SELECT repeat('x', 900) FROM generate_series(1, 40000)")
            os.kill(connection.info.backend_pid, signal.SIGKILL)
            stack.up(database)
    with psycopg.connect(stack.database_dsn(database)) as connection:
        assert connection.execute("SELECT count(*) FROM unflushed").fetchone() == (40000,)


def test_a_port_taken_meanwhile_is_given_up_for_another(database: Settings) -> None:
    port = stack.down(database)[0].port
    with socket.create_server(("127.0.0.1", port or 0)):
        assert stack.up(database)[0].port != port
    psycopg.connect(stack.database_dsn(database)).close()
