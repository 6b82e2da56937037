"""A sync in a thread of its own that stops at a fault point until it is woken: a process that was suspended."""

from __future__ import annotations

import threading
from collections.abc import Callable

PATIENCE_SECONDS = 120
ANY = "any"  # fault points are counted together


class Killed(BaseException):
    """The process ends here."""


class PausedSync:
    """Runs `work` until the `nth` pass of `point`. `lease` is what the source's lease was then."""

    def __init__(self, source: str, work: Callable[[], object], point: str, nth: int) -> None:
        self.source = source
        self.lease: tuple[int, str | None] | None = None
        self.error: BaseException | None = None
        self._point, self._left = point, nth
        self._work = work
        self._stopped, self._go = threading.Event(), threading.Event()
        self._killed = False
        self._thread = threading.Thread(target=self._run, name="paused-sync", daemon=True)

    def start(self) -> bool:
        """Run up to the point. Returns whether it came there; otherwise it has ended."""
        self._thread.start()
        assert self._stopped.wait(PATIENCE_SECONDS), "a sync neither ended nor came to its point"
        return self._thread.is_alive() and not self._go.is_set() and self._left == 0

    def wake(self, *, kill: bool = False) -> BaseException | None:
        """Let it go on to its end. Returns what it raised."""
        self._killed = kill
        self._go.set()
        self._thread.join(PATIENCE_SECONDS)
        assert not self._thread.is_alive(), "a woken sync did not end"
        return self.error

    def is_current(self) -> bool:
        """Whether the caller is this sync's own thread."""
        return threading.current_thread() is self._thread

    def reached(self, name: str) -> None:
        """A fault point of this sync."""
        if self._point not in (name, ANY) or self._left == 0:
            return
        self._left -= 1
        if self._left == 0:
            self._stopped.set()
            assert self._go.wait(PATIENCE_SECONDS), "nobody woke the sync"
            if self._killed:
                raise Killed

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - looked at by whoever wakes it
            self.error = error
        finally:
            self._stopped.set()
