"""Artifacts: one document's output of one stage, as an immutable Arrow IPC object compressed with zstd.

Path: artifacts/<root>/<stage>/<first two digits>/<fingerprint>.arrow. `clear/` holds elements and unmasked chunks,
`masked/` holds masked chunks and embeddings: each root can have its own retention and encryption.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pyarrow as pa

from kb_pipeline.contracts import (
    CHUNK_SCHEMA,
    ELEMENT_SCHEMA,
    MASKED_CHUNK_SCHEMA,
    ArtifactRef,
    Box,
    Chunk,
    Element,
    MaskedChunk,
    Root,
    StageName,
    embedding_schema,
)
from kb_pipeline.errors import ArtifactDamaged, ObjectChanged
from kb_pipeline.identity import content_hash_of_rows, sha256_hex
from kb_pipeline.store.objects import ObjectStore

ROOTS: Mapping[StageName, Root] = {"parse": "clear", "chunk": "clear", "mask": "masked", "embed": "masked"}
_SCHEMAS = {Element: ELEMENT_SCHEMA, Chunk: CHUNK_SCHEMA, MaskedChunk: MASKED_CHUNK_SCHEMA}
_COMPRESSION = pa.ipc.IpcWriteOptions(compression="zstd")


def artifact_path(stage: StageName, fingerprint: str) -> str:
    """Where the artifact of `fingerprint` lies, relative to the object store's root."""
    return f"artifacts/{ROOTS[stage]}/{stage}/{fingerprint[:2]}/{fingerprint}.arrow"


def write_table(store: ObjectStore, stage: StageName, fingerprint: str, table: pa.Table) -> ArtifactRef:
    """Write `table` and return how to find it and how to tell that it is whole."""
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=_COMPRESSION) as writer:
        writer.write_table(table)
    data = sink.getvalue()
    path = artifact_path(stage, fingerprint)
    store.put(path, data)
    return ArtifactRef(path, len(data), sha256_hex(data))


def read_table(store: ObjectStore, ref: ArtifactRef) -> pa.Table:
    """Read and check an artifact. Raises ArtifactDamaged when it is gone, cut short or not what the ledger says."""
    try:
        data = store.get(ref.uri)
    except ObjectChanged:
        raise ArtifactDamaged("An artifact named by the ledger is gone.", "Sync again: it is made anew.") from None
    if len(data) != ref.size or sha256_hex(data) != ref.sha256:
        raise ArtifactDamaged("An artifact is not what the ledger says.", "Sync again: it is made anew.")
    return pa.ipc.open_file(pa.BufferReader(data)).read_all()


def records_to_table(records: Sequence[Any], kind: type) -> tuple[pa.Table, str]:
    """Table of Element, Chunk or MaskedChunk records, and the hash of their logical content."""
    names = [f.name for f in fields(kind)]
    rows = [{name: _plain(getattr(record, name)) for name in names} for record in records]
    return pa.Table.from_pylist(rows, schema=_SCHEMAS[kind]), content_hash_of_rows(rows)


def table_to_records(table: pa.Table, kind: type) -> list[Any]:
    """The inverse of records_to_table. Only masking writes artifacts of its stage, so a MaskedChunk here is masked."""
    return [kind(**{name: _rich(name, value) for name, value in row.items()}) for row in table.to_pylist()]


def vectors_to_table(text_hashes: Sequence[str], vectors: np.ndarray) -> tuple[pa.Table, str]:
    """Table of an embedding artifact from (n,) hashes and (n, d) float16 vectors, and its content hash."""
    dimension = int(vectors.shape[1]) if vectors.ndim == 2 else 0
    half = np.ascontiguousarray(vectors, dtype=np.float16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(half.reshape(-1), pa.float16()), dimension)
    names = pa.array(text_hashes, pa.string())
    table = pa.Table.from_arrays([names, column], schema=embedding_schema(dimension))
    rows: Iterable[Mapping[str, str]] = (
        {"text_hash": name, "vector": base64.b64encode(row.tobytes()).decode()}
        for name, row in zip(text_hashes, half, strict=True)
    )
    return table, content_hash_of_rows(rows)


def table_to_vectors(table: pa.Table) -> dict[str, np.ndarray]:
    """text_hash -> (d,) float16 vector."""
    hashes = table.column("text_hash").to_pylist()
    if not hashes:
        return {}
    column = table.column("vector").combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float16, copy=False)
    return dict(zip(hashes, flat.reshape(len(hashes), -1), strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, Box):
        return {"page": value.page, "x0": value.x0, "y0": value.y0, "x1": value.x1, "y1": value.y1}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return sorted(value.items())
    return value


def _rich(name: str, value: Any) -> Any:
    if name == "box":
        return Box(**value) if value else None
    if name == "boxes":
        return tuple(Box(**item) for item in value or ())
    if name == "section_path":
        return tuple(value or ())
    if name == "masked":
        return dict(value or ())
    return value
