"""The source systems that the ledger knows, and which of them has its deletes held back."""

from __future__ import annotations

from kb_pipeline.core.planning import Deletes
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import ensure_source
from kb_pipeline.store.ledger.deletes import set_brake
from kb_pipeline.store.ledger.hints import add_hints
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.sources import LedgerSource, brakes, lag_seconds, ledger_sources


def test_sources_say_when_they_were_listed_and_whether_they_were_removed(connection: Connection) -> None:
    for name in ("wiki", "hr"):
        ensure_source(connection, name)
    connection.execute("UPDATE kb.source SET removed_at = now() WHERE source_system = 'wiki'")
    assert ledger_sources(connection) == [LedgerSource("hr", None, False), LedgerSource("wiki", None, True)]


def test_a_brake_says_its_numbers_and_its_age(connection: Connection, lease: Lease) -> None:
    ensure_source(connection, "hr")
    assert brakes(connection) == {}
    set_brake(connection, lease, Deletes(gone=5, moved=1, live=10))
    brake = brakes(connection)["hr"]
    assert (brake.gone, brake.live, brake.moved) == (4, 10, 1)
    assert brake.since
    assert 0 <= brake.seconds < 60
    set_brake(connection, lease, None)
    assert brakes(connection) == {}


def test_a_source_lags_since_its_oldest_key_that_nobody_looked_at(connection: Connection) -> None:
    assert lag_seconds(connection, "hr") == 0
    add_hints(connection, [("hr", "new.md"), ("hr", "old.md"), ("wiki", "older.md")])
    connection.execute("UPDATE kb.hint SET received_at = now() - interval '1 hour' WHERE key = 'old.md'")
    connection.execute("UPDATE kb.hint SET received_at = now() - interval '2 hours' WHERE key = 'older.md'")
    assert 3600 <= lag_seconds(connection, "hr") < 3700
