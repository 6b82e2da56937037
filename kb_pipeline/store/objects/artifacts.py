"""Artifacts: one document's output of one stage, as an immutable Arrow IPC stream, compressed whole with zstd.

Whole, and not column by column as Arrow can: most documents are small, and a compressor for each of their columns takes
four times the CPU and twice the space. `pa.ipc.open_stream(pa.input_stream(path))` reads such a file.

Path: artifacts/<root>/<stage>/<first two digits>/<fingerprint>.<nonce>.arrow.zst, another one for every write, so that
removing the object of a row that is gone cannot hit a newer one. `clear/` holds elements and unmasked chunks, `masked/`
masked chunks and embeddings: each root can have its own retention and encryption.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from kb_pipeline.core.contracts import (
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
from kb_pipeline.core.errors import ArtifactDamaged, ObjectChanged, ObjectUnavailable
from kb_pipeline.core.identity import content_hash_of_columns, sha256_hex
from kb_pipeline.store.objects.object_store import ObjectStore

ROOTS: Mapping[StageName, Root] = {"parse": "clear", "chunk": "clear", "mask": "masked", "embed": "masked"}
_SCHEMAS = {Element: ELEMENT_SCHEMA, Chunk: CHUNK_SCHEMA, MaskedChunk: MASKED_CHUNK_SCHEMA}
_ONE_THREAD = pa.ipc.IpcWriteOptions(use_threads=False)
_CODEC = pa.Codec("zstd", 1)
_OLD_FORMAT = b"ARROW1"  # a file of Arrow IPC, as releases before the second version of parse wrote them


def warm_up() -> None:
    """Load what the first table needs: with its first array Arrow imports pandas, which takes 0.3 CPU-s."""
    pa.array([""])


def artifact_path(stage: StageName, fingerprint: str, nonce: str) -> str:
    """Where an artifact of `fingerprint` lies, relative to the object store's root."""
    return f"artifacts/{ROOTS[stage]}/{stage}/{fingerprint[:2]}/{fingerprint}.{nonce}.arrow.zst"


def write_table(store: ObjectStore, stage: StageName, fingerprint: str, table: pa.Table) -> ArtifactRef:
    """Write `table` as a new object and return how to find it and how to tell that it is whole."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_ONE_THREAD) as writer:
        writer.write_table(table)
    data = _CODEC.compress(sink.getvalue(), asbytes=True)
    path = artifact_path(stage, fingerprint, secrets.token_hex(4))
    store.put(path, data)
    return ArtifactRef(path, len(data), sha256_hex(data))


def read_table(store: ObjectStore, ref: ArtifactRef) -> pa.Table:
    """Read and check an artifact. Raises ArtifactDamaged when it is gone, cut short or not what the ledger says, or the
    store does not give it out while it answers for others: an artifact can be made again."""
    try:
        data = store.get(ref.uri)
    except (ObjectChanged, ObjectUnavailable):
        raise ArtifactDamaged("An artifact named by the ledger is gone.", "Sync again: it is made anew.") from None
    if len(data) != ref.size or sha256_hex(data) != ref.sha256:
        raise ArtifactDamaged("An artifact is not what the ledger says.", "Sync again: it is made anew.")
    if data.startswith(_OLD_FORMAT):
        return pa.ipc.open_file(pa.BufferReader(data)).read_all()
    return pa.ipc.open_stream(pa.CompressedInputStream(pa.BufferReader(data), "zstd")).read_all()


def records_to_table(records: Sequence[Any], kind: type) -> tuple[pa.Table, str]:
    """Table of Element, Chunk or MaskedChunk records, and the hash of their logical content."""
    schema = _SCHEMAS[kind]
    columns = {field.name: [getattr(record, field.name) for record in records] for field in schema}
    for name, plain in _PLAIN.items():
        if name in columns:
            columns[name] = [plain(value) for value in columns[name]]
    arrays = [_array(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema), content_hash_of_columns(columns)


def table_to_records(table: pa.Table, kind: type) -> list[Any]:
    """The inverse of records_to_table. Only masking writes artifacts of its stage, so a MaskedChunk here is masked."""
    columns = [_values(name, table.column(name).combine_chunks()) for name in table.column_names]
    return [kind(*values) for values in zip(*columns, strict=True)]


def vectors_to_table(text_hashes: Sequence[str], vectors: np.ndarray) -> tuple[pa.Table, str]:
    """Table of an embedding artifact from (n,) hashes and (n, d) float16 vectors, and its content hash."""
    dimension = int(vectors.shape[1]) if vectors.ndim == 2 else 0
    half = np.ascontiguousarray(vectors, dtype=np.float16)
    column = pa.FixedSizeListArray.from_arrays(pa.array(half.reshape(-1), pa.float16()), dimension)
    names = pa.array(text_hashes, pa.string())
    table = pa.Table.from_arrays([names, column], schema=embedding_schema(dimension))
    content = [base64.b64encode(half.tobytes()).decode()]
    return table, content_hash_of_columns({"text_hash": text_hashes, "dimension": [dimension], "vector": content})


def table_to_vectors(table: pa.Table) -> dict[str, np.ndarray]:
    """text_hash -> (d,) float16 vector."""
    hashes = table.column("text_hash").to_pylist()
    if not hashes:
        return {}
    column = table.column("vector").combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False).astype(np.float16, copy=False)
    return dict(zip(hashes, flat.reshape(len(hashes), -1), strict=True))


def _box(box: Box | None) -> dict[str, Any] | None:
    return {"page": box.page, "x0": box.x0, "y0": box.y0, "x1": box.x1, "y1": box.y1} if box else None


_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "box": _box,
    "boxes": lambda boxes: [_box(box) for box in boxes],
    "masked": lambda counts: sorted(counts.items()),
}


def _array(values: list[Any], of_type: pa.DataType) -> pa.Array:
    if all(value is None for value in values):
        return pa.nulls(len(values), of_type)
    return pa.array(values, of_type)


def _values(name: str, column: pa.Array) -> list[Any]:
    """What the records hold: lists as tuples, structs as boxes, maps as dicts. Whole columns at a time, because Arrow
    makes an object of each cell that is a list."""
    if column.null_count == len(column):
        return [None] * len(column)
    if name == "box":
        return [Box(**value) if value else None for value in column.to_pylist()]
    if name not in ("boxes", "section_path", "masked"):
        values: list[Any] = column.to_pylist()
        return values
    offsets = column.offsets.to_pylist()
    if name == "masked":
        items = list(zip(column.keys.to_pylist(), column.items.to_pylist(), strict=True))
        return [dict(items[start:end]) for start, end in pairwise(offsets)]
    inner = column.values.to_pylist()
    if name == "boxes":
        inner = [Box(**value) for value in inner]
    return [tuple(inner[start:end]) for start, end in pairwise(offsets)]
