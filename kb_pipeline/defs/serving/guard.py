"""Which requests the UI answers. It has no sign-in: whoever can send it GraphQL can launch runs.

A page of another site, open in the same browser, can send requests to 127.0.0.1 too: as a form, as an <img>, by a name
of its own that it lets resolve to 127.0.0.1. So the names that the UI is asked by, and where the asking page is from,
are looked at before anything else sees the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_READING = ("GET", "HEAD")
# RFC 6455: the message violates the endpoint's policy. Sent before the handshake is over, it becomes a 403.
_POLICY_VIOLATION = 1008


class Refusal(NamedTuple):
    """Why a request is not answered."""

    status: int
    words: str


class Guard:
    """Starlette middleware (plain ASGI): refuses what no page of this UI would send."""

    def __init__(self, app: App, allowed_hosts: Iterable[str] = ()) -> None:
        self.app = app
        self.allowed = frozenset(name.strip("[]").lower() for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = refused(scope, self.allowed) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal.words})
        else:
            body = f"{refusal.words}\n".encode()
            headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def refused(scope: Scope, allowed: frozenset[str]) -> Refusal | None:
    """Why not to answer an ASGI request (http or websocket), or None. `allowed` are host names besides loopback's."""
    host = _place(f"//{_one(scope, b'host')}", scope)
    if host is None or host[0] not in LOOPBACK | allowed:
        return Refusal(
            403, "The UI does not answer to this host name. Name it with --allowed-host or in KB_ALLOWED_HOSTS."
        )
    if not _own_page(scope, host, allowed):
        return Refusal(403, "The UI answers its own pages alone; this request is of another site.")
    graphql = scope["path"].rstrip("/").rpartition("/")[2] == "graphql"
    if scope["type"] == "websocket":
        return None if _same_site(scope) else Refusal(403, "The UI answers its own pages alone.")
    writes = scope["method"] not in _READING
    if (graphql or writes) and not _same_site(scope):
        return Refusal(403, "The UI answers its own pages alone.")
    if graphql and scope["method"] != "POST":
        return Refusal(405, "GraphQL is taken by POST alone.")
    if writes and _one(scope, b"content-type").partition(";")[0].strip().lower() != "application/json":
        return Refusal(415, "What is posted must be application/json.")
    return None


def _own_page(scope: Scope, host: tuple[str, int], allowed: frozenset[str]) -> bool:
    """Whether the page that asks, if it says where it is from, is one of this UI: of a name that is allowed, and on
    loopback of this very port, for other programs serve pages there too."""
    if not _all(scope, b"origin"):
        return True
    origin = _place(_one(scope, b"origin"), scope)
    if origin is None:
        return False
    return origin[0] in allowed or (origin[0] in LOOPBACK and origin[1] == host[1])


def _same_site(scope: Scope) -> bool:
    """Whether the browser, if it says so, was sent here by a page of this UI or by the person."""
    return all(value in (b"same-origin", b"none") for value in _all(scope, b"sec-fetch-site"))


def _all(scope: Scope, name: bytes) -> list[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _one(scope: Scope, name: bytes) -> str:
    """The header's value; empty when it is missing or stands there twice."""
    values = _all(scope, name)
    return values[0].decode("latin-1") if len(values) == 1 else ""


def _place(url: str, scope: Scope) -> tuple[str, int] | None:
    """Host name and port of `scheme://host:port` or `//host:port`, or None if it is none."""
    try:
        parts = urlsplit(url)
        if not parts.hostname or parts.username is not None or parts.path:
            return None
        return parts.hostname, parts.port or _PORTS[parts.scheme or scope.get("scheme", "http")]
    except (ValueError, KeyError):
        return None
