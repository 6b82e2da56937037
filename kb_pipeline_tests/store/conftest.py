"""Real PostgreSQL, objects in a real folder, and documents of lines that go through all stages."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.lease import Lease, acquire, release
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn
from kb_pipeline_tests.support.lines import LineSource
from kb_pipeline_tests.support.s3 import ENVIRONMENT

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(ObjectStoreConfig((tmp_path / "objects").as_uri()))


@pytest.fixture
def take(dsn: str) -> Iterator[Callable[..., Lease]]:
    """Takes leases that end with the test: take(holder="run", source="hr", wait=0, ttl=60)."""
    with contextlib.ExitStack() as held:

        def make(holder: str = "run", source: str = "hr", wait: float = 0.0, ttl: float = 60.0) -> Lease:
            lease = acquire(dsn, source, holder, wait_seconds=wait, ttl_seconds=ttl, on_wait=lambda _: None)
            held.callback(release, dsn, lease)
            return lease

        yield make


@pytest.fixture
def lease(take: Callable[..., Lease]) -> Lease:
    return take()


@pytest.fixture
def source(connection: Connection, store: ObjectStore, lease: Lease) -> LineSource:
    """A source system of documents whose lines are passages."""
    return LineSource(connection, store, lease)
