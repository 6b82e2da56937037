"""Real PostgreSQL, objects in a real folder, and documents brought through the stages by hand."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from kb_pipeline import identity
from kb_pipeline.contracts import MaskedChunk, MaskedText
from kb_pipeline.store.database import Connection
from kb_pipeline.store.lease import Lease, acquire, release
from kb_pipeline.store.objects import ObjectStore, ObjectStoreConfig
from kb_pipeline.store.spaces import Space, ensure_space
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]

SOURCE = "hr"
DIMENSION = 8


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return ObjectStore(ObjectStoreConfig((tmp_path / "objects").as_uri()))


@pytest.fixture
def take(dsn: str) -> Iterator[Callable[..., Lease]]:
    """Takes leases that end with the test: take(holder="run", source=SOURCE, wait=0, ttl=60)."""
    with contextlib.ExitStack() as held:

        def make(holder: str = "run", source: str = SOURCE, wait: float = 0.0, ttl: float = 60.0) -> Lease:
            lease = acquire(dsn, source, holder, wait_seconds=wait, ttl_seconds=ttl, on_wait=lambda _: None)
            held.callback(release, dsn, lease)
            return lease

        yield make


@pytest.fixture
def lease(take: Callable[..., Lease]) -> Lease:
    return take()


@pytest.fixture
def space(connection: Connection) -> Space:
    return ensure_space(connection, model="m", revision="", instruction="", native_dimension=DIMENSION, dimension=None)


def masked(*texts: str) -> list[MaskedChunk]:
    """Masked chunks of one document with these texts, one after the other."""
    return [
        MaskedChunk(n, MaskedText(text), MaskedText(text), identity.text_hash(text), tokens=len(text))
        for n, text in enumerate(texts)
    ]


def vectors_of(names: Sequence[str]) -> np.ndarray:
    """(n, DIMENSION) float16 of unit length; equal names, equal vectors."""
    rows = [np.random.default_rng(int(name[:8], 16)).normal(size=DIMENSION) for name in names]
    matrix = np.array(rows, dtype=np.float32).reshape(len(names), DIMENSION)
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float16)
