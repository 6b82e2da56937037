"""A database of any earlier schema, with data as it was written then, goes on where it stood: nothing is done again."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import resources

import pyarrow as pa
import pytest
from psycopg import sql

from kb_pipeline.core.contracts import ArtifactRef
from kb_pipeline.pipeline.catalogue import chain_key
from kb_pipeline.store.database import Connection, connect, migrate
from kb_pipeline.store.ledger.lease import acquire, release
from kb_pipeline.store.objects.artifacts import read_table
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline_tests.support.lines import MASKING, LineSource

FILES = sorted(
    (item for item in resources.files("kb_pipeline.store.migrations").iterdir() if item.name.endswith(".sql")),
    key=lambda item: item.name,
)
ALL = [item.name for item in FILES]
# In the order of their references.
TABLES = (
    "document",
    "document_version",
    "artifact",
    "stage_state",
    "vector_ref",
    "hint",
    "chunk",
    "vector_m_8",
    "source",
)


def apply(connection: Connection, count: int) -> None:
    """Bring an empty database to the schema after the first `count` migrations, as the release of then did."""
    for item in FILES[:count]:
        with connection.transaction():
            connection.execute(item.read_text(encoding="utf-8").encode())
            connection.execute("INSERT INTO kb.migration (name) VALUES (%s)", (item.name,))


def columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_schema = 'kb' AND table_name = %s"
        " ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in rows]


def content(connection: Connection, table: str, names: list[str]) -> list[tuple[object, ...]]:
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
        sql.Identifier("kb", table),
    )
    return sorted(connection.execute(query).fetchall(), key=repr)


def copy_rows(source: Connection, target: Connection, table: str) -> None:
    """Copy what the target's schema has a place for; of several rows that its key takes for one, the first."""
    names = sql.SQL(", ").join(map(sql.Identifier, columns(target, table)))
    key = target.execute(
        "SELECT array_agg(a.attname::text) FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid"
        " AND a.attnum = ANY(i.indkey) WHERE i.indrelid = %s::regclass AND i.indisprimary",
        (f"kb.{table}",),
    ).fetchone()
    assert key
    one_each = sql.SQL(", ").join(map(sql.Identifier, key[0]))
    query = sql.SQL("COPY (SELECT DISTINCT ON ({}) {} FROM {}) TO STDOUT").format(
        one_each, names, sql.Identifier("kb", table)
    )
    load = sql.SQL("COPY {} ({}) FROM STDIN").format(sql.Identifier("kb", table), names)
    with source.cursor() as reading, target.cursor() as writing, reading.copy(query) as out, writing.copy(load) as into:
        for data in out:
            into.write(data)


def make_artifacts_old(connection: Connection, store: ObjectStore) -> None:
    """Artifacts as the first release wrote them: a file of Arrow IPC, at a path that is the fingerprint's own."""
    rows = connection.execute("SELECT fingerprint, uri, size, sha256 FROM kb.artifact").fetchall()
    for fingerprint, uri, size, sha256 in rows:
        table = read_table(store, ArtifactRef(uri, size, sha256))
        sink = pa.BufferOutputStream()
        with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
            writer.write_table(table)
        data = sink.getvalue().to_pybytes()
        path = f"{uri.rpartition('/')[0]}/{fingerprint}.arrow"
        store.delete(uri)
        store.put(path, data)
        connection.execute(
            "UPDATE kb.artifact SET uri = %s, size = %s, sha256 = %s WHERE fingerprint = %s",
            (path, len(data), hashlib.sha256(data).hexdigest(), fingerprint),
        )


@contextmanager
def line_source(dsn: str, connection: Connection, store: ObjectStore) -> Iterator[LineSource]:
    lease = acquire(dsn, "hr", "run", wait_seconds=0, ttl_seconds=60, on_wait=lambda _: None)
    try:
        yield LineSource(connection, store, lease, MASKING)
    finally:
        release(dsn, lease)


@pytest.fixture
def filled(source: LineSource) -> LineSource:
    """hr: an edited document, one whose lines others have too, one in quarantine, one deleted."""
    source.settings = MASKING
    source.write(a="one\ntwo", b="two\nthree", bad="REFUSED", old="gone")
    source.sync()
    source.write(a="one\nfour costs $", old=None)
    source.sync()
    make_artifacts_old(source.connection, source.store)
    return source


@pytest.fixture(params=range(1, len(ALL)), ids=lambda count: ALL[count - 1].partition(".")[0])
def earlier(
    filled: LineSource, new_database: Callable[..., str], request: pytest.FixtureRequest
) -> Iterator[tuple[str, Connection]]:
    """A database after the first so many migrations, filled with what that schema holds of the source."""
    dsn = new_database()
    with connect(dsn) as connection:
        apply(connection, request.param)
        with line_source(dsn, connection, filled.store) as target:
            target.space()
        for table in TABLES:
            if columns(connection, table):
                copy_rows(filled.connection, connection, table)
        yield dsn, connection


def test_what_was_there_is_kept_and_the_new_columns_are_right(
    earlier: tuple[str, Connection], filled: LineSource
) -> None:
    _, connection = earlier
    tables = {table: found for table in TABLES if (found := columns(connection, table))}
    before = {table: content(connection, table, names) for table, names in tables.items()}
    assert all(before[table] for table in ("document", "artifact", "stage_state", "vector_ref", "chunk", "vector_m_8"))
    assert migrate(connection)[-1] == ALL[-1]
    assert {table: content(connection, table, names) for table, names in tables.items()} == before
    assert connection.execute("SELECT source_system, brake, removed_at FROM kb.source").fetchall() == [
        ("hr", None, None)
    ]
    wrong = connection.execute(
        "SELECT count(*) FROM kb.artifact a JOIN kb.stage_state s USING (fingerprint)"
        " WHERE a.input_hash IS DISTINCT FROM s.input_hash"
    ).fetchone()
    assert wrong == (0,)
    two = connection.execute("SELECT fingerprint FROM kb.artifact WHERE stage = 'embed' LIMIT 2").fetchall()
    connection.execute(
        "INSERT INTO kb.vector_ref (model_key, text_hash, fingerprint, row)"
        " SELECT 'm', 'a text of two artifacts', f, 0 FROM unnest(%s::text[]) f",
        ([name for (name,) in two],),
    )


def test_a_sync_over_it_does_nothing_again(earlier: tuple[str, Connection], filled: LineSource) -> None:
    dsn, connection = earlier
    migrate(connection)
    published = filled.published()
    reads, writes = filled.store.counter.reads, filled.store.counter.writes
    with line_source(dsn, connection, filled.store) as source:
        source.sync()
        assert (source.worked, source.sent) == ([], [])
        assert (filled.store.counter.reads, filled.store.counter.writes) == (reads, writes)
        assert source.published() == published
        settled = connection.execute("SELECT DISTINCT settled_key FROM kb.document WHERE deleted_at IS NULL").fetchall()
        assert settled == [(chain_key(MASKING, "hr"),)]


def test_an_edit_after_it_embeds_only_what_is_new(earlier: tuple[str, Connection], filled: LineSource) -> None:
    """Old artifacts are read as they were written: the vectors of texts that were there are in them."""
    dsn, connection = earlier
    migrate(connection)
    with line_source(dsn, connection, filled.store) as source:
        source.write(b="five\none\nthree")
        source.sync()
        assert source.sent == ["five"]
        assert source.published() == {"a": ["one", "four costs <MONEY>"], "b": ["five", "one", "three"]}
