"""Identities: the same for ever, and never the same for two different things."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.core import identity


def test_they_are_those_of_earlier_releases() -> None:
    """A change of one of these makes every knowledge base start anew: its ids and artifacts would be others."""
    assert {
        "document": identity.document_id("hr", "a/b.md"),
        "stage": identity.stage_key("parse", 1, {"b": 1, "a": [1, "x"]}),
        "fingerprint": identity.fingerprint("k", "i"),
        "text": identity.text_hash("年假"),
        "chunk": identity.chunk_id("d", "t", 0),
        "rows": identity.content_hash_of_columns({"b": [None, 1], "a": ["年"]}),
    } == GOLDEN


GOLDEN = {
    "document": "c08a20cc10d12b3d925399462d76dc16",
    "stage": "8b1271186f9a881f302a6b5a83db5297",
    "fingerprint": "612a26d049eb84b95ad61633e7741d6e486f30a2953db836e6ba5ddda0527c99",
    "text": "a353340ba9c6a1ddd1e5c32af4ded541",
    "chunk": "4ce3231ef4b7eb243cd3a2e40c63c552",
    "rows": "73c74d53b3782acc54eae33b68b6d3d9ee93da666c23931003379db61eceba12",
}

parts = st.text(st.characters(exclude_characters="\0"), max_size=6)


@given(parts, parts, parts, parts)
def test_two_documents_have_two_ids(source: str, key: str, other_source: str, other_key: str) -> None:
    same = (source, key) == (other_source, other_key)
    assert (identity.document_id(source, key) == identity.document_id(other_source, other_key)) is same


def test_parts_cannot_be_shifted_into_each_other() -> None:
    assert identity.document_id("ab", "c") != identity.document_id("a", "bc")
    assert identity.chunk_id("d", "t1", 1) != identity.chunk_id("d", "t", 11)
    assert identity.fingerprint("ab", "c") != identity.fingerprint("a", "bc")


def test_one_kind_of_identity_is_never_that_of_another() -> None:
    assert len({identity.document_id("a", "b"), identity.fingerprint("a", "b")[:32], identity.text_hash("a\0b")}) == 3


def test_settings_count_by_value_and_not_by_order() -> None:
    one, other = {"a": 1, "b": {"x": 1, "y": 2}}, {"b": {"y": 2, "x": 1}, "a": 1}
    assert identity.stage_key("mask", 1, one) == identity.stage_key("mask", 1, other)
    assert identity.stage_key("mask", 1, one) != identity.stage_key("mask", 1, {**one, "a": 2})
    assert identity.stage_key("mask", 1, one) != identity.stage_key("mask", 2, one)
    assert identity.stage_key("mask", 1, one) != identity.stage_key("chunk", 1, one)
    assert identity.stage_key("mask", 1, {"a": 1}) != identity.stage_key("mask", 1, {"a": "1"})


def test_a_key_that_is_no_unicode_has_an_id_too() -> None:
    assert identity.document_id("hr", "bad\udcff") != identity.document_id("hr", "bad\udcfe")


def test_rows_count_with_their_order_and_their_borders() -> None:
    hashes = [
        identity.content_hash_of_columns(columns)
        for columns in (
            {},
            {"text": []},
            {"text": ["a", "b"]},
            {"text": ["b", "a"]},
            {"text": ["ab"]},
            {"text": ['a","b']},
            {"text": ["a"], "kind": ["b"]},
            {"text": ["a", None]},
            {"text": ["a", "null"]},
        )
    ]
    assert len(set(hashes)) == len(hashes)
    assert identity.content_hash_of_columns({"b": [1], "a": [2]}) == identity.content_hash_of_columns(
        {"a": [2], "b": [1]}
    )


@given(st.lists(st.binary(max_size=20)))
def test_a_stream_hashes_as_its_bytes(pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert identity.hash_stream(iter(pieces)) == (identity.sha256_hex(whole), len(whole))


def test_a_file_hashes_as_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 9000
    (tmp_path / "file").write_bytes(content)
    assert identity.hash_file(tmp_path / "file") == identity.sha256_hex(content)
    with pytest.raises(OSError, match="gone"):
        identity.hash_file(tmp_path / "gone")


def test_a_model_is_named_with_its_revision_if_one_is_pinned() -> None:
    assert identity.model_key("m", "") == "m"
    assert identity.model_key("m", "abc") == "m@abc"


OBJECTS = st.lists(st.tuples(st.text(), st.integers(0, 2**40), st.none() | st.text()), unique_by=lambda o: o[0])


def _digest(objects: list[tuple[str, int, str | None]]) -> str:
    digest = identity.ListingDigest()
    for item in objects:
        digest.add(*item)
    return digest.hexdigest()


@given(objects=OBJECTS, data=st.data())
def test_a_listing_s_digest_does_not_depend_on_its_order(
    objects: list[tuple[str, int, str | None]], data: st.DataObject
) -> None:
    assert _digest(data.draw(st.permutations(objects))) == _digest(objects)


@pytest.mark.parametrize("other", [("b", 1, "e"), ("a", 2, "e"), ("a", 1, "f"), ("a", 1, None)])
def test_a_listing_s_digest_tells_each_part_apart(other: tuple[str, int, str | None]) -> None:
    one, more = ("a", 1, "e"), ("z", 9, "z")
    assert len({_digest([one]), _digest([other]), _digest([one, more]), _digest([other, more]), _digest([])}) == 5
