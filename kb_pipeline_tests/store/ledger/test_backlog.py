"""What is left to do: only documents with work are taken on, and what failed waits, longer each time."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kb_pipeline.pipeline.catalogue import access_key, chain_key
from kb_pipeline.settings import ChunkingSettings
from kb_pipeline.store.ledger.backlog import (
    ATTEMPTS,
    Backlog,
    choose_scope,
    count_backlog,
    note_checked,
    pause_source,
    resume_source,
    settle,
    try_now,
)
from kb_pipeline.store.ledger.deletes import count_deletes, set_brake
from kb_pipeline.store.ledger.lease import Lease, release
from kb_pipeline.store.views.overview import quarantined, retry
from kb_pipeline_tests.store import ledger_rows
from kb_pipeline_tests.support.lines import MASKING, LineSource


def backlog(source: LineSource) -> Backlog:
    source.connection.execute(
        "UPDATE kb.source SET access_key = %s WHERE access_key IS NULL", (access_key(source.settings, "hr"),)
    )
    chain, access = chain_key(source.settings, "hr"), access_key(source.settings, "hr")
    return count_backlog(source.connection, "hr", chain, access)


def ids(source: LineSource) -> dict[str, str]:
    """name -> document id, in order of the ids."""
    rows = source.connection.execute("SELECT key, document_id FROM kb.document ORDER BY document_id")
    return {key.removesuffix(".txt"): of for key, of in rows}


def state(source: LineSource, name: str) -> tuple[object, ...]:
    """(settled_key, attempts, retry_at) of a document."""
    row = source.connection.execute(
        "SELECT settled_key, attempts, retry_at FROM kb.document WHERE key = %s", (f"{name}.txt",)
    ).fetchone()
    assert row
    return row


def written(source: LineSource) -> list[tuple[object, ...]]:
    """Which transaction wrote each bookkeeping row and document."""
    return source.connection.execute(
        "SELECT xmin::text, ctid::text FROM kb.source UNION ALL SELECT xmin::text, ctid::text FROM kb.document"
    ).fetchall()


def test_work_shrinks_from_hints_to_documents_to_nothing(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.reconcile()
    assert backlog(source) == Backlog(hints=2)
    source.look(limit=1)
    assert backlog(source) == Backlog(hints=1, documents=1, live=1)
    source.sync()
    assert backlog(source) == Backlog(live=2)
    assert not backlog(source).work


def test_a_change_of_settings_is_work_for_every_document(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.settings = source.settings.model_copy(update={"chunking": ChunkingSettings(max_tokens=99)})
    assert backlog(source).documents == 2
    chain = chain_key(source.settings, "hr")
    assert len(choose_scope(source.connection, "hr", chain, 1)) == 1
    source.sync()
    assert backlog(source) == Backlog(live=2)


def test_a_quarantined_document_is_settled_until_someone_retries_it(source: LineSource) -> None:
    source.settings = MASKING
    source.write(a="one", bad="REFUSED")
    source.sync()
    assert backlog(source) == Backlog(live=2)


def test_what_failed_for_a_passing_reason_waits_longer_each_time(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.observe()
    source.connection.execute("UPDATE kb.document SET content_hash = repeat('0', 64) WHERE key = 'a.txt'")
    waits = []
    for _ in range(2):
        source.look()
        source.run_stages()
        assert backlog(source) == Backlog(waiting=1, live=2), "parse refuses bytes that are not the version asked for"
        row = source.connection.execute(
            "SELECT extract(epoch FROM retry_at - now())::float, attempts FROM kb.document WHERE key = 'a.txt'"
        ).fetchone()
        assert row
        waits.append(row)
        try_now(source.connection, "hr")
        assert backlog(source).documents == 1
    assert [attempts for _, attempts in waits] == [1, 2]
    assert 14 < waits[0][0] <= 30 < waits[1][0] * 2 <= 120


def test_what_fails_every_time_goes_to_quarantine_in_the_end(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.observe()
    source.connection.execute("UPDATE kb.document SET content_hash = repeat('0', 64) WHERE key = 'a.txt'")
    for attempt in range(1, ATTEMPTS + 1):
        try_now(source.connection, "hr")
        source.look()
        source.run_stages()
        assert backlog(source).waiting == (attempt < ATTEMPTS)
    assert not backlog(source).work
    (found,) = quarantined(source.connection, "hr")
    assert (found.error_class, found.stage) == ("GaveUp", "parse")
    assert f"{ATTEMPTS} times" in found.error_message
    assert "changed between listing and parsing" in found.error_message
    assert source.published() == {"b": ["two"]}
    retry(source.connection, None, "hr")
    assert backlog(source).documents == 1


def test_a_document_whose_bytes_were_never_read_is_not_taken_on(source: LineSource) -> None:
    """Too large, say: its raw stage is in quarantine, and there is nothing that the other stages could take in."""
    source.write(a="one")
    source.observe()
    unread = ledger_rows.document(source.connection, "hr", "large.txt", content_hash=None, media_type=None)
    ledger_rows.stage(source.connection, unread, "raw", "quarantined", error_class="DocumentTooLarge")
    chain = chain_key(source.settings, "hr")
    assert choose_scope(source.connection, "hr", chain, 10) == [ids(source)["a"]]
    assert backlog(source).documents == 1
    source.run_stages()
    assert state(source, "a")[0] == chain
    assert state(source, "large")[0] is None


def test_the_longest_waiting_document_is_taken_on_first(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.observe()
    first, last = ids(source).values()
    for of, hours in ((first, 1), (last, 2)):
        source.connection.execute(
            "UPDATE kb.document SET retry_at = now() - make_interval(hours => %s) WHERE document_id = %s", (hours, of)
        )
    chain = chain_key(source.settings, "hr")
    assert choose_scope(source.connection, "hr", chain, 1) == [last]
    source.connection.execute("UPDATE kb.document SET retry_at = NULL WHERE document_id = %s", (first,))
    assert choose_scope(source.connection, "hr", chain, 2) == [first, last], "one that never failed comes before both"


def test_what_failed_in_an_earlier_run_was_not_tried_by_one_that_did_not_come_to_it(
    source: LineSource, take: Callable[..., Lease], dsn: str
) -> None:
    source.write(a="one")
    source.observe()
    source.connection.execute("UPDATE kb.document SET content_hash = repeat('0', 64)")
    source.look()
    source.run_stages()
    before = state(source, "a")
    assert before[1] == 1
    release(dsn, source.lease)
    of = ids(source)["a"]
    settle(source.connection, take("later"), chain_key(source.settings, "hr"), [of], {of})
    assert state(source, "a") == before


def test_a_document_that_was_deleted_meanwhile_is_not_settled(source: LineSource) -> None:
    """It would look done when it comes back."""
    source.write(a="one", b="two")
    source.observe()
    chain, scope = chain_key(source.settings, "hr"), list(ids(source).values())
    source.write(a=None)
    source.reconcile()
    source.delete()
    settle(source.connection, source.lease, chain, scope, set())
    assert (state(source, "a")[0], state(source, "b")[0]) == (None, chain)


def test_giving_up_leaves_a_failed_reading_to_be_tried_again(source: LineSource) -> None:
    """Its hint asks for it again; from quarantine nobody would take it out."""
    source.write(a="one")
    source.observe()
    source.connection.execute("UPDATE kb.document SET content_hash = repeat('0', 64), attempts = %s", (ATTEMPTS - 1,))
    source.connection.execute(
        "UPDATE kb.stage_state SET status = 'failed', error_class = 'ObjectChanged' WHERE stage = 'raw'"
    )
    source.look()
    source.run_stages()
    found: dict[str, str] = dict(
        source.connection.execute("SELECT stage, status || ' ' || error_class FROM kb.stage_state").fetchall()
    )
    assert found == {"raw": "failed ObjectChanged", "parse": "quarantined GaveUp"}


def test_the_pause_of_a_source_grows_with_every_run_that_a_service_fails(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_pipeline.store.ledger.backlog.random.random", lambda: 1.0)
    source.write(a="one")
    source.reconcile()
    pauses = []
    for _ in range(3):
        pause_source(source.connection, "hr")
        row = source.connection.execute("SELECT extract(epoch FROM retry_at - now())::float FROM kb.source").fetchone()
        assert row
        pauses.append(row[0])
    assert pauses[1] == pytest.approx(2 * pauses[0], rel=0.1)
    assert pauses[2] == pytest.approx(4 * pauses[0], rel=0.1)
    resume_source(source.connection, "hr")
    assert source.connection.execute("SELECT attempts, retry_at FROM kb.source").fetchone() == (0, None)


def test_a_source_that_a_service_failed_is_left_alone_for_a_while(source: LineSource) -> None:
    source.write(a="one")
    source.reconcile()
    pause_source(source.connection, "hr")
    assert backlog(source).paused
    assert backlog(source).work
    try_now(source.connection, "hr")
    assert not backlog(source).paused
    pause_source(source.connection, "hr")
    resume_source(source.connection, "hr")
    assert not backlog(source).paused


def test_asking_again_writes_nothing(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    backlog(source)
    note_checked(source.connection, "hr")
    before = written(source)
    for _ in range(2):
        note_checked(source.connection, "hr")
        try_now(source.connection, "hr")
        resume_source(source.connection, "hr")
        source.reconcile()
    assert written(source) == before


@pytest.mark.parametrize(
    ("gone", "brake", "work"),
    [
        (3, None, True),
        (3, {"gone": 3, "moved": 0}, False),
        (3, {"gone": 2, "moved": 1}, False),
        (1, {"gone": 3, "moved": 0}, True),
        (0, None, False),
    ],
)
def test_deletes_that_wait_for_a_word_are_nothing_to_do_until_their_number_changes(
    gone: int, brake: dict[str, int] | None, work: bool
) -> None:
    assert Backlog(gone=gone, brake=brake).work == work


def test_a_source_that_is_mended_lets_go_of_the_brake(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    source.write(a=None)
    source.reconcile()
    set_brake(source.connection, source.lease, count_deletes(source.connection, "hr"))
    assert backlog(source).brake
    source.write(a="one")
    source.reconcile()
    assert backlog(source).brake is None


def test_what_a_run_did_half_way_under_other_settings_is_not_taken_for_settled(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    before = source.settings
    source.settings = MASKING
    source.run("mask")
    source.settings = before
    assert backlog(source).documents == 2
    source.sync()
    assert backlog(source).documents == 0
