"""A real HTTP forwarder on loopback that keeps what passes through it towards the server."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass
class Recording:
    """`requests` are paths, headers and bodies as they arrived."""

    url: str
    requests: list[bytes] = field(default_factory=list)


@contextmanager
def recording_proxy(server: str) -> Iterator[Recording]:
    """Forward everything to `server` (scheme and host, no path) while the context lasts."""
    recording = Recording("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._forward(None)

        def do_POST(self) -> None:
            self._forward(self.rfile.read(int(self.headers["Content-Length"])))

        def _forward(self, body: bytes | None) -> None:
            recording.requests.append(b"\n".join([self.path.encode(), bytes(self.headers), body or b""]))
            request = urllib.request.Request(server + self.path, data=body)
            for name in ("Content-Type", "Authorization"):
                if value := self.headers.get(name):
                    request.add_header(name, value)
            try:
                answer = _DIRECT.open(request, timeout=120)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                content = answer.read()
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.headers.get("Content-Type", "application/json"))
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    recording.url = f"http://127.0.0.1:{httpd.server_port}"
    thread = threading.Thread(target=httpd.serve_forever, daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        httpd.shutdown()
        httpd.server_close()
        thread.join()
