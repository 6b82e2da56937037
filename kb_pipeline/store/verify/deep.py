"""The deep look: reads every current artifact, compares what is published with it, lists objects and the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql

from kb_pipeline.core.contracts import ArtifactRef, MaskedChunk
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.embedding.vectors import truncate_and_renormalise
from kb_pipeline.store.database import Connection, identifier
from kb_pipeline.store.objects.artifacts import read_table, table_to_records, table_to_vectors
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.publish import chunk_rows, difference, stored_rows
from kb_pipeline.store.published.spaces import Space
from kb_pipeline.store.verify.problems import Expected, Problem, Repair

PAGE = 64
READERS = 8
TOLERANCE = 2e-3  # of one component of a unit vector: two roundings to half precision


@dataclass(frozen=True, slots=True)
class _Held:
    """What the ledger says of one document: artifacts by stage, and whether what is published should equal them."""

    document_id: str
    name: str
    artifacts: Mapping[str, ArtifactRef]
    published: bool


def verify_deep(connection: Connection, store: ObjectStore, one: Expected) -> Iterator[Problem]:
    """What does not hold of one source's artifacts and of what was published from them. Reads every current artifact
    once for each document; a document that a run changes meanwhile is left out. Raises ObjectStoreUnavailable."""
    if one.removed:
        return
    register_vector(connection)
    after = ""
    with ThreadPoolExecutor(READERS) as readers:
        while page := _held(connection, one, after=after):
            wanted = [(held, stage) for held in page for stage in held.artifacts]
            tables = readers.map(lambda item: _read(store, item[0].artifacts[item[1]]), wanted)
            found: dict[str, dict[str, pa.Table | None]] = {}
            for (held, stage), table in zip(wanted, tables, strict=True):
                found.setdefault(held.document_id, {})[stage] = table
            for held in page:
                problems = list(_compare(connection, one, held, found.get(held.document_id, {})))
                if problems and _held(connection, one, only=held.document_id) == [held]:
                    yield from problems
            after = page[-1].document_id


# What the document has now; published means that chunk and vector rows should equal these artifacts.
_HELD = """
SELECT d.document_id, coalesce(d.display_name, d.document_id),
    coalesce(jsonb_object_agg(s.stage, jsonb_build_array(a.uri, a.size, a.sha256)) FILTER (WHERE a.uri IS NOT NULL),
        '{}'),
    coalesce(bool_or(s.stage = 'publish' AND s.variant = %(space)s AND s.stage_key = %(key)s
        AND s.input_hash = m.output_hash || ':' || e.output_hash
        AND m.output_hash = e.input_hash AND m.stage_key = %(mask_key)s), false)
FROM (SELECT * FROM kb.document WHERE source_system = %(source)s AND deleted_at IS NULL AND forgotten_at IS NULL
    AND (document_id = %(only)s OR %(only)s = '' AND document_id > %(after)s) ORDER BY document_id LIMIT %(page)s) d
LEFT JOIN kb.stage_state s ON s.document_id = d.document_id AND s.status = 'ok'
    AND s.variant IN ('', %(model)s, %(space)s)
LEFT JOIN kb.artifact a ON a.fingerprint = s.fingerprint AND a.stage = s.stage AND a.expired_at IS NULL
LEFT JOIN kb.stage_state m ON m.document_id = d.document_id AND m.stage = 'mask' AND m.status = 'ok'
LEFT JOIN kb.stage_state e ON e.document_id = d.document_id AND e.stage = 'embed' AND e.status = 'ok'
    AND e.variant = %(model)s
GROUP BY d.document_id, d.display_name ORDER BY d.document_id
"""


def _held(connection: Connection, one: Expected, *, after: str = "", only: str = "") -> list[_Held]:
    publish = one.stages.get("publish")
    values = {
        "source": one.source_system,
        "space": publish.variant if publish else "",
        "key": publish.key if publish else "",
        "mask_key": one.stages["mask"].key,
        "model": one.stages["embed"].variant,
        "after": after,
        "only": only,
        "page": PAGE,
    }
    return [
        _Held(of, name, {stage: ArtifactRef(*ref) for stage, ref in artifacts.items()}, published)
        for of, name, artifacts, published in connection.execute(_HELD, values)
    ]


def _read(store: ObjectStore, ref: ArtifactRef) -> pa.Table | None:
    try:
        return read_table(store, ref)
    except ArtifactDamaged:
        return None


def _compare(
    connection: Connection, one: Expected, held: _Held, tables: Mapping[str, pa.Table | None]
) -> Iterator[Problem]:
    def problem(check: str, detail: str, repair: Repair, items: Sequence[str] = ()) -> Problem:
        said = f"{detail}: `kb verify --repair`, then `kb sync {one.source_system}`."
        return Problem(check, one.source_system, held.name, said, True, held.document_id, repair, tuple(items))

    damaged = [stage for stage, table in tables.items() if table is None]
    if damaged:
        detail = f"its artifacts of {', '.join(sorted(damaged))} are gone, or not what kb.artifact says"
        yield problem("damaged-artifacts", detail, "rework", [held.artifacts[stage].uri for stage in damaged])
        return
    mask, embed = tables.get("mask"), tables.get("embed")
    if embed is not None and (missing := _unregistered(connection, one, held.document_id, embed)):
        yield problem("unregistered-texts", f"kb.vector_ref lacks {missing} of the texts it has vectors of", "register")
    if not held.published or one.space is None or mask is None or embed is None:
        return
    wanted = chunk_rows(held.document_id, table_to_records(mask, MaskedChunk))
    change = difference(stored_rows(connection, [held.document_id]), wanted)
    if change.write or change.delete:
        detail = f"{len(change.write)} rows in kb.chunk are not as its artifact has them, {len(change.delete)} too many"
        yield problem("different-rows", detail, "republish")
    if different := _different_vectors(connection, one.space, table_to_vectors(embed), wanted):
        detail = f"{different} of its vectors in kb.{one.space.table_name} are not those of its artifact"
        yield problem("different-vectors", detail, "revector")


def _unregistered(connection: Connection, one: Expected, document_id: str, embed: pa.Table) -> int:
    """Texts of an embedding artifact that kb.vector_ref does not lead to: a later edit would embed them again."""
    row = connection.execute(
        "SELECT count(*) FROM kb.vector_ref v JOIN kb.stage_state s ON s.fingerprint = v.fingerprint"
        " AND s.stage = 'embed' AND s.variant = v.model_key WHERE s.document_id = %s AND v.model_key = %s",
        (document_id, one.stages["embed"].variant),
    ).fetchone()
    return int(embed.num_rows) - (row[0] if row else 0)


def _different_vectors(
    connection: Connection, space: Space, native: Mapping[str, np.ndarray], wanted: Mapping[str, Mapping[str, Any]]
) -> int:
    """How many stored vectors are not the served form of the artifact's. One that is missing is another check's."""
    query = sql.SQL("SELECT chunk_id, embedding FROM {} WHERE chunk_id = ANY(%s)").format(identifier(space.table_name))
    stored: dict[str, HalfVector] = dict(connection.execute(query, (list(wanted),)).fetchall())
    if not stored:
        return 0
    names = [name for name in stored if wanted[name]["text_hash"] in native]
    right = truncate_and_renormalise(np.stack([native[wanted[name]["text_hash"]] for name in names]), space.dimension)
    have = np.stack([stored[name].to_numpy().astype(np.float32) for name in names])
    return len(stored) - len(names) + int((np.abs(have - right.astype(np.float32)).max(axis=1) > TOLERANCE).sum())
