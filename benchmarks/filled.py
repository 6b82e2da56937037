"""A knowledge base of many documents, made in minutes: a thousand are really synced, the others are copies of them.

A copy needs no parser and no model, so all that a sync leaves for one are rows. Here the database writes these rows as
sets, for files that are really there. That the ledger is then what a sync would have left is not taken on trust: the
whole listing compared with it must show no difference, and `kb verify` must find nothing wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from psycopg import sql

from benchmarks.workspace import Workspace, workspace
from kb_pipeline.core.identity import document_id
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.pipeline.opening import object_store
from kb_pipeline.store.database import Connection, connect, identifier
from kb_pipeline.store.objects.object_store import ObjectInfo

SOURCE = "notes"
SYNCED = 1000
A_FOLDER = 1000
_AS_LISTED = {name: f"c.{name}" for name in ("document_id", "key", "etag", "size", "modified_at")}
# What identity.chunk_id computes for the first occurrence of a text in a document.
_CHUNK_ID = (
    "left(encode(sha256(convert_to('chunk', 'UTF8') || '\\x00'::bytea || convert_to({}, 'UTF8') || '\\x00'::bytea"
    " || convert_to(t.text_hash, 'UTF8') || '\\x00'::bytea || '0'), 'hex'), 32)"
)
_SLOW_TO_FILL = (
    "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_am a ON a.oid = c.relam WHERE c.relnamespace = 'kb'::regnamespace AND a.amname IN ('gin', 'hnsw')"
)


def key_of(number: int) -> str:
    """The key of the n-th document, in folders of a thousand."""
    return f"{number // A_FOLDER:04d}/{number % A_FOLDER:03d}.md"


def text_of(number: int) -> str:
    """The n-th document: Markdown of one chunk, equal to that of every thousandth."""
    n = number % SYNCED
    return f"# Note {n}\n\nNote {n} says what was agreed upon, who takes it on and until when it is to be done.\n"


@contextmanager
def filled(documents: int) -> Iterator[Workspace]:
    """A workspace whose source `notes` holds so many documents, in step with its listing; it ends with the block."""
    with workspace() as space:
        raw = space.home / "objects" / "raw" / SOURCE
        _write_files(raw, range(SYNCED))
        space.kb("sync", SOURCE)
        _write_files(raw, range(SYNCED, documents))
        settings = space.base().settings
        with connect(database_dsn(settings)) as connection:
            _load_listing(connection, object_store(settings).list(f"raw/{SOURCE}"))
            _copy_rows(connection)
        _check(space, documents)
        yield space


def _write_files(raw: Path, numbers: range) -> None:
    for number in numbers:
        path = raw / key_of(number)
        if number % A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_text(text_of(number))


def _load_listing(connection: Connection, listing: Iterator[ObjectInfo]) -> None:
    """Session table `copied`: each object that was not synced, with the document it is a copy of."""
    connection.execute(
        "CREATE TEMP TABLE copied (document_id text PRIMARY KEY, template text NOT NULL, key text, etag text,"
        " size bigint, modified_at timestamptz)"
    )
    templates = {key_of(number): document_id(SOURCE, key_of(number)) for number in range(SYNCED)}
    with connection.cursor() as cursor, cursor.copy("COPY copied FROM STDIN") as copy:
        for item in listing:
            if item.key not in templates:
                template = templates[key_of(int(item.key[5:-3]))]
                row = (document_id(SOURCE, item.key), template, item.key, item.etag, item.size, item.modified_at)
                copy.write_row(row)
    connection.execute("ANALYZE copied")


def _copy_rows(connection: Connection) -> None:
    """For each of `copied` the rows that its template has, under its own ids; indexes are filled once, at the end."""
    table = connection.execute("SELECT table_name FROM kb.space WHERE status = 'active'").fetchone()
    chunk_id = _CHUNK_ID.format("c.document_id")
    computed = _CHUNK_ID.format("t.document_id")
    wrong = connection.execute(f"SELECT count(*) FROM kb.chunk t WHERE t.chunk_id <> {computed}").fetchone()
    if table is None or wrong != (0,):
        raise RuntimeError("the documents to be copied are not as this benchmark takes them to be")
    with connection.transaction():
        connection.execute("SET LOCAL maintenance_work_mem = '512MB'")
        slow = connection.execute(_SLOW_TO_FILL).fetchall()
        for name, _ in slow:
            connection.execute(sql.SQL("DROP INDEX {}").format(identifier(name)))
        own = {"document_id": "c.document_id"}
        _copy(connection, "document", {**_AS_LISTED, "display_name": "c.key"})
        _copy(connection, "document_version", own)
        _copy(connection, "stage_state", own)
        _copy(connection, "chunk", {**own, "chunk_id": chunk_id})
        _copy(connection, str(table[0]), {"chunk_id": chunk_id}, "kb.chunk t USING (chunk_id)")
        for _, definition in slow:
            connection.execute(definition)
    connection.execute("VACUUM ANALYZE")


def _copy(connection: Connection, table: str, own: Mapping[str, str], through: str = "") -> None:
    found = connection.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (f"kb.{table}",),
    )
    columns = [row[0] for row in found]
    template = "r" if through else "t"
    values = [own.get(column, f"{template}.{column}") for column in columns]
    joined = f"kb.{table} r JOIN {through}" if through else f"kb.{table} t"
    connection.execute(
        f"INSERT INTO kb.{table} ({', '.join(columns)}) SELECT {', '.join(values)}"
        f" FROM {joined} JOIN copied c ON c.template = t.document_id"
    )


def _check(space: Workspace, documents: int) -> None:
    """The product's own word that the source is in step: compared as a whole nothing differs, and nothing is wrong."""
    (report,) = space.base().sync(SOURCE, full=True)
    if report.runs or report.listed != documents:
        raise RuntimeError(f"of {documents} documents {report.listed} are listed; a sync made {report.runs} runs")
    if problems := space.base().verify(SOURCE):
        raise RuntimeError(f"kb verify finds {len(problems)} problems, the first: {problems[0]}")
