"""A real HTTP server on loopback that answers /v1/embeddings at once: for tests whose subject is not the model."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np

DIMENSION = 32
MODEL = "all-MiniLM-L6-v2"  # the name that kb.yaml asks for by default


@dataclass
class EmbeddingStub:
    """`texts` are all it was ever sent; `delay` is what each request then takes, in seconds."""

    url: str = ""
    delay: float = 0.0
    requests: int = 0
    texts: list[str] = field(default_factory=list)
    asked: threading.Event = field(default_factory=threading.Event)


def vector_of(text: str) -> np.ndarray:
    """(DIMENSION,) float32 of unit length; equal texts, equal vectors."""
    numbers = np.frombuffer(hashlib.shake_256(text.encode()).digest(2 * DIMENSION), np.int16).astype(np.float32)
    unit: np.ndarray = numbers / np.linalg.norm(numbers)
    return unit


def _answer(texts: list[str]) -> dict[str, Any]:
    data = [
        {"object": "embedding", "index": n, "embedding": base64.b64encode(vector_of(text).tobytes()).decode()}
        for n, text in enumerate(texts)
    ]
    tokens = sum(len(text) // 4 + 2 for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "model": MODEL, "data": data, "usage": usage}


def _handler(stub: EmbeddingStub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._send({"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 512}]})

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
            texts = [asked] if isinstance(asked, str) else asked
            stub.requests += 1
            stub.texts.extend(texts)
            stub.asked.set()
            time.sleep(stub.delay)
            self._send(_answer(texts))

        def _send(self, body: dict[str, Any]) -> None:
            data = json.dumps(body).encode()
            with suppress(ConnectionError):  # a client that was killed has left
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def embedding_stub() -> Iterator[EmbeddingStub]:
    """Serve until the block is left."""
    stub = EmbeddingStub()
    http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(stub))
    http.daemon_threads = True
    stub.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        http.shutdown()
        http.server_close()
