"""Listings that may take longer than a tick: each goes on in a thread, and the ticks look in on it.

Dagster gives a tick a minute. A listing of a million objects takes longer, and one source must not hold up the others,
so a tick begins the listings, waits a while, and takes up later what is not done. Nothing is lost with the process:
what a listing found is in the ledger, and the next one finds the rest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

from kb_pipeline.core.errors import KbError
from kb_pipeline.sources.reconciling import Reconciled

AT_ONCE = 4


@dataclass
class Going:
    """A listing that was begun. `seen` or `error` is set when it is `done`."""

    began: float = field(default_factory=time.monotonic)
    done: threading.Event = field(default_factory=threading.Event)
    seen: Reconciled | None = None
    error: str = ""

    @property
    def seconds(self) -> float:
        """How long ago it was begun."""
        return time.monotonic() - self.began


class Listings:
    """The listings that go on in this process, one at a time for each key, at most `at_once` working."""

    def __init__(self, at_once: int = AT_ONCE) -> None:
        self._going: dict[Hashable, Going] = {}
        self._lock = threading.Lock()
        self._working = threading.Semaphore(at_once)

    def begin(self, key: Hashable, work: Callable[[], Reconciled]) -> Going:
        """The listing under this key: the one that goes on, or a new one."""
        with self._lock:
            going = self._going.get(key)
            if going is None:
                going = self._going[key] = Going()
                # A daemon: a process that is told to end does not wait for a listing.
                threading.Thread(target=self._run, args=(going, work), name="listing", daemon=True).start()
            return going

    def wait(self, key: Hashable, going: Going, seconds: float) -> bool:
        """Wait until it is done, at most so long. A listing that is done is forgotten: the next `begin` lists anew."""
        if not going.done.wait(max(0.0, seconds)):
            return False
        with self._lock:
            if self._going.get(key) is going:
                del self._going[key]
        return True

    def _run(self, going: Going, work: Callable[[], Reconciled]) -> None:
        try:
            with self._working:
                going.seen = work()
        except KbError as error:
            going.error = str(error)
        except Exception as error:  # noqa: BLE001 - said in the tick's words; its text might quote a key
            going.error = f"could not be listed: unexpected {type(error).__name__}"
        finally:
            going.done.set()


LISTINGS = Listings()
