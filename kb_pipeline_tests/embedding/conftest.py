"""A small embedding server on loopback whose faults a test scripts: real sockets, real HTTP."""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

DIMENSION = 8


@dataclass
class Reply:
    """What the server sends: a status (0: it hangs up), a body (JSON unless bytes), headers, after `delay` seconds."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0


def refusal(message: str, status: int = 400) -> Reply:
    return Reply(status, {"object": "error", "message": message, "type": "BadRequestError", "code": status})


def vector_of(text: str) -> np.ndarray:
    """A vector that only this text has, of a length other than 1."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")
    return np.random.default_rng(seed).normal(size=DIMENSION).astype(np.float32)


def answer(texts: list[str], vectors: list[np.ndarray] | None = None) -> Reply:
    """A right answer, in base64, its items in reverse order: clients must go by `index`."""
    rows = vectors if vectors is not None else [vector_of(text) for text in texts]
    data = [
        {"object": "embedding", "index": i, "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()}
        for i, row in enumerate(rows)
    ]
    usage = {"prompt_tokens": len(texts), "total_tokens": len(texts)}
    return Reply(200, {"object": "list", "model": "m", "data": data[::-1], "usage": usage})


@dataclass
class FaultyServer:
    """Answers each batch of texts by `respond`; every batch it was sent is in `batches`, its headers in `headers`."""

    url: str = ""
    respond: Callable[[list[str]], Reply] = answer
    models: Reply = field(
        default_factory=lambda: Reply(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})
    )
    batches: list[list[str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def fail_first(self, reply: Reply, times: int) -> None:
        """Send `reply` to the first requests, then answer rightly."""
        self.respond = lambda texts: reply if len(self.batches) <= times else answer(texts)


def _handler(server: FaultyServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send(server.models)

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.batches.append(body["input"])
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            self._send(server.respond(body["input"]))

        def _send(self, reply: Reply) -> None:
            time.sleep(reply.delay)
            if not reply.status:
                self.close_connection = True
                return
            body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_response(reply.status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            with suppress(ConnectionError):  # a client that was kept waiting has left
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def faulty_server(port: int = 0) -> Iterator[FaultyServer]:
    server = FaultyServer()
    http = ThreadingHTTPServer(("127.0.0.1", port), _handler(server))
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with faulty_server() as server:
        yield server


@pytest.fixture
def second_server() -> Iterator[FaultyServer]:
    with faulty_server() as server:
        yield server


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pauses of milliseconds: the faults are real, only the patience is not."""
    monkeypatch.setattr("kb_pipeline.embedding.troubles.FIRST_WAIT_SECONDS", 0.005)
