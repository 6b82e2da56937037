"""Deletes: out of every table at once, moves after their new key is published, the brake before anything is lost."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kb_pipeline.core.faults import on_reach
from kb_pipeline.core.planning import Deletes
from kb_pipeline.pipeline.catalogue import access_key, chain_key
from kb_pipeline.store.ledger.backlog import count_backlog, try_now
from kb_pipeline.store.ledger.deletes import count_deletes, set_brake
from kb_pipeline_tests.support.lines import LineSource


class Crash(BaseException):
    """The process dies here."""


def brake(source: LineSource) -> object:
    row = source.connection.execute("SELECT brake FROM kb.source WHERE source_system = 'hr'").fetchone()
    return row and row[0]


def test_moves_are_told_from_losses_by_their_bytes(source: LineSource) -> None:
    source.write(a="one", b="two", c="three")
    source.sync()
    source.write(a=None, moved="one", b=None)
    source.reconcile()
    assert count_deletes(source.connection, "hr") == Deletes(2, 0, 3), "before anyone read the new key"
    source.look()
    assert count_deletes(source.connection, "hr") == Deletes(2, 1, 3, 1)


def test_a_copy_whose_original_goes_too_is_no_move(source: LineSource) -> None:
    source.write(a="one", b="one", c="two")
    source.sync()
    source.write(a=None, b=None)
    source.reconcile()
    assert count_deletes(source.connection, "hr") == Deletes(2, 0, 3)


def test_a_moved_document_stays_until_the_new_one_is_published(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None, moved="one")
    source.observe()
    assert source.published() == {"a": ["one"], "b": ["two"]}
    source.run_stages()
    assert source.published() == {"b": ["two"], "moved": ["one"]}


def test_a_moved_document_stays_while_a_run_that_died_has_left_the_new_one_unpublished(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None, moved="one")
    source.observe()
    source.scope = []  # the next run takes on others first
    source.run_stages()
    assert source.published() == {"a": ["one"], "b": ["two"]}
    source.look()
    source.run_stages()
    assert source.published() == {"b": ["two"], "moved": ["one"]}


def test_a_moved_document_stays_while_the_new_one_waits_for_its_time(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None, moved="one")
    source.observe()
    source.connection.execute("UPDATE kb.document SET retry_at = now() + interval '1 h' WHERE key = 'moved.txt'")
    source.look()
    source.run_stages()
    assert source.published() == {"a": ["one"], "b": ["two"]}
    chain, access = chain_key(source.settings, "hr"), access_key(source.settings, "hr")
    found = count_backlog(source.connection, "hr", chain, access)
    assert (found.waiting, found.gone, found.moving, found.documents) == (1, 1, 1, 0)
    assert not replace(found, regroup=False).work, "a run would find nothing to do before then"
    try_now(source.connection, "hr")
    source.look()
    source.run_stages()
    assert source.published() == {"b": ["two"], "moved": ["one"]}


def test_a_deleted_document_leaves_every_table_in_one_step(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None)
    source.observe()
    assert source.published() == {"b": ["two"]}
    rows = source.connection.execute(
        "SELECT d.deleted_at IS NOT NULL, v.withdrawn_at IS NOT NULL, count(s.stage) FROM kb.document d"
        " JOIN kb.document_version v USING (document_id)"
        " LEFT JOIN kb.stage_state s ON s.document_id = d.document_id AND s.stage = 'publish'"
        " WHERE d.key = 'a.txt' GROUP BY 1, 2"
    ).fetchall()
    assert rows == [(True, True, 0)]


def test_a_version_keeps_the_time_when_it_was_first_withdrawn_and_one_never_published_has_none(
    source: LineSource,
) -> None:
    def withdrawn() -> list[object]:
        rows = source.connection.execute("SELECT withdrawn_at FROM kb.document_version ORDER BY seen_at")
        return [row[0] for row in rows]

    source.write(a="one")
    source.sync()
    source.write(a=None)
    source.sync()
    (first,) = withdrawn()
    assert first
    source.write(a="two")
    source.sync()
    source.write(a="three")
    source.observe()  # seen, and deleted before any stage came to it
    source.write(a=None)
    source.sync()
    one, two, three = withdrawn()
    assert one == first
    assert two not in (None, first)
    assert three is None


def test_a_crash_between_two_batches_of_deletes_leaves_each_document_whole_or_gone(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_pipeline.store.ledger.deletes.PAGE", 2)
    source.write(**{f"d{n}": f"text {n}\nand {n}" for n in range(5)})
    source.sync()
    source.write(**{f"d{n}": None for n in range(5)})
    source.reconcile()

    def die(name: str) -> None:
        if name == "delete.committed":
            raise Crash

    with pytest.raises(Crash), on_reach(die):
        source.delete()
    left = source.published()
    assert len(left) == 3
    assert all(len(texts) == 2 for texts in left.values())
    assert source.delete() == 3
    assert source.published() == {}


def test_the_brake_s_numbers_are_kept_with_since_when(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    set_brake(source.connection, source.lease, Deletes(3, 1, 4))
    first = brake(source)
    assert isinstance(first, dict)
    assert {k: first[k] for k in ("gone", "live", "moved")} == {"gone": 2, "live": 4, "moved": 1}
    set_brake(source.connection, source.lease, Deletes(3, 1, 4))
    assert brake(source) == first
    set_brake(source.connection, source.lease, Deletes(4, 1, 4))
    later = brake(source)
    assert isinstance(later, dict)
    assert (later["gone"], later["since"]) == (3, first["since"])
    set_brake(source.connection, source.lease, None)
    assert brake(source) is None
