"""A run's hold on its source system: lease, scope, retries. Kept between the steps of one process."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TypeVar

from kb_pipeline.core.errors import DatabaseUnavailable, KbError, ServiceUnavailable
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.planning import pause_seconds
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import Connection, connect, database_errors
from kb_pipeline.store.ledger.backlog import pause_source
from kb_pipeline.store.ledger.lease import Lease, acquire, release
from kb_pipeline.store.objects.object_store import ObjectStore

log = logging.getLogger("kb_pipeline.progress")

FIRST_PAUSE_SECONDS = 0.5
T = TypeVar("T")


@dataclass
class RunState:
    """What the steps of one run share. `scope` are the ids of the documents it takes on: None until raw chose them, or
    when raw is not part of the run; each stage then goes over everything pending. `confirm_deletes`: someone said yes;
    `hinted_only`: it takes on hinted keys alone; of those `absent` were not there.
    `ahead` holds what an earlier stage's turn did of a later one.
    """

    lease: Lease
    retries_left: int
    scope: list[str] | None = None
    confirm_deletes: bool = False
    hinted_only: bool = False
    absent: list[str] = field(default_factory=list)
    retried: int = 0
    ahead: dict[str, StageReport] = field(default_factory=dict)


@dataclass
class RunContext:
    """Everything a step of a run works with."""

    settings: Settings
    source_system: str
    run_id: str
    connection: Connection
    state: RunState
    store: ObjectStore

    @property
    def lease(self) -> Lease:
        """The source's lease, which every commit checks."""
        return self.state.lease

    def reconnect(self) -> None:
        """Replace a connection that was lost. Raises DatabaseUnavailable."""
        self.connection.close()
        self.connection = connect(database_dsn(self.settings))


_RUNS: dict[tuple[str, str], RunState] = {}
_LOCK = threading.Lock()


@contextmanager
def run_state(settings: Settings, source_system: str, run_id: str, *, last: bool) -> Iterator[RunState]:
    """The state of a run, with the source's lease: taken at its first step, kept between steps of one process, given
    back after the `last` step or an error. A service that failed the run pauses the source. Raises SourceBusy."""
    dsn, name = database_dsn(settings), (source_system, run_id)
    with _LOCK:
        state = _RUNS.get(name)
    if state is None:
        lease = acquire(
            dsn,
            source_system,
            run_id,
            wait_seconds=settings.lease.wait_seconds,
            ttl_seconds=settings.lease.ttl_seconds,
            on_wait=log.warning,
        )
        state = RunState(lease, settings.runs.retries)
        with _LOCK:
            _RUNS[name] = state
    done = False
    try:
        fault_point("lease.held")
        yield state
        done = True
    except ServiceUnavailable:
        with suppress(KbError), connect(dsn) as connection, database_errors():
            pause_source(connection, source_system)
        raise
    finally:
        if last or not done:
            with _LOCK:
                _RUNS.pop(name, None)
            try:
                fault_point("lease.before_release")
            finally:
                with suppress(DatabaseUnavailable):  # the lease then runs out by itself
                    release(dsn, state.lease)


def with_retries(state: RunState, work: Callable[[], T], reconnect: Callable[[], None]) -> T:
    """Do `work`; when the database fails it (a dropped connection, a serialization failure), reconnect and do it again
    after a growing pause, as often as the run has retries left. `work` goes on where it was: every commit is whole."""
    while True:
        try:
            with database_errors():
                return work()
        except DatabaseUnavailable as error:
            while True:
                if not state.retries_left:
                    raise error from None
                state.retries_left -= 1
                state.retried += 1
                pause = pause_seconds(state.retried, random.random(), FIRST_PAUSE_SECONDS)  # noqa: S311 - no secret
                log.warning("%s Trying again in %.1f s.", error.message, pause)
                time.sleep(pause)
                try:
                    reconnect()
                    break
                except DatabaseUnavailable as again:
                    error = again
