"""The embedded PostgreSQL server: started detached, found again, recovered from whatever was left behind.

It listens on loopback TCP alone and asks for a password (SCRAM), which lies in KB_HOME/postgres.password, readable by
its owner only. Start and stop expect the caller to hold the stack's lock.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from kb_pipeline.errors import DatabaseUnavailable
from kb_pipeline.local import cluster as files
from kb_pipeline.local import processes
from kb_pipeline.local.cluster import Cluster
from kb_pipeline.local.processes import HOST, Record

START_SECONDS = 120.0  # crash recovery replays up to max_wal_size
_ATTEMPTS = 4
_SMALL_SHM = 512 * 2**20  # a parallel index build wants maintenance_work_mem of it; containers often have 64 MiB

# Fast shutdown (ends sessions, writes a checkpoint), then immediate, then the hard way. Never "smart", which waits
# for every client.
_STOP = ((signal.SIGINT, 60.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))


def record_path(home: Path) -> Path:
    """Where the record of the server lies."""
    return home / "run" / "postgres.json"


def start(home: Path, on_event: Callable[[str], None]) -> Record:
    """Make the database files if there are none, start the server if it does not run, and wait until it answers.

    Raises SettingsError (folders, accounts), DiskFull and DatabaseUnavailable.
    """
    server = files.prepare(home, on_event)
    running = postmaster(server.data) or _just_started(home)
    if running is not None and not files.password_path(home).exists():
        _stop_at(running)
        running = None
    if running is None:
        files.initialise(server, on_event)
        record = _start_fresh(server, on_event)
    else:
        record = _record(running, _port_of(running), server.data)
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
    gone = processes.end(record, _STOP, group=False)  # the postmaster ends its own children
    if gone:
        processes.write_record(record_path(home), replace(record, pid=None, birth=""))
    return gone


def postmaster(data: Path) -> int | None:
    """PID of the server that runs on this data folder, found by what it is, not by what a PID file says."""
    for pid in _postgres_in(data):
        if not _command_line(pid)[0].startswith("postgres: "):  # the title of its children
            return pid
    return None


def server_arguments(port: int, shm_bytes: int) -> list[str]:
    """Arguments that must hold on every start; the rest stands in postgresql.conf, for the owner to change."""
    options = {"listen_addresses": HOST, "unix_socket_directories": "", "logging_collector": "off"}
    if shm_bytes < _SMALL_SHM:
        options["dynamic_shared_memory_type"] = "mmap"
    return ["-p", str(port), *(part for item in options.items() for part in ("-c", "=".join(item)))]


def _start_fresh(server: Cluster, on_event: Callable[[str], None]) -> Record:
    processes.wait_until(lambda: not _postgres_in(server.data), 10.0)  # children of a killed server, on their way out
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
    """The server writes `ready` into its PID file; asking by connection would fill its log with refusals."""

    def settled() -> bool:
        return _is_ready(server.data) or not processes.is_alive(record)

    processes.wait_until(settled, START_SECONDS)
    if not (processes.is_alive(record) and _is_ready(server.data)):
        with server.log.open("rb") as log:
            log.seek(log_start)
            raise files.failure(server, log.read().decode(errors="replace"))


def _is_ready(data: Path) -> bool:
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) > 7 and lines[7].strip() == "ready"


def _ensure_database(home: Path, port: int) -> None:
    import psycopg

    try:
        with psycopg.connect(files.dsn(home, port, "postgres"), autocommit=True, connect_timeout=10) as connection:
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


def _stop_at(pid: int) -> None:
    processes.end(_record(pid, 0, Path()), _STOP, group=False)


def _record(pid: int, port: int, data: Path) -> Record:
    return Record(port=port, pid=pid, birth=processes.birth(pid) or "", data=str(data))


def _shm_bytes() -> int:
    try:
        shm = os.statvfs("/dev/shm")  # noqa: S108 - its size is asked, nothing is written
    except FileNotFoundError:
        return 0
    return shm.f_frsize * shm.f_blocks


def _postgres_in(data: Path) -> list[int]:
    """PIDs of live postgres processes whose working folder is `data`, as that of every process of a server is."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _works_in(entry, data) and processes.birth(int(entry.name))
    ]


def _works_in(process: Path, data: Path) -> bool:
    try:
        return (process / "comm").read_text().strip() == "postgres" and (process / "cwd").readlink() == data
    except OSError:  # gone meanwhile, or another user's
        return False


def _command_line(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return ["postgres: "]


def _port_of(pid: int) -> int:
    words = _command_line(pid)
    return int(words[words.index("-p") + 1])
