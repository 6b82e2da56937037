"""A real HTTP forwarder on loopback that lets requests for some paths fail: a store or service with a bad day.

Bytes are passed on as they came (signatures stay valid when the client signs for the server's own address).
"""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

HANG_SECONDS = 120.0
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


@dataclass
class FaultyProxy:
    """`fault` says what becomes of a request by (method, path; of a POST with its body): None passes it on, a status is
    answered instead, "hang" keeps it waiting, "close" hangs up, "cut" sends half of the answer. `requests` are all that
    came, as (method, path, fault)."""

    url: str = ""
    fault: Callable[[str, str], int | str | None] = lambda method, path: None
    requests: list[tuple[str, str, int | str | None]] = field(default_factory=list)

    def fail(self, fault: int | str, *parts: str, methods: tuple[str, ...] = ("GET", "PUT", "HEAD", "POST", "DELETE")):
        """From now on requests whose path holds one of `parts` fail."""
        self.fault = lambda method, path: fault if method in methods and any(p in path for p in parts) else None

    def mend(self) -> None:
        """From now on everything is passed on."""
        self.fault = lambda method, path: None


def _read_body(request: BaseHTTPRequestHandler) -> bytes:
    if "chunked" not in request.headers.get("Transfer-Encoding", ""):
        return request.rfile.read(int(request.headers.get("Content-Length") or 0))
    pieces = []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        pieces.append(request.rfile.read(size))
        request.rfile.readline()
    request.rfile.readline()
    return b"".join(pieces)


def _handler(proxy: FaultyProxy, server: str) -> type[BaseHTTPRequestHandler]:
    host = urlsplit(server).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = _read_body(self)
            path = unquote(self.path)
            if self.command == "POST":  # S3 names the keys to delete in the body
                path += f" {body.decode(errors='replace')}"
            fault = proxy.fault(self.command, path)
            proxy.requests.append((self.command, path, fault))
            with suppress(ConnectionError):
                if fault is None or fault == "cut":
                    self._forward(body, cut=fault == "cut")
                elif fault == "hang":
                    time.sleep(HANG_SECONDS)
                    self.close_connection = True
                elif fault == "close":
                    self.close_connection = True
                else:
                    self._answer(int(fault), [("Content-Type", "text/plain")], b"a fault of the proxy")

        do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _handle

        def _forward(self, body: bytes, *, cut: bool) -> None:
            connection = http.client.HTTPConnection(host, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP}
            connection.request(self.command, self.path, body, {**headers, "Content-Length": str(len(body))})
            answer = connection.getresponse()
            content = answer.read()
            kept = [(k, v) for k, v in answer.getheaders() if k.lower() not in _HOP_BY_HOP]
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self._answer(answer.status, kept, content, cut=cut, length=length)
            connection.close()

        def _answer(
            self,
            status: int,
            headers: list[tuple[str, str]],
            content: bytes,
            *,
            cut: bool = False,
            length: str | None = None,
        ) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content[: len(content) // 2] if cut else content)
            self.close_connection = self.close_connection or cut

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@contextmanager
def faulty_proxy(server: str) -> Iterator[FaultyProxy]:
    """Forward to `server` (scheme and host, no path) while the context lasts."""
    proxy = FaultyProxy()
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(proxy, server))
    httpd.daemon_threads = True
    proxy.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        httpd.shutdown()
        httpd.server_close()
