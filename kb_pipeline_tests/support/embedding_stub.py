"""A real HTTP server on loopback that answers /v1/embeddings at once, or as badly as a test says."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIMENSION = 32
MODEL = "all-MiniLM-L6-v2"  # the name that kb.yaml asks for by default
CONTROL = "test"  # what a client embeds to see whether the service is well
HANG_SECONDS = 600.0


@dataclass
class EmbeddingStub:
    """`texts` are all it was ever sent; `delay` is what each request then takes, in seconds.

    `faults`: marker -> a name of FAULTS, or a status code; a request with a text that holds the marker meets it ("" is
    in every text). The plain word that clients try a service with meets none. `down_after`: requests answered before
    every further one is refused with 503; None means never. `dimension` is that of its vectors.
    """

    url: str = ""
    delay: float = 0.0
    requests: int = 0
    texts: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)
    faults: dict[str, str | int] = field(default_factory=dict)
    down_after: int | None = None
    dimension: int = DIMENSION
    _met: set[str] = field(default_factory=set)
    _closing: threading.Event = field(default_factory=threading.Event)

    @property
    def down(self) -> bool:
        return self.down_after is not None and self.requests > self.down_after

    def fault_of(self, texts: list[str]) -> str | int | None:
        """What a request with these texts meets as a whole."""
        for marker, fault in self.faults.items():
            if fault not in _BAD_VECTORS and any(marker in text and text != CONTROL for text in texts):
                if isinstance(fault, str) and fault.endswith(" once"):
                    if marker in self._met:
                        continue
                    self._met.add(marker)
                    return int(fault.removesuffix(" once"))
                return fault
        return None

    def vector(self, text: str) -> np.ndarray:
        """The text's vector, or what a fault makes of it."""
        for marker, fault in self.faults.items():
            if marker in text and text != CONTROL and fault in _BAD_VECTORS:
                return _BAD_VECTORS[str(fault)]
        return vector_of(text, self.dimension)


def vector_of(text: str, dimension: int = DIMENSION) -> np.ndarray:
    """(dimension,) float32 of unit length; equal texts, equal vectors."""
    numbers = np.frombuffer(hashlib.shake_256(text.encode()).digest(2 * dimension), np.int16).astype(np.float32)
    unit: np.ndarray = numbers / np.linalg.norm(numbers)
    return unit


_BAD_VECTORS: Mapping[str, np.ndarray] = {
    "nan": np.full(DIMENSION, np.nan, np.float32),
    "zero": np.zeros(DIMENSION, np.float32),
    "length": np.ones(DIMENSION - 1, np.float32),
}


def _answer(stub: EmbeddingStub, texts: list[str]) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": n, "embedding": base64.b64encode(stub.vector(text).tobytes()).decode()}
        for n, text in enumerate(texts)
    ]
    tokens = sum(len(text) // 4 + 2 for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage}


def _shifted(answer: dict[str, Any]) -> dict[str, Any]:
    return {**answer, "data": [{**item, "index": item["index"] + 1} for item in answer["data"]]}


# What becomes of a right answer; "hang" and "close" are no answers, "nan", "zero" and "length" spoil one vector.
_SPOILT: Mapping[str, Callable[[dict[str, Any]], object]] = {
    "html": lambda _: b"<html><title>Welcome to the proxy</title></html>",
    "not json": lambda _: b'{"object": "list", "data": [',
    "wrong shape": lambda _: {"embeddings": [[0.1, 0.2]]},
    "too few": lambda answer: {**answer, "data": answer["data"][1:]},
    "wrong index": _shifted,
}
FAULTS = (*_SPOILT, *_BAD_VECTORS, "hang", "close")


def _handler(stub: EmbeddingStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            if stub.down:
                self._send(b"down", 503)
            else:
                self._send({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 512}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            texts = [asked] if isinstance(asked, str) else asked
            stub.requests += 1
            stub.texts.extend(texts)
            stub.asked.set()
            time.sleep(stub.delay)
            fault = 503 if stub.down else stub.fault_of(texts)
            if fault in ("hang", "close"):
                if fault == "hang":
                    stub._closing.wait(HANG_SECONDS)
                self.close_connection = True
            elif isinstance(fault, int):
                self._send({"object": "error", "message": f"cannot embed {texts[0]}", "code": fault}, fault)
            else:
                self._send(_SPOILT.get(str(fault), lambda answer: answer)(_answer(stub, texts)))

        def _send(self, body: object, status: int = 200) -> None:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            with suppress(ConnectionError):  # a client that was killed has left
                self.send_response(status)
                self.send_header("Content-Type", "text/html" if data.startswith(b"<") else "application/json")
                self.send_header("Content-Length", str(len(data)))
                if status == 429:
                    self.send_header("Retry-After", "1")
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def embedding_stub(port: int = 0) -> Iterator[EmbeddingStub]:
    """Serve until the block is left, on a free port or the one that is named."""
    stub = EmbeddingStub()
    http = ThreadingHTTPServer(("127.0.0.1", port), _handler(stub))
    http.daemon_threads = True
    stub.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        stub._closing.set()
        http.shutdown()
        http.server_close()
