"""How a run holds its source: from its first step to its last, through lost connections, and what a failure leaves."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from pydantic import SecretStr

from kb_pipeline.core.errors import (
    DatabaseUnavailable,
    EmbeddingUnavailable,
    KbError,
    LeaseLost,
    ObjectStoreUnavailable,
    SourceBusy,
)
from kb_pipeline.pipeline import run_state as module
from kb_pipeline.pipeline.run_state import RunState, run_state, with_retries
from kb_pipeline.settings import LeaseSettings, RunSettings, Settings
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import ensure_source
from kb_pipeline.store.ledger.lease import Lease


@pytest.fixture
def settings(dsn: str) -> Settings:
    return Settings(
        database_dsn=SecretStr(dsn), lease=LeaseSettings(wait_seconds=0), runs=RunSettings(documents=1, retries=3)
    )


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_SECONDS", 0.0)


def holder(connection: Connection) -> str | None:
    row = connection.execute("SELECT holder FROM kb.source_lease WHERE source_system = 'hr'").fetchone()
    return row[0] if row else None


def pause(connection: Connection) -> tuple[int, bool]:
    """How often services failed the source's runs, and whether it is left alone for now."""
    row = connection.execute("SELECT attempts, coalesce(retry_at > now(), false) FROM kb.source").fetchone()
    assert row
    return row


def test_the_steps_of_a_run_share_its_state_and_its_lease(settings: Settings, connection: Connection) -> None:
    with run_state(settings, "hr", "run", last=False) as first:
        first.scope = ["a"]
    assert holder(connection) == "run", "between two steps too"
    with pytest.raises(SourceBusy), run_state(settings, "hr", "another", last=True):
        raise AssertionError
    with run_state(settings, "hr", "run", last=True) as second:
        assert second is first
    assert holder(connection) is None
    with run_state(settings, "hr", "run", last=True) as third:
        assert third.scope is None, "nothing is left of a run that came to its end"


def test_a_step_that_fails_gives_the_lease_back(settings: Settings, connection: Connection) -> None:
    with pytest.raises(ZeroDivisionError), run_state(settings, "hr", "run", last=False):
        raise ZeroDivisionError
    assert holder(connection) is None
    with run_state(settings, "hr", "another", last=True):
        assert holder(connection) == "another"


@pytest.mark.parametrize(
    ("error", "paused"),
    [
        (EmbeddingUnavailable("Down.", "Start it."), True),
        (ObjectStoreUnavailable("Down.", "Start it."), True),
        (LeaseLost("Another run took over.", "Nothing."), False),
        (ZeroDivisionError(), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_service_that_failed_a_run_pauses_the_source(
    settings: Settings, connection: Connection, error: Exception, paused: bool
) -> None:
    ensure_source(connection, "hr")
    with pytest.raises(type(error)), run_state(settings, "hr", "run", last=False):
        raise error
    assert pause(connection) == (int(paused), paused)


class Steps:
    """Work that fails as often as it is told to; counts how often it was tried, and reconnected."""

    def __init__(self, failures: int, reconnects_that_fail: int = 0) -> None:
        self.failures, self.reconnects_that_fail = failures, reconnects_that_fail
        self.tried = self.reconnected = 0

    def work(self) -> str:
        self.tried += 1
        if self.tried <= self.failures:
            raise psycopg.OperationalError("the connection was lost")
        return "done"

    def reconnect(self) -> None:
        self.reconnected += 1
        if self.reconnected <= self.reconnects_that_fail:
            raise DatabaseUnavailable("PostgreSQL does not answer.", "Start it.")


@pytest.fixture
def state(take: Callable[..., Lease]) -> RunState:
    return RunState(take(), retries_left=3)


def test_work_that_lost_the_database_is_done_again(state: RunState) -> None:
    steps = Steps(failures=2)
    assert with_retries(state, steps.work, steps.reconnect) == "done"
    assert (steps.tried, steps.reconnected, state.retried, state.retries_left) == (3, 2, 2, 1)


def test_retries_are_those_of_the_whole_run(state: RunState) -> None:
    assert with_retries(state, (first := Steps(failures=2)).work, first.reconnect) == "done"
    second = Steps(failures=2)
    with pytest.raises(DatabaseUnavailable):
        with_retries(state, second.work, second.reconnect)
    assert (second.tried, state.retries_left) == (2, 0)


def test_a_database_that_stays_away_is_asked_as_often_as_there_are_retries(state: RunState) -> None:
    steps = Steps(failures=1, reconnects_that_fail=9)
    with pytest.raises(DatabaseUnavailable):
        with_retries(state, steps.work, steps.reconnect)
    assert (steps.tried, steps.reconnected) == (1, 3)


def test_other_errors_are_not_tried_again(state: RunState) -> None:
    def work() -> None:
        raise KbError("Wrong.", "Mend it.")

    with pytest.raises(KbError, match="Wrong"):
        with_retries(state, work, lambda: None)
    assert state.retried == 0
