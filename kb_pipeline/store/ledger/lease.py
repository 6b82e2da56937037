"""One run a source system at a time: a lease with a fencing token.

A run takes the lease with its first stage and renews it from a thread of its own until its last. Every commit checks
the token in its own transaction, so a run that was paused and lost the lease can commit nothing when it wakes up.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import psycopg

from kb_pipeline.core.errors import DatabaseUnavailable, LeaseLost, SourceBusy
from kb_pipeline.store.database import Connection, connect

log = logging.getLogger(__name__)

# A holder whose connection is gone has died (kill -9): take over well before the lease runs out. Not at once:
# between two steps in two processes no connection is open either.
DEAD_AFTER_SECONDS = 10.0
POLL_SECONDS = 0.25
# A run in the middle of a commit holds the row; one that is suspended there holds it as long as it sleeps.
LOCK_SECONDS = 1

_TAKE = """
INSERT INTO kb.source_lease AS l
    (source_system, token, holder, backend_pid, acquired_at, heartbeat_at, expires_at)
VALUES (%(source)s, 1, %(holder)s, pg_backend_pid(), now(), now(), now() + make_interval(secs => %(ttl)s))
ON CONFLICT (source_system) DO UPDATE SET
    token = CASE WHEN l.holder = %(holder)s THEN l.token ELSE l.token + 1 END,
    holder = %(holder)s, backend_pid = pg_backend_pid(), heartbeat_at = now(),
    acquired_at = CASE WHEN l.holder = %(holder)s THEN l.acquired_at ELSE now() END,
    expires_at = now() + make_interval(secs => %(ttl)s)
WHERE l.holder IS NULL OR l.holder = %(holder)s OR l.expires_at < now()
   OR (l.heartbeat_at < now() - make_interval(secs => %(dead)s) AND NOT EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.pid = l.backend_pid AND a.backend_start <= l.heartbeat_at))
RETURNING token
"""
# Holders that are alive: neither lapsed nor dead (as _TAKE sees it).
_HOLDERS = """
SELECT l.source_system, l.holder FROM kb.source_lease l
WHERE l.holder IS NOT NULL AND l.expires_at >= now()
  AND (l.heartbeat_at >= now() - make_interval(secs => %s) OR EXISTS (
       SELECT FROM pg_stat_activity a WHERE a.pid = l.backend_pid AND a.backend_start <= l.heartbeat_at))
"""
_RENEW = """
UPDATE kb.source_lease SET heartbeat_at = now(), expires_at = now() + make_interval(secs => %(ttl)s)
WHERE source_system = %(source)s AND token = %(token)s AND holder = %(holder)s RETURNING token
"""
# A renewing connection that was lost has another backend now.
_MOVE = """
UPDATE kb.source_lease SET backend_pid = pg_backend_pid() WHERE source_system = %(source)s AND token = %(token)s
"""
_RELEASE = """
UPDATE kb.source_lease SET holder = NULL, backend_pid = NULL, expires_at = NULL
WHERE source_system = %(source)s AND token = %(token)s AND holder = %(holder)s
"""


@dataclass
class Lease:
    """A held lease. `check` is what every commit calls first, inside its transaction."""

    source_system: str
    holder: str
    token: int
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def keep(self, connection: Connection, dsn: str, ttl_seconds: float) -> None:
        """Renew the lease from a thread of its own, over `connection`, which is the thread's from now on."""
        self._thread = threading.Thread(
            target=self._renew, args=(connection, dsn, ttl_seconds), name=f"lease-{self.source_system}", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Renew it no more."""
        self._stop.set()
        if self._thread:
            self._thread.join(timeout=5)

    def _renew(self, connection: Connection, dsn: str, ttl_seconds: float) -> None:
        """Until told to stop. A lost connection is replaced; a lost lease ends the thread: commits will notice."""
        values = {"source": self.source_system, "holder": self.holder, "token": self.token, "ttl": ttl_seconds}
        every = min(ttl_seconds / 4, DEAD_AFTER_SECONDS / 3)
        while not self._stop.wait(every):
            try:
                if connection.closed:
                    connection = connect(dsn)
                    connection.execute(_MOVE, values)
                if connection.execute(_RENEW, values).fetchone() is None:
                    break
            except (psycopg.Error, DatabaseUnavailable) as error:
                log.warning("lease of %s could not be renewed (%s)", self.source_system, type(error).__name__)
                connection.close()
        connection.close()

    def check(self, connection: Connection) -> None:
        """Raise LeaseLost unless this lease still holds; blocks a take-over until the transaction ends."""
        row = connection.execute(
            "SELECT token, holder FROM kb.source_lease WHERE source_system = %s FOR SHARE", (self.source_system,)
        ).fetchone()
        if row != (self.token, self.holder):
            raise LeaseLost(
                f"Another run took over source system {self.source_system}.",
                "Nothing of this run was published after that; the other run goes on.",
            )


def acquire(
    dsn: str,
    source_system: str,
    holder: str,
    *,
    wait_seconds: float,
    ttl_seconds: float,
    on_wait: Callable[[str], None],
) -> Lease:
    """Take the lease, waiting for another run at most `wait_seconds`. Raises SourceBusy. Re-entrant for one holder."""
    connection = connect(dsn)
    try:
        connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'".encode())
        token = _wait_for_turn(connection, source_system, holder, wait_seconds, ttl_seconds, on_wait)
        connection.execute("RESET lock_timeout")  # renewing waits for this run's own commits
    except BaseException:  # an interrupted waiter too leaves no connection
        connection.close()
        raise
    lease = Lease(source_system, holder, token)
    lease.keep(connection, dsn, ttl_seconds)
    return lease


def _wait_for_turn(
    connection: Connection,
    source_system: str,
    holder: str,
    wait_seconds: float,
    ttl_seconds: float,
    on_wait: Callable[[str], None],
) -> int:
    """The token, once the lease is free."""
    values = {"source": source_system, "holder": holder, "ttl": ttl_seconds, "dead": DEAD_AFTER_SECONDS}
    deadline = time.monotonic() + wait_seconds
    told = False
    while (row := _take(connection, values)) is None:
        if not told:
            on_wait(
                f"source system {source_system} is being synced by run {_holder(connection, source_system)}: waiting"
            )
            told = True
        if time.monotonic() >= deadline:
            other = _holder(connection, source_system)
            raise SourceBusy(
                f"Source system {source_system} is still being synced by run {other} after {wait_seconds:g} s.",
                "Try again when that run has ended, or raise lease.wait_seconds.",
            )
        time.sleep(POLL_SECONDS)
    return row[0]


def _take(connection: Connection, values: dict[str, object]) -> tuple[int] | None:
    try:
        return connection.execute(_TAKE, values).fetchone()
    except psycopg.errors.LockNotAvailable:
        return None


def release(dsn: str, lease: Lease) -> None:
    """Give the lease back; no error when it was lost meanwhile."""
    lease.stop()
    with connect(dsn) as connection:
        connection.execute(_RELEASE, {"source": lease.source_system, "token": lease.token, "holder": lease.holder})


def holders(connection: Connection) -> dict[str, str]:
    """Who works on which source system at this moment: source system -> holder (a run's id)."""
    return dict(connection.execute(_HOLDERS, (DEAD_AFTER_SECONDS,)).fetchall())


def _holder(connection: Connection, source_system: str) -> str:
    row = connection.execute("SELECT holder FROM kb.source_lease WHERE source_system = %s", (source_system,)).fetchone()
    return row[0] if row and row[0] else "(ended)"
