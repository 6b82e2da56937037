"""What runs and can be killed: a sync with its worker processes, PostgreSQL, the embedding service."""

from __future__ import annotations

import itertools
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg

from kb_pipeline.local import cluster, postgres, processes, stack
from kb_pipeline.settings import load_settings
from kb_pipeline_tests.e2e.workspace import KB, REPOSITORY, SETTINGS_VARIABLES

TAG = "KB_CHAOS_SYNC"  # in the environment of a sync and of all that it starts
GONE_SECONDS = 15.0
_numbers = itertools.count(1)


def environment(home: Path, config: Path, **more: str) -> dict[str, str]:
    """What `kb` runs with."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS_VARIABLES}
    return {**clean, "KB_HOME": str(home), "KB_CONFIG": str(config), **more}


class Sync:
    """One `kb` command in a session of its own."""

    def __init__(self, arguments: list[str], variables: Mapping[str, str], logs: Path) -> None:
        self.number = next(_numbers)
        self.log = logs / f"{self.number:04}.log"
        self.tag = f"{os.getpid()}.{self.number}"
        self.started = time.monotonic()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(KB), *arguments],
                env={**variables, TAG: self.tag},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def said(self, words: str) -> bool:
        """Whether the log holds these words by now."""
        return words.encode() in self.log.read_bytes()

    def fork_server(self) -> int | None:
        """PID of the fork server, None while there is none."""
        return next((child.pid for child in self._children() if "forkserver" in _command(child)), None)

    def workers(self) -> list[int]:
        """PIDs of worker processes: what the fork server started."""
        server = self.fork_server()
        with suppress(psutil.Error):
            return [child.pid for child in psutil.Process(server).children()] if server else []
        return []

    def wait(self, seconds: float) -> int:
        """Its exit code. Raises subprocess.TimeoutExpired."""
        return self.process.wait(seconds)

    def left_behind(self) -> list[str]:
        """Processes that it started and that outlive it, after they had some seconds to end."""
        processes.wait_until(lambda: not self._tagged(), GONE_SECONDS)
        return [f"{p.pid} {_command(p)[:80]}" for p in self._tagged()]

    def _children(self) -> list[psutil.Process]:
        with suppress(psutil.Error):
            return psutil.Process(self.process.pid).children()
        return []

    def _tagged(self) -> list[psutil.Process]:
        wanted = f"{TAG}={self.tag}\0".encode()
        return [p for p in psutil.process_iter() if p.pid != self.process.pid and wanted in _environ(p.pid)]


class Services:
    """An embedded PostgreSQL and an embedding stub, each killed and brought back."""

    def __init__(self, home: Path, config: Path) -> None:
        self.home, self.config = home, config
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.stub: subprocess.Popen[str] | None = None
        self.url = f"http://127.0.0.1:{self._port}/v1"

    def variables(self, **more: str) -> dict[str, str]:
        """The environment of `kb` here."""
        return environment(self.home, self.config, KB_EMBEDDING_URLS=self.url, **more)

    def up(self) -> None:
        """Start what does not run: PostgreSQL as `kb up` does, the stub on its old port."""
        stack.up(load_settings({"KB_EMBEDDING_URLS": self.url}, config=self.config, home=self.home))
        self.start_stub()

    def start_stub(self) -> None:
        """Start the embedding service unless it runs, and wait until it listens."""
        if self.stub is not None and self.stub.poll() is None:
            return
        command = [sys.executable, "-m", "kb_pipeline_tests.chaos.stub", str(self._port)]
        self.stub = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True)
        assert self.stub.stdout
        assert self.stub.stdout.readline().startswith("http"), "the embedding stub does not start"

    def down(self) -> None:
        """End both."""
        self.kill_stub()
        stack.down(load_settings({"KB_EMBEDDING_URLS": self.url}, config=self.config, home=self.home))

    def dsn(self, database: str = cluster.DATABASE) -> str:
        """Where the database is, whether it runs or not."""
        record = processes.read_record(postgres.record_path(self.home))
        assert record, "`kb up` has not run"
        return cluster.dsn(self.home, record.port, database)

    def database(self, name: str = cluster.DATABASE) -> psycopg.Connection[Any]:
        """A connection of the harness."""
        return psycopg.connect(self.dsn(name), autocommit=True, connect_timeout=10, application_name="chaos")

    def kill_stub(self) -> bool:
        """The embedding service dies."""
        if self.stub is None:
            return False
        self.stub.kill()
        self.stub.wait()
        self.stub = None
        return True

    def kill_postmaster(self) -> bool:
        """PostgreSQL dies."""
        record = processes.read_record(postgres.record_path(self.home))
        return bool(record and record.pid) and _kill(record.pid)

    def kill_backend(self, chosen: random.Random) -> bool:
        """One of the server's processes for the pipeline dies, which makes PostgreSQL restart itself."""
        try:
            with self.database() as connection:
                rows = connection.execute(
                    "SELECT pid, state <> 'idle' FROM pg_stat_activity WHERE application_name = 'kb_pipeline'"
                ).fetchall()
        except psycopg.Error:
            return False
        busy = [pid for pid, works in rows if works]
        pids = busy or [pid for pid, _ in rows]
        return bool(pids) and _kill(chosen.choice(sorted(pids)))

    def busy_publishing(self) -> bool:
        """Whether a transaction that writes passages or vectors is open at this moment."""
        try:
            with self.database() as connection:
                row = connection.execute(
                    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'kb_pipeline'"
                    " AND state <> 'idle' AND query ~ '(kb.chunk |COPY \"kb\".\"vector)'"
                ).fetchone()
        except psycopg.Error:
            return False
        return bool(row and row[0])


def kill(pid: int, number: signal.Signals = signal.SIGKILL) -> bool:
    """Whether there was such a process."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def _kill(pid: int | None) -> bool:
    return pid is not None and kill(pid)


def _command(process: psutil.Process) -> str:
    with suppress(psutil.Error):
        return " ".join(process.cmdline())
    return ""


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes() + b"\0"
    except OSError:  # gone, or not ours
        return b""
