"""Whatever was left behind, `up` brings the database back with its data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from kb_pipeline.core.errors import DatabaseUnavailable
from kb_pipeline.local import postgres, processes, stack
from kb_pipeline.settings import Settings
from kb_pipeline_tests.local.conftest import database_only


@pytest.fixture(scope="module")
def kept(database: Settings) -> Settings:
    with psycopg.connect(stack.database_dsn(database)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS number")
    return database


def rows(settings: Settings) -> object:
    with psycopg.connect(stack.database_dsn(settings)) as connection:
        return connection.execute("SELECT count(*) FROM kept").fetchone()


def kill(settings: Settings) -> int:
    """End the server as a power cut would; its PID file stays."""
    pid = stack.status(settings)[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_until(lambda: processes.birth(pid) is None, 5)
    return pid


def data(settings: Settings) -> Path:
    return settings.home / "postgres" / "data"


def test_a_killed_server_is_noticed_and_started_again(kept: Settings) -> None:
    pid = kill(kept)
    with pytest.raises(DatabaseUnavailable, match="kb up"):
        stack.database_dsn(kept)
    assert stack.status(kept)[0].detail.startswith("ended unexpectedly")
    assert stack.up(kept)[0].pid != pid
    assert rows(kept) == (1000,)


def test_stale_files_that_name_another_live_process_do_not_harm_it(kept: Settings) -> None:
    kill(kept)
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        pid_file = data(kept) / "postmaster.pid"
        _, *rest = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(bystander.pid), *rest]))
        record = processes.read_record(postgres.record_path(kept.home))
        assert record is not None
        processes.write_record(postgres.record_path(kept.home), replace(record, pid=bystander.pid))
        assert not stack.status(kept)[0].running
        stack.down(kept)
        stack.up(kept)
        assert bystander.poll() is None
        assert rows(kept) == (1000,)
    finally:
        bystander.kill()
        bystander.wait()


def test_an_empty_pid_file_of_a_full_disk_is_no_obstacle(kept: Settings) -> None:
    kill(kept)
    (data(kept) / "postmaster.pid").write_text("")
    stack.up(kept)
    assert rows(kept) == (1000,)


def test_a_running_server_whose_record_was_lost_is_found(kept: Settings) -> None:
    before = stack.status(kept)[0]
    shutil.rmtree(kept.home / "run")
    after = stack.up(kept)[0]
    assert (after.pid, after.port) == (before.pid, before.port)


def test_a_lost_password_is_replaced(kept: Settings) -> None:
    old = stack.database_dsn(kept)
    (kept.home / "postgres.password").unlink()
    stack.up(kept)
    assert rows(kept) == (1000,)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)


def test_a_half_finished_initdb_is_cleared_away(new_home: Callable[[], Path]) -> None:
    settings = database_only(new_home())
    half = settings.home / "postgres" / "initdb-cut"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    (settings.home / "postgres.password").write_text("of-the-half-one")
    stack.up(settings)
    assert not half.exists()
    psycopg.connect(stack.database_dsn(settings)).close()


def test_two_ups_at_once_start_one_server(new_home: Callable[[], Path]) -> None:
    settings, events = database_only(new_home()), []
    with ThreadPoolExecutor(2) as pool:
        services = list(pool.map(lambda _: stack.up(settings, events.append), range(2)))
    assert services[0][0].pid == services[1][0].pid
    assert sum("making the database files" in event for event in events) == 1
