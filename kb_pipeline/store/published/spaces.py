"""Embedding spaces: one model @ revision, dimension and element type, with a narrow vector table of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass

from psycopg import sql

from kb_pipeline.core.contracts import ArtifactRef
from kb_pipeline.core.errors import ArtifactDamaged, EmbeddingUnavailable, SettingsError
from kb_pipeline.core.identity import model_key
from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.outcomes import forget_artifacts
from kb_pipeline.store.objects.artifacts import read_table
from kb_pipeline.store.objects.object_store import ObjectStore

ARTIFACTS_ASKED = 8  # for the model's dimension, as long as they are damaged
LARGEST_DIMENSION = 4000  # of a halfvec index in pgvector
# The defaults of pgvector; measured at 100,000 rows: recall@10 .988 at ef_search 100.
HNSW_M, HNSW_EF_CONSTRUCTION = 16, 64


@dataclass(frozen=True, slots=True)
class Space:
    """One row of kb.space. `dimension` is served; `native_dimension` is the model's and what artifacts keep."""

    space_id: str
    model: str
    revision: str
    instruction: str
    native_dimension: int
    dimension: int
    table_name: str
    status: str

    @property
    def model_key(self) -> str:
        """Vectors are shared by texts within this key: kb.vector_ref."""
        return model_key(self.model, self.revision)


_COLUMNS = "space_id, model, revision, instruction, native_dimension, dimension, table_name, status"


def space_id(model: str, revision: str, dimension: int) -> str:
    """`qwen3-embedding-4b@1024`: model, revision if one is pinned, dimension served."""
    name = model.rsplit("/", 1)[-1].lower()
    return f"{name}@{revision[:12]}@{dimension}" if revision else f"{name}@{dimension}"


def active_space(connection: Connection) -> Space | None:
    """The space that searches use, or None before the first sync."""
    row = connection.execute(
        sql.SQL("SELECT {} FROM kb.space WHERE status = 'active'").format(sql.SQL(_COLUMNS))
    ).fetchone()
    return Space(*row) if row else None


def live_spaces(connection: Connection) -> list[Space]:
    """The spaces kept in step with every publish: the active one and those on standby."""
    rows = connection.execute(
        sql.SQL("SELECT {} FROM kb.space WHERE status IN ('active', 'standby') ORDER BY space_id").format(
            sql.SQL(_COLUMNS)
        )
    )
    return [Space(*row) for row in rows]


def check_space(space: Space | None, *, model: str, revision: str, native_dimension: int, dimension: int | None) -> str:
    """The id of the space that the settings ask for. Raises SettingsError when there cannot be one, or `space` (the
    active one) is another."""
    served = dimension or native_dimension
    if served > native_dimension:
        raise SettingsError(
            f"embedding.dimension is {served}, and {model} makes vectors of {native_dimension}.",
            f"Set embedding.dimension to at most {native_dimension}, or leave it out.",
        )
    if served > LARGEST_DIMENSION:
        raise SettingsError(
            f"{model} makes vectors of {served}, and a halfvec index takes at most {LARGEST_DIMENSION}.",
            f"Set embedding.dimension to at most {LARGEST_DIMENSION}.",
        )
    wanted = space_id(model, revision, served)
    if space and space.space_id != wanted:
        raise SettingsError(
            f"This knowledge base holds vectors of {space.space_id}, and the embedding settings ask for {wanted}.",
            "Set embedding.model, embedding.revision and embedding.dimension back, or use another database (KB_HOME).",
        )
    return wanted


def check_answered(space: Space, dimension: int) -> None:
    """Raises EmbeddingUnavailable when a server answers with another `dimension` than the space was filled with: it
    serves another model, and no answer could be right."""
    if dimension != space.native_dimension:
        raise EmbeddingUnavailable(
            f"The embedding server answers with {dimension} dimensions; the space "
            f"{space.space_id} was filled with {space.native_dimension}.",
            "Serve the model that the space was filled with (embedding.model).",
        )


