"""Ledger rows as tests state them, for questions to the ledger without the work that would write them; and every row
that there is, for what must leave none or change none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from kb_pipeline.core.identity import document_id
from kb_pipeline.store.database import Connection


def insert(connection: Connection, table: str, **columns: Any) -> None:
    """One row of kb.TABLE."""
    connection.execute(
        sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier("kb", table),
            sql.SQL(", ").join(map(sql.Identifier, columns)),
            sql.SQL(", ").join(sql.Placeholder() * len(columns)),
        ),
        [Jsonb(value) if isinstance(value, dict) else value for value in columns.values()],
    )


def document(connection: Connection, source: str, key: str, **columns: Any) -> str:
    """A document of its source's present version unless `columns` say otherwise; returns its id."""
    of = document_id(source, key)
    defaults = {
        "display_name": key,
        "etag": "1",
        "size": 100,
        "media_type": "text/plain",
        "content_hash": f"hash of {key}",
    }
    insert(connection, "document", document_id=of, source_system=source, key=key, **{**defaults, **columns})
    return of


def stage(connection: Connection, of: str, name: str, status: str = "ok", **columns: Any) -> None:
    """What became of a document at a stage."""
    defaults = {"stage_key": "k", "attempts": 1}
    insert(connection, "stage_state", document_id=of, stage=name, status=status, **{**defaults, **columns})


def space(connection: Connection, name: str = "m@8", status: str = "active") -> None:
    """An embedding space without a vector table."""
    insert(
        connection,
        "space",
        space_id=name,
        model="m",
        native_dimension=8,
        dimension=8,
        table_name=f"vector_{name}",
        status=status,
    )


def rows_as_text(connection: Connection) -> Iterator[str]:
    """Every row of every table of schema kb, with the table's name before it."""
    for (table,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'kb'").fetchall():
        for (row,) in connection.execute(sql.SQL("SELECT t::text FROM kb.{} t").format(sql.Identifier(table))):
            yield f"{table} {row}"
