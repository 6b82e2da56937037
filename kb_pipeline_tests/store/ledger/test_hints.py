"""A listing compared with the ledger: only what differs becomes a hint, and a hint stays until it is answered."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb_pipeline.core.identity import document_id
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.sources.reconciling import Reconciled, reconcile
from kb_pipeline.store.database import connect
from kb_pipeline.store.erasing.erase import forget
from kb_pipeline.store.ledger.hints import add_hints, due_hints
from kb_pipeline.store.ledger.listings import Listing
from kb_pipeline.store.objects.object_store import ObjectInfo, ObjectStore
from kb_pipeline_tests.support.lines import LineSource


def hints(source: LineSource) -> dict[str, bool]:
    """key -> whether it is gone."""
    rows = source.connection.execute("SELECT key, gone FROM kb.hint WHERE source_system = 'hr'")
    return {key.removesuffix(".txt"): gone for key, gone in rows}


def listed(source: LineSource, **options: bool) -> Reconciled:
    return reconcile(source.connection, source.store, "hr", raw_prefix("hr"), **options)


def file_of(source: LineSource, name: str) -> Path:
    return Path(source.store.config.url.removeprefix("file://")) / raw_prefix("hr") / f"{name}.txt"


def test_a_listing_hints_what_is_new_changed_and_gone_and_nothing_else(source: LineSource) -> None:
    source.write(stays="one", edited="two", deleted="three")
    source.sync()
    source.write(edited="two and more", deleted=None, new="four")
    found = listed(source)
    assert (found.listed, found.hinted, found.unchanged) == (3, 3, False)
    assert hints(source) == {"edited": False, "deleted": True, "new": False}


def test_the_listing_of_last_time_is_known_by_its_digest_and_not_compared_again(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    # A row that the listing does not explain shows whether documents were compared.
    source.connection.execute("UPDATE kb.document SET etag = 'other'")
    assert listed(source).unchanged
    assert hints(source) == {}
    assert not listed(source, full=True).unchanged
    assert hints(source) == {"a": False}


def test_an_edit_that_keeps_size_and_time_is_seen_by_rehash(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    path = file_of(source, "a")
    before = path.stat()
    with path.open("r+") as file:  # the same inode
        file.write("ONE")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    source.sync()
    assert source.published() == {"a": ["one"]}, "file:// cannot tell: the docs say so"
    listed(source, rehash=True)
    source.sync()
    assert source.published() == {"a": ["ONE"]}


def test_a_key_that_is_back_as_it_was_needs_no_look(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    path = file_of(source, "a")
    aside = path.with_suffix(".aside")
    path.rename(aside)
    listed(source)
    assert hints(source)["a"] is True
    aside.rename(path)
    listed(source)
    assert hints(source) == {}


def test_a_key_that_came_and_went_before_anyone_looked_is_forgotten(source: LineSource) -> None:
    source.write(a="one", b="two")
    listed(source)
    source.write(b=None)
    listed(source)
    assert hints(source) == {"a": False}


def while_listing(monkeypatch: pytest.MonkeyPatch, action: Callable[[], None]) -> None:
    """From now on a listing shows what was there before `action`, which happens before it ends."""
    real = ObjectStore.list

    def slow(store: ObjectStore, prefix: str) -> Iterator[ObjectInfo]:
        found = list(real(store, prefix))
        action()
        return iter(found)

    monkeypatch.setattr(ObjectStore, "list", slow)


def test_a_key_found_gone_after_the_listing_began_still_waits_for_its_delete(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The listing shows it as the ledger has it, and is older than what was found by asking for it."""
    source.write(a="one", b="two")
    source.sync()

    def delete_and_notify() -> None:
        source.write(a=None)
        add_hints(source.connection, [("hr", "a.txt")])
        source.look()

    while_listing(monkeypatch, delete_and_notify)
    listed(source, full=True)
    assert hints(source) == {"a": True}


