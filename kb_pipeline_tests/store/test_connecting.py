"""What is said when PostgreSQL cannot be reached: which address, what is wrong, which setting; never a password."""

from __future__ import annotations

import socket

import psycopg
import pytest

from kb_pipeline.core.errors import DatabaseUnavailable, DiskFull, KbError, SettingsError
from kb_pipeline.store.database import connect, database_errors, describe


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def refusal(dsn: str) -> str:
    with pytest.raises(DatabaseUnavailable) as caught:
        connect(dsn)
    assert "KB_DATABASE_DSN" in caught.value.remedy
    return str(caught.value)


def test_no_server_there() -> None:
    port = closed_port()
    message = refusal(f"postgresql://kb:hunter2@127.0.0.1:{port}/kb")
    assert f"127.0.0.1:{port}/kb refuses the connection" in message
    assert "hunter2" not in message


def test_a_wrong_password(dsn: str) -> None:
    message = refusal(psycopg.conninfo.make_conninfo(dsn, password="hunter2"))
    assert "refuses the user or password" in message
    assert "hunter2" not in message


def test_a_database_that_is_not_there(dsn: str) -> None:
    assert "no such database" in refusal(psycopg.conninfo.make_conninfo(dsn, dbname="elsewhere"))


@pytest.mark.parametrize("garbage", ["hunter2", "postgresql://kb:hunter2@[::1", "password='hunter2", "a=b hunter2=c"])
def test_what_is_no_connection_string_at_all_is_a_wrong_setting(garbage: str) -> None:
    with pytest.raises(SettingsError, match="KB_DATABASE_DSN is not a valid connection string") as caught:
        connect(garbage)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://kb:hunter2@no-such-host.invalid:abc/kb",
        "postgresql://kb:hunter2@127.0.0.1:99999/kb",
        "host=127.0.0.1 port=0 password=hunter2",
        "host=127.0.0.1 port=-3",
        "host=127.0.0.1,127.0.0.1 port=5432,x",
    ],
)
def test_a_bad_port_is_a_wrong_setting_and_no_unreachable_server(dsn: str) -> None:
    with pytest.raises(SettingsError, match="KB_DATABASE_DSN: its port is no number") as caught:
        connect(dsn)
    assert "hunter2" not in str(caught.value)


def test_a_bad_option_is_a_wrong_setting_too() -> None:
    with pytest.raises(SettingsError, match="KB_DATABASE_DSN: sslmode has no such value"):
        connect("host=127.0.0.1 port=5432 sslmode=hunter2")


def test_a_host_that_does_not_resolve() -> None:
    assert "does not resolve" in refusal("postgresql://kb:hunter2@no-such-host.invalid/kb")


def test_an_address_is_described_without_who_and_secret() -> None:
    assert describe("postgresql://kb:hunter2@db.example:5433/knowledge") == "db.example:5433/knowledge"
    assert describe("postgresql:///kb") == "localhost:5432/kb"
    assert "hunter2" not in describe("password='hunter2")


def test_a_connection_lost_on_the_way_is_our_own_error(dsn: str) -> None:
    def lose() -> None:
        with database_errors(), connect(dsn) as connection, connect(dsn) as other:
            other.execute("SELECT pg_terminate_backend(%s)", (connection.info.backend_pid,))
            connection.execute("SELECT 1")

    with pytest.raises(DatabaseUnavailable, match="lost during the run"):
        lose()


def test_a_full_disk_is_told_apart_from_a_lost_connection(dsn: str) -> None:
    with pytest.raises(DiskFull), database_errors(), connect(dsn) as connection:
        connection.execute("DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = 'disk_full'; END $$")


def test_other_errors_of_the_database_are_defects_and_pass(dsn: str) -> None:
    with pytest.raises(psycopg.errors.UndefinedTable) as caught, database_errors(), connect(dsn) as connection:
        connection.execute("SELECT * FROM no_such_table")
    assert not isinstance(caught.value, KbError)