def ensure_space(
    connection: Connection, *, model: str, revision: str, instruction: str, native_dimension: int, dimension: int | None
) -> Space:
    """The active space, made on the first sync. Raises SettingsError when kb.yaml asks for another than the active."""
    space = active_space(connection)
    wanted = check_space(space, model=model, revision=revision, native_dimension=native_dimension, dimension=dimension)
    if space:
        return space
    return _create(connection, wanted, model, revision, instruction, native_dimension, dimension or native_dimension)


def native_dimension(connection: Connection, store: ObjectStore, lease: Lease, of_model: str) -> int | None:
    """The model's own dimension as its artifacts have it, None before the first vector that can be read. Artifacts that
    are found damaged are forgotten, under `lease`: without a space no stage would read them, and find out. Raises
    LeaseLost."""
    rows = connection.execute(
        "SELECT a.uri, a.size, a.sha256 FROM kb.artifact a WHERE EXISTS"
        " (SELECT FROM kb.vector_ref v WHERE v.fingerprint = a.fingerprint AND v.model_key = %s) LIMIT %s",
        (of_model, ARTIFACTS_ASKED),
    ).fetchall()
    for row in rows:
        try:
            return int(read_table(store, ArtifactRef(*row)).schema.field("vector").type.list_size)
        except ArtifactDamaged:
            with connection.transaction():
                lease.check(connection)
                forget_artifacts(connection, [row[0]])
    return None


def lacks_index(connection: Connection, space: Space) -> bool:
    """Whether the space's HNSW index is still to be built."""
    row = connection.execute("SELECT to_regclass(%s)", (f"kb.{space.table_name}_hnsw",)).fetchone()
    return row == (None,)


def build_index(connection: Connection, space: Space) -> None:
    """Build the HNSW index if it is not there: after the first load, which is far faster than filling an index."""
    connection.execute(
        sql.SQL(
            "CREATE INDEX IF NOT EXISTS {} ON {} USING hnsw (embedding halfvec_cosine_ops)"
            " WITH (m = {}, ef_construction = {})"
        ).format(
            sql.Identifier(f"{space.table_name}_hnsw"),
            identifier(space.table_name),
            sql.Literal(HNSW_M),
            sql.Literal(HNSW_EF_CONSTRUCTION),
        )
    )


def _create(
    connection: Connection, name: str, model: str, revision: str, instruction: str, native: int, served: int
) -> Space:
    table = "vector_" + re.sub(r"[^a-z0-9]+", "_", name)[:48]
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(hashtext('kb.space'))")
        existing = active_space(connection)
        if existing:
            return existing
        connection.execute(
            sql.SQL(
                "CREATE TABLE IF NOT EXISTS {} (chunk_id text PRIMARY KEY REFERENCES kb.chunk ON DELETE CASCADE,"
                " source_system text NOT NULL, embedding halfvec({}) NOT NULL)"
            ).format(identifier(table), sql.Literal(served))
        )
        connection.execute(
            sql.SQL("CREATE INDEX IF NOT EXISTS {} ON {} (source_system)").format(
                sql.Identifier(f"{table}_source"), identifier(table)
            )
        )
        connection.execute(
            "INSERT INTO kb.space (space_id, model, revision, instruction, native_dimension, dimension, table_name,"
            " status, activated_at) VALUES (%s, %s, %s, %s, %s, %s, %s, 'active', now())",
            (name, model, revision, instruction, native, served, table),
        )
        connection.execute(_view(table))
    return Space(name, model, revision, instruction, native, served, table, "active")


def _view(table: str) -> sql.Composed:
    """What people and BI tools read: masked text and masked names of the active space, no raw key, no vector."""
    return sql.SQL(
        "CREATE OR REPLACE VIEW kb.knowledge_chunks WITH (security_invoker = true) AS"
        " SELECT c.chunk_id, d.source_system, d.display_name AS source_file, d.media_type, c.ordinal, c.content,"
        " c.page_start, c.page_end, c.section_path, c.language, d.modified_at, d.access_groups"
        " FROM kb.chunk c JOIN kb.document d USING (document_id) JOIN {} v USING (chunk_id)"
        " WHERE d.deleted_at IS NULL"
    ).format(identifier(table))
