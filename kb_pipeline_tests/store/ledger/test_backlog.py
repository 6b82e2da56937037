"""What is left to do: only documents with work are taken on, and what failed waits, longer each time."""

from __future__ import annotations

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
    try_now,
)
from kb_pipeline.store.ledger.deletes import count_deletes, set_brake
from kb_pipeline.store.views.overview import quarantined, retry
from kb_pipeline_tests.support.lines import MASKING, LineSource


def backlog(source: LineSource) -> Backlog:
    source.connection.execute(
        "UPDATE kb.source SET access_key = %s WHERE access_key IS NULL", (access_key(source.settings, "hr"),)
    )
    chain, access = chain_key(source.settings, "hr"), access_key(source.settings, "hr")
    return count_backlog(source.connection, "hr", chain, access)


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
