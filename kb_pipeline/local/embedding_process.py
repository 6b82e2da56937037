"""Starting and stopping the local embedding server. Expects the caller to hold the stack's lock."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from kb_pipeline.core.errors import EmbeddingUnavailable
from kb_pipeline.local import processes
from kb_pipeline.local.processes import HOST, Record

_MODULE = "kb_pipeline.local.embedding_server"
START_SECONDS = 120.0  # a cold disk reads torch and the weights
_STOP = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 10.0))
_ATTEMPTS = 4


def record_path(home: Path) -> Path:
    """Where the record of the server lies."""
    return home / "run" / "embedding.json"


def launch(home: Path, model: str, on_event: Callable[[str], None]) -> Record:
    """Start the server unless it already runs with this model. Does not wait: loading takes seconds.

    Raises MissingExtra if the model's weights or packages are missing.
    """
    before = processes.read_record(record_path(home))
    if before is not None and processes.is_alive(before):
        if before.model == model:
            return before
        on_event(f"embedding: the model changes from {before.model} to {model}")
        stop(home)
    from kb_pipeline.local.embedding_model import check_packages, find_model

    check_packages(model, None)
    find_model(model, None)
    on_event(f"embedding: loading {model}")
    port = processes.choose_port(before.port if before else None)
    command = [sys.executable, "-m", _MODULE, "--host", HOST, "--port", str(port), "--model", model]
    pid = processes.spawn(command, _log(home))
    record = Record(port=port, pid=pid, birth=processes.birth(pid) or "", model=model)
    processes.write_record(record_path(home), record)
    return record


def wait_until_ready(home: Path, record: Record, on_event: Callable[[str], None]) -> Record:
    """Wait until /health answers 200, starting again if the port was taken meanwhile.

    Raises EmbeddingUnavailable; a server that is alive and does not answer is ended first.
    """
    for _ in range(_ATTEMPTS):
        if _answers(record):
            on_event(f"embedding: {record.model} ready on {HOST}:{record.port} (pid {record.pid})")
            return record
        if processes.is_alive(record):
            stop(home)
            break
        if processes.port_is_free(record.port):
            break  # it ended for another reason than its port
        record = launch(home, record.model, on_event)
    raise EmbeddingUnavailable(
        f"The embedding server for {record.model} did not start; {_log(home)} says why.",
        "Run `kb up` again, or set embedding.urls to a server of your own.",
    )


def _answers(record: Record) -> bool:
    """Wait until the server answers, or is gone, or the time is over."""
    processes.wait_until(lambda: is_healthy(record.port) or not processes.is_alive(record), START_SECONDS)
    return processes.is_alive(record) and is_healthy(record.port)


def is_healthy(port: int) -> bool:
    """Whether GET /health answers 200. Asked without the environment's proxies, which are not for loopback."""
    connection = HTTPConnection(HOST, port, timeout=10)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def stop(home: Path) -> bool:
    """End the recorded server and its process group; True if it is gone. Its port stays recorded."""
    record = processes.read_record(record_path(home))
    if record is None:
        return True
    gone = processes.end(record, _STOP, group=True)
    if gone:
        processes.write_record(record_path(home), replace(record, pid=None, birth=""))
    return gone


def _log(home: Path) -> Path:
    return home / "logs" / "embedding.log"