def test_a_notification_that_came_after_the_listing_began_stays_although_it_lacks_the_key(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write(a="one")
    source.sync()

    def write_and_notify() -> None:
        source.write(late="came while the source was listed")
        add_hints(source.connection, [("hr", "late.txt")])

    while_listing(monkeypatch, write_and_notify)
    listed(source, full=True)
    assert hints(source) == {"late": False}


def test_no_listing_writes_the_key_of_a_forgotten_document_down_again(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    forget(source.connection, source.store, source.lease, document_id("hr", "a.txt"))
    source.write(b="two and more")
    for rehash in (False, True):
        listed(source, rehash=rehash)
        assert hints(source) == {"b": False}


def test_keys_are_looked_at_in_the_order_in_which_they_came(source: LineSource) -> None:
    add_hints(source.connection, [("hr", f"{name}.txt") for name in "abc"])
    source.connection.execute(
        "UPDATE kb.hint SET received_at = now() - make_interval(mins => ascii(key))"  # c came before b, and b before a
    )
    assert [hint.key for hint in due_hints(source.connection, "hr", 1)] == ["c.txt"]
    assert [hint.key for hint in due_hints(source.connection, "hr", 3)] == ["c.txt", "b.txt", "a.txt"]


def test_a_document_recorded_after_the_listing_began_is_not_taken_for_gone(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listing takes time: what a notification brought meanwhile is newer than it."""
    source.write(a="one")
    source.sync()

    def write_and_look() -> None:
        source.write(late="came while the source was listed")
        add_hints(source.connection, [("hr", "late.txt")])
        source.look()

    while_listing(monkeypatch, write_and_look)
    listed(source, full=True)
    assert hints(source) == {}


def test_a_hint_without_a_listing_is_looked_up_by_name(source: LineSource) -> None:
    source.write(a="one", b="two")
    assert add_hints(source.connection, [("hr", "a.txt"), ("hr", "a.txt"), ("hr", "never.txt")]) == 2
    source.look()
    assert hints(source) == {}
    source.run_stages()
    assert source.published() == {"a": ["one"]}, "b was not hinted"


def test_a_hinted_key_that_is_not_there_any_more_waits_for_its_delete(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None)
    add_hints(source.connection, [("hr", "a.txt")])
    source.look()
    assert hints(source) == {"a": True}
    source.sync()
    assert source.published() == {"b": ["two"]}


def test_a_hint_that_comes_again_while_its_key_is_read_stays(
    source: LineSource, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.write(a="one")
    add_hints(source.connection, [("hr", "a.txt")])
    real = ObjectStore.stream

    def reading(store: ObjectStore, path: str) -> Iterator[bytes]:
        monkeypatch.setattr(ObjectStore, "stream", real)
        with connect(dsn) as another:
            add_hints(another, [("hr", "a.txt")])
        return real(store, path)

    monkeypatch.setattr(ObjectStore, "stream", reading)
    source.look(limit=1)
    assert hints(source) == {"a": False}


def test_what_cannot_be_read_waits_and_is_asked_for_by_name_again(source: LineSource) -> None:
    source.write(a="one", b="two")
    listed(source)
    file_of(source, "a").unlink()
    seen = source.look()
    assert (seen.changes, seen.failed) == ({"added": 1}, 1)
    assert [hint.key for hint in due_hints(source.connection, "hr", 10)] == [], "its time has not come"
    source.connection.execute("UPDATE kb.hint SET retry_at = now() - interval '1 second'")
    (hint,) = due_hints(source.connection, "hr", 10)
    assert (hint.key, hint.seen, hint.attempts) == ("a.txt", None, 1)
    source.look()
    assert hints(source) == {"a": True}, "the ledger has a row of it: a delete like any other"


@pytest.mark.parametrize("key", ["tab\tin.txt", "back\\slash.txt", "\\N", "übung 名.txt", "line\nbreak.txt"])
def test_keys_pass_through_the_listing_as_they_are(source: LineSource, key: str) -> None:
    at = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)
    with Listing("hr", [ObjectInfo(key, 7, "e\\t", at)]) as listing:
        listing.load(source.connection)
    rows = source.connection.execute("SELECT key, size, etag, version_id, modified_at FROM observed").fetchall()
    assert rows == [(key, 7, "e\\t", None, at)]
