"""Does something between two statements of a connection: what another process may do there at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from kb_pipeline.store.database import Connection


@contextmanager
def after_statement(connection: Connection, words: str, action: Callable[[], object]) -> Iterator[None]:
    """Do `action` once, right after `connection` has executed a statement that holds `words`, while whoever sent it
    waits. Fails when no such statement comes."""
    execute, done = connection.execute, False

    def watched(query: Any, *values: Any, **options: Any) -> Any:
        nonlocal done
        cursor = execute(query, *values, **options)
        text = query.as_string(connection) if isinstance(query, sql.Composable) else str(query)
        if not done and words in text:
            done = True
            action()
        return cursor

    connection.execute = watched  # type: ignore[method-assign]
    try:
        yield
    finally:
        del connection.execute  # the class's own again
    assert done, f"no statement with {words!r} was executed"
