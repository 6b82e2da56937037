"""How source systems stand: what they hold, how far behind they are, what they wait for."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kb_pipeline.store.database import Connection
from kb_pipeline.store.views.freshness import SourceStatus, source_names, sources, state_of
from kb_pipeline_tests.store.ledger_rows import document, insert, space, stage

NOW = datetime.now(UTC)
AGO, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
CHAINS = {"hr": "now", "wiki": "now"}


@pytest.fixture
def filled(connection: Connection) -> Connection:
    """hr: in step, with a document in quarantine, one deleted and a tombstone. wiki: one of everything that waits."""
    space(connection)
    space(connection, "m@4", "standby")
    insert(connection, "source", source_system="hr", checked_at=AGO, listed_at=AGO)
    insert(connection, "source", source_system="wiki", brake={"gone": 57, "live": 60})
    insert(connection, "source", source_system="gone", removed_at=AGO)
    for name in ("a", "b"):
        of = document(connection, "hr", name, settled_key="now")
        stage(connection, of, "publish", variant="m@8", rows=3)
        stage(connection, of, "publish", variant="m@4", rows=3)
    stage(connection, document(connection, "hr", "bad", settled_key="now"), "parse", "quarantined")
    document(connection, "hr", "old", deleted_at=AGO)
    document(connection, "hr", "forgotten", forgotten_at=AGO, deleted_at=AGO, content_hash=None)
    document(connection, "gone", "tombstone", forgotten_at=AGO, deleted_at=AGO)
    document(connection, "wiki", "settled before", settled_key="before")
    document(connection, "wiki", "never")
    document(connection, "wiki", "failed", retry_at=LATER)
    document(connection, "wiki", "not read yet", content_hash=None)
    insert(connection, "hint", source_system="wiki", key="new", received_at=AGO)
    insert(connection, "hint", source_system="wiki", key="unreadable", received_at=NOW, retry_at=LATER)
    insert(connection, "hint", source_system="wiki", key="never", received_at=AGO - timedelta(days=1), gone=True)
    return connection


def test_a_source_in_step(filled: Connection) -> None:
    hr, _ = sources(filled, CHAINS)
    assert hr.published_at is not None
    assert replace(hr, published_at=None) == SourceStatus(
        "hr", documents=3, quarantined=1, deleted=2, chunks=6, listed_at=AGO, checked_at=AGO, state="in step"
    )


def test_a_source_that_waits(filled: Connection) -> None:
    _, wiki = sources(filled, CHAINS)
    assert (wiki.documents, wiki.hints, wiki.gone, wiki.backlog) == (4, 2, 1, 3)
    assert wiki.waiting == 2, "a document and a hint"
    assert wiki.retry_at == LATER
    assert wiki.oldest_hint_at == AGO, "a document that is gone is no hint to look at"
    assert wiki.lag_seconds >= 3600
    assert wiki.brake == {"gone": 57, "live": 60}
    assert (wiki.chunks, wiki.published_at, wiki.checked_at) == (0, None, None)


def test_other_settings_make_a_backlog(filled: Connection) -> None:
    hr, _ = sources(filled, {**CHAINS, "hr": "later"})
    assert (hr.backlog, hr.state) == (3, "behind")


def test_one_source_alone(filled: Connection) -> None:
    both = {found.source_system: found for found in sources(filled, CHAINS)}
    (hr,) = sources(filled, CHAINS, "hr")
    assert hr == both["hr"]
    assert sources(filled, CHAINS, "gone") == []


def test_a_removed_source_is_not_listed(filled: Connection) -> None:
    assert source_names(filled) == ["hr", "wiki"]


def test_a_run_that_a_service_failed_says_when_it_is_tried_again(connection: Connection) -> None:
    insert(connection, "source", source_system="hr", attempts=1, retry_at=LATER)
    assert sources(connection, {"hr": "now"})[0].retry_at == LATER


@pytest.mark.parametrize(
    ("source", "state"),
    [
        (SourceStatus("s"), "unknown"),
        (SourceStatus("s", checked_at=AGO), "in step"),
        (SourceStatus("s", checked_at=AGO, hints=1), "behind"),
        (SourceStatus("s", checked_at=AGO, gone=1), "behind"),
        (SourceStatus("s", checked_at=AGO, backlog=2, waiting=1), "behind"),
        (SourceStatus("s", checked_at=AGO, backlog=1, hints=1, waiting=2), "waiting"),
        (SourceStatus("s", checked_at=AGO, gone=1, brake={"gone": 1, "live": 1}), "braked"),
    ],
)
def test_the_state_in_a_word(source: SourceStatus, state: str) -> None:
    assert state_of(source) == state
