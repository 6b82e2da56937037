"""Every text in the database, wherever it stands: for who looks for what should not be there."""

from __future__ import annotations

from collections.abc import Iterator

from psycopg import sql

from kb_pipeline.contracts import MaskedText
from kb_pipeline.store.database import Connection

# Not masked by design: how an object is asked for.
BY_DESIGN = ("kb.document.key", "kb.hint.key")
_BATCH = 2000
_TEXTUAL = ("text", "character varying", "json", "jsonb", "tsvector", "ARRAY", "bytea")


def every_text(connection: Connection) -> Iterator[tuple[str, str]]:
    """(table, a row's texts) of every table of the database, system tables and BY_DESIGN left out."""
    columns = connection.execute(
        "SELECT c.table_schema, c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position)"
        " FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')"
        " AND c.data_type = ANY(%s) AND NOT concat_ws('.', c.table_schema, c.table_name, c.column_name) = ANY(%s)"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        (list(_TEXTUAL), list(BY_DESIGN)),
    ).fetchall()
    for schema, table, names in columns:
        query = sql.SQL("SELECT concat_ws(E'\\n', {}) FROM {}").format(
            sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(name)) for name in names),
            sql.Identifier(schema, table),
        )
        with connection.transaction(), connection.cursor(name="every_text") as cursor:
            cursor.itersize = _BATCH
            for (text,) in cursor.execute(query):
                yield f"{schema}.{table}", text


def published_texts(connection: Connection) -> Iterator[tuple[str, MaskedText]]:
    """(source system, file name, section path and text) of every published passage."""
    with connection.transaction(), connection.cursor(name="published_texts") as cursor:
        cursor.itersize = _BATCH
        cursor.execute(
            "SELECT d.source_system, concat_ws(E'\\n', d.display_name, array_to_string(c.section_path, ' > '),"
            " c.content) FROM kb.chunk c JOIN kb.document d USING (document_id)"
        )
        for source, text in cursor:
            yield source, MaskedText(text)
