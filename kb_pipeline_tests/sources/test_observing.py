"""Looking at hinted keys: what is an object, how much of it is read, what a version means, and how many at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kb_pipeline.core.selection import Selection
from kb_pipeline.sources.observing import Looker, Observed
from kb_pipeline.sources.reconciling import reconcile
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.hints import add_hints
from kb_pipeline.store.ledger.lease import acquire, release
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn
from kb_pipeline_tests.support.s3 import ENVIRONMENT, S3Server, make_bucket

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]

PREFIX = "raw/hr"
LARGEST = 100


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(ObjectStoreConfig((tmp_path / "objects").as_uri()))


@pytest.fixture
def looker(connection: Connection, dsn: str, store: ObjectStore) -> Iterator[Looker]:
    lease = acquire(dsn, "hr", "run", wait_seconds=0, ttl_seconds=60, on_wait=print)
    yield Looker(connection, store, lease, "run", PREFIX, LARGEST, lambda key: [])
    release(dsn, lease)


def listed(looker: Looker) -> None:
    reconcile(looker.connection, looker.store, "hr", PREFIX)


def observed(looker: Looker) -> Observed:
    listed(looker)
    return looker.look(1000)


def put(looker: Looker, **files: str) -> None:
    for name, text in files.items():
        looker.store.put(f"{PREFIX}/{name}", text.encode())


def hints(looker: Looker) -> set[str]:
    return {key for (key,) in looker.connection.execute("SELECT key FROM kb.hint WHERE source_system = 'hr'")}


def documents(looker: Looker) -> set[str]:
    return {key for (key,) in looker.connection.execute("SELECT key FROM kb.document WHERE deleted_at IS NULL")}


def test_the_folder_that_a_console_made_is_no_document(
    looker: Looker, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    make_bucket(s3_server.endpoint, "made-by-a-console")
    client = s3_server.client()
    client.put_object(Bucket="made-by-a-console", Key=f"{PREFIX}/policies/", Body=b"")
    client.put_object(Bucket="made-by-a-console", Key=f"{PREFIX}/a.md", Body=b"text")
    store = ObjectStore(ObjectStoreConfig("s3://made-by-a-console", s3_server.endpoint, "us-east-1"))
    in_bucket = Looker(looker.connection, store, looker.lease, "run", PREFIX, LARGEST, lambda key: [])
    listed(in_bucket)
    assert hints(looker) == {"policies", "a.md"}, "the listing shows it as a key of size 0"
    seen = in_bucket.look(1000)
    assert seen.absent == ["policies"]
    assert (documents(looker), hints(looker)) == ({"a.md"}, set())


def test_an_object_that_grew_since_it_was_listed_is_too_large(looker: Looker) -> None:
    put(looker, small="x", grows="x")
    listed(looker)
    put(looker, grows="x" * (LARGEST + 1))
    seen = looker.look(1000)
    assert (seen.quarantined, seen.changes) == (1, {"added": 1})
    rows = looker.connection.execute(
        "SELECT d.key, s.error_class FROM kb.stage_state s JOIN kb.document d USING (document_id)"
        " WHERE s.status = 'quarantined'"
    ).fetchall()
    assert rows == [("grows", "DocumentTooLarge")]


def test_of_two_new_keys_with_the_bytes_of_a_gone_one_one_was_moved(looker: Looker) -> None:
    put(looker, old="one and the same")
    observed(looker)
    looker.store.delete(f"{PREFIX}/old")
    put(looker, new="one and the same", newer="one and the same")
    assert observed(looker).changes == {"moved": 1, "copied": 1}


def test_no_more_keys_are_looked_at_than_the_run_takes_on(looker: Looker) -> None:
    put(looker, a="1", b="2", c="3")
    listed(looker)
    assert looker.look(1).looked_at == 1
    assert len(hints(looker)) == 2


def test_a_key_that_patterns_exclude_is_looked_at_only_if_it_is_held(looker: Looker) -> None:
    put(looker, held="1", new="2")
    add_hints(looker.connection, [("hr", "held")])
    looker.look(1000)
    picky = Looker(
        looker.connection, looker.store, looker.lease, "run", PREFIX, LARGEST, lambda key: [],
        Selection(exclude=["*"]).takes,
    )  # fmt: skip
    put(looker, held="edited")
    add_hints(looker.connection, [("hr", "held"), ("hr", "new")])
    reads = looker.store.counter.reads
    seen = picky.look(1000)
    assert (seen.looked_at, seen.changes) == (2, {"changed": 1})
    assert looker.store.counter.reads == reads + 1
    assert (documents(looker), hints(looker)) == ({"held"}, set())
