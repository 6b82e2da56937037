"""A knowledge base of lines, filled through the real stages, and a search in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_pipeline.search.hybrid import Result, search
from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.ledger.lease import Lease, acquire, release
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn
from kb_pipeline_tests.support.lines import LineSource, vectors_of

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]

Find = Callable[..., list[Result]]


@pytest.fixture
def fill(connection: Connection, dsn: str, tmp_path: Path) -> Iterator[Callable[..., LineSource]]:
    """fill("hr", a="one line\\nanother") makes a source system hold these documents, searchable."""
    store = ObjectStore(ObjectStoreConfig((tmp_path / "objects").as_uri()))
    held: list[Lease] = []

    def make(source: str, **files: str) -> LineSource:
        held.append(acquire(dsn, source, "run", wait_seconds=0, ttl_seconds=60, on_wait=print))
        made = LineSource(connection, store, held[-1])
        made.write(**files)
        made.sync()
        return made

    yield make
    for lease in held:
        release(dsn, lease)


@pytest.fixture
def reader(dsn: str) -> Iterator[Connection]:
    """The connection that `find` searches with."""
    with connect(dsn) as reader:
        reader.prepare_threshold = None
        yield reader


@pytest.fixture
def find(fill: Callable[..., LineSource], reader: Connection) -> Find:
    """find(text, like=None, sources=None, limit=10): by the words of `text` and the vector of the line `like`.
    `knows=False`: the model does not know the query's language."""

    def run(
        text: str, like: str | None = None, sources: list[str] | None = None, limit: int = 10, *, knows: bool = True
    ) -> list[Result]:
        space = LineSource(reader, None, None).space()  # type: ignore[arg-type]
        vector = vectors_of([like if like is not None else text])[0].astype(np.float32)
        return search(reader, space, vector, text, sources=sources, limit=limit, model_knows_language=knows)

    return run
