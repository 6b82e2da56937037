"""Artifacts: every record comes back as it was, equal content has an equal hash, and damage is noticed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.core.contracts import ArtifactRef, Box, Chunk, Element, MaskedChunk, MaskedText
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.core.identity import sha256_hex
from kb_pipeline.store.objects.artifacts import (
    ROOTS,
    artifact_path,
    read_table,
    records_to_table,
    table_to_records,
    table_to_vectors,
    vectors_to_table,
    write_table,
)
from kb_pipeline.store.objects.object_store import ObjectStore

BOX = Box(2, 0.5, 1.25, 595.25, 842.0)
RECORDS = {
    Element: [
        Element("第一章 总则", "title", 1, 1, BOX, "zh", 0, 6),
        Element("", "table"),
        Element("quotes \" ' \\ and \u2028 😀", "code", language="und"),
    ],
    Chunk: [
        Chunk(0, "text", ("第一章", "1.1"), 1, 3, (BOX, Box(3, 0, 0, 0, 0)), "zh", 12),
        Chunk(1, ""),
    ],
    MaskedChunk: [
        MaskedChunk(
            0,
            MaskedText("call <PHONE_NUMBER>"),
            MaskedText("Contacts\ncall <PHONE_NUMBER>"),
            "ab" * 16,
            (MaskedText("Contacts"),),
            1,
            1,
            (BOX,),
            "en",
            7,
            {"PHONE_NUMBER": 1, "MONEY": 2},
        ),
        MaskedChunk(1, MaskedText(""), MaskedText(""), "cd" * 16),
    ],
}


@pytest.mark.parametrize("kind", RECORDS)
def test_records_come_back_as_they_were(store: ObjectStore, kind: type) -> None:
    table, _ = records_to_table(RECORDS[kind], kind)
    ref = write_table(store, "parse", "ab" * 32, table)
    assert table_to_records(read_table(store, ref), kind) == RECORDS[kind]


@pytest.mark.parametrize("kind", RECORDS)
def test_a_document_without_records_is_an_artifact_too(store: ObjectStore, kind: type) -> None:
    table, _ = records_to_table([], kind)
    ref = write_table(store, "parse", "ab" * 32, table)
    assert table_to_records(read_table(store, ref), kind) == []


boxes = st.builds(Box, st.integers(1, 9), *[st.floats(0, 1000, width=32)] * 4)
chunks = st.builds(
    Chunk,
    ordinal=st.integers(0, 2**31 - 1),
    text=st.text(st.characters(exclude_categories=("Cs",))),
    section_path=st.lists(st.text(st.characters(exclude_categories=("Cs",))), max_size=3).map(tuple),
    page_start=st.none() | st.integers(1, 9),
    boxes=st.lists(boxes, max_size=2).map(tuple),
)


@given(st.lists(chunks, max_size=4))
def test_any_chunk_comes_back_as_it_was(records: list[Chunk]) -> None:
    table, _ = records_to_table(records, Chunk)
    assert table_to_records(table, Chunk) == records


def test_vectors_come_back_by_the_hash_of_their_text(store: ObjectStore) -> None:
    matrix = np.random.default_rng(1).normal(size=(3, 2560)).astype(np.float16)
    table, _ = vectors_to_table(["a", "b", "c"], matrix)
    ref = write_table(store, "embed", "ab" * 32, table)
    found = table_to_vectors(read_table(store, ref))
    assert list(found) == ["a", "b", "c"]
    assert np.array_equal(np.stack(list(found.values())), matrix)
    empty, _ = vectors_to_table([], np.zeros((0, 1), np.float16))
    assert table_to_vectors(read_table(store, write_table(store, "embed", "cd" * 32, empty))) == {}


def test_equal_content_has_one_hash_and_one_sequence_of_bytes(store: ObjectStore) -> None:
    """The next stage's fingerprint hangs on the first, and what two runs wrote at once on the second."""
    for kind, records in RECORDS.items():
        (first, hash1), (second, hash2) = records_to_table(records, kind), records_to_table(list(records), kind)
        assert hash1 == hash2
        assert (
            write_table(store, "parse", "a" * 64, first).sha256 == write_table(store, "parse", "b" * 64, second).sha256
        )
        assert records_to_table(records[:1], kind)[1] != hash1
        assert records_to_table(records[::-1], kind)[1] != hash1


GOLDEN = {"Element": "82f56588958b0ad6", "Chunk": "47732cfcf5aef959", "MaskedChunk": "d0dd2a1344acfe01"}


def test_content_hashes_are_those_of_earlier_releases() -> None:
    """A change here makes every document in every knowledge base be worked on again: raise the stage's version too."""
    assert {kind.__name__: records_to_table(records, kind)[1][:16] for kind, records in RECORDS.items()} == GOLDEN
    assert vectors_to_table(["a"], np.array([[1, 0.5]], np.float16))[1][:16] == "952c2ab06e91483d"


DAMAGE: dict[str, Callable[[ObjectStore, ArtifactRef], None]] = {
    "cut short": lambda store, ref: store.put(ref.uri, store.get(ref.uri)[:-20]),
    "one byte changed": lambda store, ref: store.put(ref.uri, store.get(ref.uri)[:-1] + b"?"),
    "another artifact": lambda store, ref: store.put(ref.uri, b"x" * ref.size),
    "emptied": lambda store, ref: store.put(ref.uri, b""),
    "gone": lambda store, ref: store.delete(ref.uri),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_noticed_before_anything_is_read_from_it(store: ObjectStore, damage: str) -> None:
    table, _ = records_to_table(RECORDS[Chunk], Chunk)
    ref = write_table(store, "chunk", "ab" * 32, table)
    DAMAGE[damage](store, ref)
    with pytest.raises(ArtifactDamaged, match="made anew"):
        read_table(store, ref)


def test_clear_text_and_masked_text_lie_apart() -> None:
    name, nonce = "ab" * 32, "0123cdef"
    roots = {stage: artifact_path(stage, name, nonce).split("/")[1] for stage in ROOTS}
    assert roots == {"parse": "clear", "chunk": "clear", "mask": "masked", "embed": "masked"}
    assert artifact_path("mask", name, nonce) == f"artifacts/masked/mask/ab/{name}.0123cdef.arrow.zst"


def test_no_write_touches_an_object_that_is_there(store: ObjectStore) -> None:
    table, _ = records_to_table(RECORDS[Chunk], Chunk)
    first, second = (write_table(store, "chunk", "ab" * 32, table) for _ in range(2))
    assert first.uri != second.uri
    store.delete(first.uri)
    assert table_to_records(read_table(store, second), Chunk) == RECORDS[Chunk]


def test_an_artifact_can_be_read_without_this_program(store: ObjectStore, tmp_path: Path) -> None:
    table, _ = records_to_table(RECORDS[Chunk], Chunk)
    copy = tmp_path / "copy.arrow.zst"
    copy.write_bytes(store.get(write_table(store, "chunk", "ab" * 32, table).uri))
    assert pa.ipc.open_stream(pa.input_stream(str(copy))).read_all() == table


def test_artifacts_of_earlier_releases_are_read(store: ObjectStore) -> None:
    """Vectors of theirs are in use for as long as their texts are."""
    table, _ = vectors_to_table(["a"], np.array([[1, 0.5]], np.float16))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)
    data = sink.getvalue().to_pybytes()
    store.put("artifacts/old.arrow", data)
    old = ArtifactRef("artifacts/old.arrow", len(data), sha256_hex(data))
    assert read_table(store, old) == table
