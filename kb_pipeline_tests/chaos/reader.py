"""A reader that queries in a loop throughout, each time in one snapshot of the database."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import psycopg
from psycopg import sql

from kb_pipeline_tests.chaos.model import Model

PAUSE_SECONDS = 0.1
# md5(...) as expected.digest computes it. `bare`: chunks that have no vector.
_ROWS = """
SELECT d.source_system, d.key, d.deleted_at IS NULL, count(*) - count(v.chunk_id) AS bare,
    md5(string_agg(c.chunk_id || ':' || c.ordinal || ':' || md5(c.content), ',' ORDER BY c.chunk_id COLLATE "C"))
FROM kb.chunk c JOIN kb.document d USING (document_id) LEFT JOIN {table} v USING (chunk_id) GROUP BY 1, 2, 3
"""
_BOTH_WAYS = """
SELECT (SELECT md5(string_agg(chunk_id, ',' ORDER BY chunk_id)) FROM kb.knowledge_chunks),
    (SELECT md5(string_agg(chunk_id, ',' ORDER BY chunk_id)) FROM kb.chunk),
    (SELECT count(*) FROM {table} v WHERE NOT EXISTS (SELECT FROM kb.chunk c WHERE c.chunk_id = v.chunk_id))
"""


class Reader:
    """Looks until it is closed; a database that is down is tried again. `dsn` is asked for each time."""

    def __init__(self, dsn: Callable[[], str], model: Model) -> None:
        self._dsn, self._model = dsn, model
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look, name="reader", daemon=True)
        self.lost = 0

    def __enter__(self) -> Reader:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._closing.is_set():
            try:
                with psycopg.connect(self._dsn(), connect_timeout=5, application_name="reader") as connection:
                    connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
                    while not self._closing.wait(PAUSE_SECONDS):
                        with connection.transaction():
                            look_once(connection, self._model)
            except (psycopg.OperationalError, psycopg.InterfaceError):
                self.lost += 1
                self._closing.wait(PAUSE_SECONDS)
            except Exception as error:  # noqa: BLE001 - a reader that stopped looking would see nothing wrong
                self._model.problem(f"the reader failed: {type(error).__name__}: {error}")
                self._closing.wait(1.0)


def look_once(connection: psycopg.Connection[Any], model: Model) -> None:
    """Everything that is published, in the caller's transaction."""
    space = vector_table(connection)
    if space is None:
        model.observe({})
        return
    rows = connection.execute(sql.SQL(_ROWS).format(table=space)).fetchall()
    _judge(rows, model)
    view, table, orphans = connection.execute(sql.SQL(_BOTH_WAYS).format(table=space)).fetchone() or (None, None, 0)
    if view != table or orphans:
        model.problem(f"the view and the tables differ, or {orphans} vectors have no passage")


def vector_table(connection: psycopg.Connection[Any]) -> sql.Identifier | None:
    """The active space's table; None before there is one."""
    if connection.execute("SELECT to_regclass('kb.space')").fetchone() == (None,):
        return None
    row = connection.execute("SELECT table_name FROM kb.space WHERE status = 'active'").fetchone()
    return sql.Identifier("kb", row[0]) if row else None


def _judge(rows: Sequence[tuple[Any, ...]], model: Model) -> None:
    for source, key, live, bare, _ in rows:
        if bare or not live:
            model.problem(
                f"{(source, key)}: {bare} passages without a vector, or the document is deleted (live={live})"
            )
    model.observe({(source, key): digest for source, key, _, _, digest in rows})
