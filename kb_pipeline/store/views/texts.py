"""Every text in a database and below masked/, wherever it stands: for who looks for what should not be there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from kb_pipeline.core.contracts import ArtifactRef, MaskedChunk, MaskedText
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.store.database import Connection
from kb_pipeline.store.objects.artifacts import read_table, table_to_records
from kb_pipeline.store.objects.object_store import ObjectStore

# Not masked by design: how an object is asked for.
BY_DESIGN = ("kb.document.key", "kb.hint.key")
# Columns of schema kb that hold hashes, ids, paths, counts and places on a page: whatever a detector sees in them is
# chance. A column that is not named here is taken for text.
OURS = frozenset(
    (
        *("access_key", "boxes", "brake", "chunk_id", "content_hash", "display_policy", "document_id", "etag"),
        *("fingerprint", "holder", "input_hash", "listing_digest", "model_key", "output_hash", "run_id", "settled_key"),
        *("sha256", "stage_key", "stats", "text_hash", "uri", "version_id"),
    )
)
_BATCH = 200
_TEXTUAL = ("text", "character varying", "character", "json", "jsonb", "xml", "tsvector", "ARRAY", "bytea")


@dataclass(frozen=True, slots=True)
class Row:
    """A row's texts; `ours` are those of OURS."""

    table: str
    text: str
    ours: str


def every_text(connection: Connection) -> Iterator[Row]:
    """Rows of every table of the database that has text, system tables and BY_DESIGN left out, as its catalogue names
    them: a table or a column that comes later is read too. Holds a few rows at a time."""
    tables = connection.execute(
        "SELECT c.table_schema, c.table_name, array_agg(c.column_name::text ORDER BY c.ordinal_position),"
        " array_agg(c.data_type::text ORDER BY c.ordinal_position)"
        " FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE t.table_type = 'BASE TABLE' AND c.table_schema NOT IN ('pg_catalog', 'information_schema')"
        " AND c.data_type = ANY(%s) AND NOT concat_ws('.', c.table_schema, c.table_name, c.column_name) = ANY(%s)"
        " GROUP BY 1, 2 ORDER BY 1, 2",
        (list(_TEXTUAL), list(BY_DESIGN)),
    ).fetchall()
    for schema, table, names, types in tables:
        columns = dict(zip(names, types, strict=True))
        ours = {name: kind for name, kind in columns.items() if schema == "kb" and name in OURS}
        query = sql.SQL("SELECT {}, {} FROM {}").format(
            _joined({name: kind for name, kind in columns.items() if name not in ours}),
            _joined(ours),
            sql.Identifier(schema, table),
        )
        for texts in _streamed(connection, query):
            yield Row(f"{schema}.{table}", *texts)


def published_texts(connection: Connection) -> Iterator[tuple[str, MaskedText]]:
    """(source system, file name, section path and text) of every published passage; the name of a document without."""
    query = sql.SQL(
        "SELECT d.source_system, concat_ws(E'\n', d.display_name, array_to_string(c.section_path, ' > '), c.content)"
        " FROM kb.document d LEFT JOIN kb.chunk c USING (document_id) WHERE d.deleted_at IS NULL"
    )
    for source, text in _streamed(connection, query):
        yield source, MaskedText(text)


def masked_texts(connection: Connection, store: ObjectStore) -> Iterator[tuple[str, MaskedText]]:
    """(source system, section path, text and what the model is sent) of every current artifact of the stage mask. One
    that is damaged is left out: it is made again when it is needed."""
    query = sql.SQL(
        "SELECT DISTINCT d.source_system, a.uri, a.size, a.sha256 FROM kb.artifact a JOIN kb.stage_state s"
        " USING (fingerprint) JOIN kb.document d USING (document_id)"
        " WHERE a.stage = 'mask' AND s.status = 'ok' AND d.deleted_at IS NULL"
    )
    for source, *ref in _streamed(connection, query):
        with suppress(ArtifactDamaged):
            chunks: list[MaskedChunk] = table_to_records(read_table(store, ArtifactRef(*ref)), MaskedChunk)
            for chunk in chunks:
                shown = "\n".join((" > ".join(chunk.section_path), chunk.content))
                sent = "" if chunk.embed_text in shown else f"\n{chunk.embed_text}"
                yield source, MaskedText(f"{shown}{sent}")


def _joined(columns: Mapping[str, str]) -> sql.Composable:
    """The texts of a row in one. Words of a tsvector stand apart, or neighbours would look like one number."""
    forms = {"tsvector": "array_to_string(tsvector_to_array({}), E'\\n|\\n')", "bytea": "encode({}, 'escape')"}
    parts = [sql.SQL(forms.get(kind, "{}::text")).format(sql.Identifier(name)) for name, kind in columns.items()]
    return sql.SQL("concat_ws(E'\\n', {})").format(sql.SQL(", ").join([*parts, sql.SQL("NULL")]))


def _streamed(connection: Connection, query: sql.SQL | sql.Composed) -> Iterator[tuple[Any, ...]]:
    with connection.transaction(), connection.cursor(name="texts") as cursor:
        connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # looking takes longer than reading
        cursor.itersize = _BATCH
        yield from cursor.execute(query)
