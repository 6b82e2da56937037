"""The embedded PostgreSQL server: started detached, found again, recovered from whatever was left behind.

It listens on loopback TCP alone and asks for a password (SCRAM), which lies in KB_HOME/postgres.password, readable by
its owner only. Start and stop expect the caller to hold the stack's lock.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kb_pipeline.core.errors import DatabaseUnavailable
from kb_pipeline.local import cluster as files
from kb_pipeline.local import postmaster, processes
from kb_pipeline.local.cluster import Cluster
from kb_pipeline.local.processes import HOST, Record

if TYPE_CHECKING:
    import psycopg

START_SECONDS = 120.0  # crash recovery replays up to max_wal_size
_RECOVERING = re.compile("in recovery mode|is starting up|not yet accepting connections|is shutting down")
_POLL_SECONDS = 0.2
_ATTEMPTS = 4
_SMALL_SHM = 512 * 2**20  # a parallel index build wants maintenance_work_mem of it; containers often have 64 MiB


def record_path(home: Path) -> Path:
    """Where the record of the server lies."""
    return home / "run" / "postgres.json"


def start(home: Path, on_event: Callable[[str], None]) -> Record:
    """Make the database files if there are none, start the server if it does not run, and wait until it answers.

    Raises SettingsError (folders, accounts), DiskFull and DatabaseUnavailable.
    """
    server = files.prepare(home, on_event)
    running = postmaster.find(server.data) or _just_started(home)
    if running is not None and not files.password_path(home).exists():
        postmaster.stop(running)
        running = None
    if running is None:
        files.initialise(server, on_event)
        record = _start_fresh(server, on_event)
    else:
        record = _record(running, postmaster.port_of(running), server.data)
        processes.write_record(record_path(home), record)
        _wait_until_ready(server, record)
    _ensure_database(home, record.port)
    on_event(f"postgres: ready on {HOST}:{record.port} (pid {record.pid})")
    return record


def _just_started(home: Path) -> int | None:
    """The recorded server, if it is too young to have entered its folder (a `kb up` was ended at that instant)."""
    record = processes.read_record(record_path(home))
    return record.pid if record and processes.is_alive(record) else None


def stop(home: Path) -> bool:
    """End the recorded server; True if it is gone. Its port stays recorded for the next start."""
    record = processes.read_record(record_path(home))
    if record is None:
        return True
    gone = processes.end(record, postmaster.STOP, group=False)  # the postmaster ends its own children
    if gone:
        processes.write_record(record_path(home), replace(record, pid=None, birth=""))
    return gone


def server_arguments(port: int, shm_bytes: int) -> list[str]:
    """Arguments that must hold on every start; the rest stands in postgresql.conf, for the owner to change."""
    options = {"listen_addresses": HOST, "unix_socket_directories": "", "logging_collector": "off"}
    if shm_bytes < _SMALL_SHM:
        options["dynamic_shared_memory_type"] = "mmap"
    return ["-p", str(port), *(part for item in options.items() for part in ("-c", "=".join(item)))]


def _start_fresh(server: Cluster, on_event: Callable[[str], None]) -> Record:
    # Children of a killed server are on their way out; PostgreSQL itself refuses to start beside one that is not.
    processes.wait_until(lambda: not postmaster.processes_of(server.data), 10.0)
    before = processes.read_record(record_path(server.home))
    port = before.port if before else None
    for attempt in range(1, _ATTEMPTS + 1):
        port = processes.choose_port(port)
        (server.data / "postmaster.pid").unlink(missing_ok=True)  # no server runs here: it is stale, whomever it names
        log_start = server.log.stat().st_size if server.log.exists() else 0
        command = [str(server.programs / "postgres"), "-D", str(server.data)]
        arguments = server_arguments(port, _shm_bytes())
        pid = processes.spawn([*command, *arguments], server.log, server.account, files.ENVIRONMENT, server.place)
        record = _record(pid, port, server.data)
        processes.write_record(record_path(server.home), record)
        try:
            _wait_until_ready(server, record, log_start)
        except DatabaseUnavailable:
            if attempt == _ATTEMPTS or processes.is_alive(record) or processes.port_is_free(port):
                raise
            on_event(f"postgres: port {port} was taken meanwhile, trying another")
            continue
        break
    return record


def _wait_until_ready(server: Cluster, record: Record, log_start: int = 0) -> None:
    def settled() -> bool:
        return postmaster.is_ready(server.data) or not processes.is_alive(record)

    processes.wait_until(settled, START_SECONDS)
    if not (processes.is_alive(record) and postmaster.is_ready(server.data)):
        log = server.log.read_bytes()
        since = log[log_start:] if len(log) >= log_start else log  # shorter: it was rotated
        raise files.failure(server, since.decode(errors="replace"))


def _ensure_database(home: Path, port: int) -> None:
    import psycopg

    try:
        with _connected(home, port) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (files.DATABASE,)).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {files.DATABASE}")
    except psycopg.errors.DiskFull:
        raise files.explain_failure("", 0, home) from None
    except psycopg.Error as error:
        raise DatabaseUnavailable(
            f"The embedded PostgreSQL runs but refuses us ({type(error).__name__}).",
            f"If {files.password_path(home)} was changed, delete it: `kb up` then sets a new password.",
        ) from None


def _connected(home: Path, port: int) -> psycopg.Connection:
    """A connection; while the server recovers from the death of one of its processes, it is asked again."""
    import psycopg

    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return psycopg.connect(files.dsn(home, port, "postgres"), autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            if not _RECOVERING.search(str(error)) or time.monotonic() > deadline:
                raise
        time.sleep(_POLL_SECONDS)


def _record(pid: int, port: int, data: Path) -> Record:
    return Record(port=port, pid=pid, birth=processes.birth(pid) or "", data=str(data))


def _shm_bytes() -> int:
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - its size is asked, nothing is written
    except FileNotFoundError:
        return 0
    return shm.f_frsize * shm.f_blocks
