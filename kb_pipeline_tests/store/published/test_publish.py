"""What readers see: a document's old version or its new one, written by difference."""

from __future__ import annotations

import threading

import numpy as np
import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pgvector.psycopg import register_vector

from kb_pipeline.core import identity
from kb_pipeline.core.contracts import Box, MaskedChunk, MaskedText, Outcome, StageName, Task
from kb_pipeline.core.errors import LeaseLost
from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.published.publish import Rows, chunk_rows, difference, stored_rows
from kb_pipeline.store.views import overview
from kb_pipeline_tests.store.ledger_rows import rows_as_text
from kb_pipeline_tests.support.lines import MASKING, LineSource, masked_chunks, vectors_of

TABLE = "vector_m_8"


def row_versions(source: LineSource) -> dict[str, tuple[str, str]]:
    """content -> (row version of the chunk, row version of its vector): equal where nothing was written."""
    rows = source.connection.execute(
        "SELECT c.content, c.xmin::text, v.xmin::text FROM kb.chunk c JOIN kb.vector_m_8 v USING (chunk_id)"
    )
    return {content: (chunk, vector) for content, chunk, vector in rows}


BEFORE_PUBLISH: tuple[StageName, ...] = ("parse", "chunk", "mask", "embed")


def to_publish(source: LineSource) -> Task:
    """Run every stage before publish; the only document's task for publish."""
    source.observe()
    for stage in BEFORE_PUBLISH:
        source.run(stage)
    (task,) = next(source.ledger("publish").pending(source.stage("publish")))
    return task


rows = st.dictionaries(st.sampled_from("abcdef"), st.fixed_dictionaries({"ordinal": st.integers(0, 3)}))


@given(rows, rows)
def test_a_difference_turns_what_is_stored_into_what_is_wanted_and_nothing_else(
    stored: dict[str, dict[str, int]], wanted: dict[str, dict[str, int]]
) -> None:
    change = difference(stored, wanted)
    result = {key: row for key, row in stored.items() if key not in change.delete}
    result.update({key: wanted[key] for key in change.write})
    assert result == wanted
    assert all(stored.get(key) != wanted[key] for key in change.write)
    assert difference(wanted, wanted) == difference({}, {})


def test_equal_texts_in_a_document_have_ids_of_their_own_that_an_insertion_above_leaves_alone() -> None:
    before = list(chunk_rows("d", masked_chunks(["same", "other", "same"])))
    after = list(chunk_rows("d", masked_chunks(["new", "same", "other", "same"])))
    assert len(set(before)) == 3
    assert after[1:] == before
    assert set(before).isdisjoint(chunk_rows("another", masked_chunks(["same", "other", "same"])))


def test_the_vector_of_a_chunk_is_that_of_its_text(source: LineSource) -> None:
    assert identity.text_hash("one") < identity.text_hash("two"), "vectors given out in order of hashes must be wrong"
    source.write(a="two\none", b="two")
    source.sync()
    register_vector(source.connection)
    stored = source.connection.execute(
        "SELECT c.content, v.embedding, v.source_system FROM kb.chunk c JOIN kb.vector_m_8 v USING (chunk_id)"
    ).fetchall()
    assert len(stored) == 3
    for content, vector, name in stored:
        assert np.allclose(vector.to_numpy(), vectors_of([content])[0], atol=1e-3)
        assert name == "hr"


def test_everything_about_a_chunk_is_stored_and_read_back_as_equal(source: LineSource) -> None:
    """Places are fractions of points: were they not stored exactly, every sync would write the row again."""
    chunk = MaskedChunk(
        0,
        MaskedText("内容 with 'quotes' \\ and \t tab"),
        MaskedText("标题\n内容"),
        identity.text_hash("x"),
        (MaskedText("第一章"), MaskedText('a "title"')),
        3,
        4,
        (Box(3, *map(float, np.float32([0.1, 1 / 3, 595.28, 1e-7]))),),
        "zh",
    )
    source.write(a="one")
    source.sync()
    (of,) = source.connection.execute("SELECT document_id FROM kb.document").fetchone() or ("",)
    publisher, wanted = source.publisher(), chunk_rows(of, [chunk])
    with source.connection.transaction():
        publisher._write_chunks([{"chunk_id": key, "document_id": of, **row} for key, row in wanted.items()])
    stored = stored_rows(source.connection, [of])
    assert {key: stored[key] for key in wanted} == wanted


def test_a_changed_chunk_rewrites_itself_alone(source: LineSource) -> None:
    source.write(a="one\ntwo\nthree", b="other")
    source.sync()
    before = row_versions(source)
    source.write(a="one\nTWO\nthree")
    source.sync()
    after = row_versions(source)
    assert set(after) == {"one", "TWO", "three", "other"}
    assert {text for text in before if after.get(text) == before[text]} == {"one", "three", "other"}


def test_an_insertion_above_moves_chunks_and_leaves_their_vectors(source: LineSource) -> None:
    source.write(a="one\ntwo")
    source.sync()
    before = row_versions(source)
    source.sent.clear()
    source.write(a="zero\none\ntwo")
    source.sync()
    after = row_versions(source)
    assert source.sent == ["zero"]
    assert {text: vector for text, (_, vector) in after.items() if text in before} == {
        text: vector for text, (_, vector) in before.items()
    }
    assert source.published() == {"a": ["zero", "one", "two"]}


def test_a_document_that_becomes_empty_has_no_rows_and_is_complete(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    source.write(a="")
    source.sync()
    assert source.published() == {}
    assert overview.published_rows(source.connection, "hr", TABLE) == (0, 0, 0)


def test_a_deleted_document_is_withdrawn_and_comes_back_without_a_model_call(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a=None)
    source.sync()
    assert source.published() == {"b": ["two"]}
    versions = "SELECT withdrawn_at IS NOT NULL FROM kb.document_version v JOIN kb.document d USING (document_id)"
    assert source.connection.execute(versions + " WHERE d.key = 'a.txt'").fetchall() == [(True,)]
    source.sent.clear()
    source.write(a="one")
    source.sync()
    assert source.published() == {"a": ["one"], "b": ["two"]}
    assert source.sent == []
    assert overview.published_rows(source.connection, "hr", TABLE) == (2, 2, 2)


def test_the_view_for_people_shows_nothing_of_a_deleted_document(source: LineSource) -> None:
    """Not even if its rows are still there."""
    source.write(a="one", b="two")
    source.sync()
    source.connection.execute("UPDATE kb.document SET deleted_at = now() WHERE key = 'a.txt'")
    assert source.connection.execute("SELECT content FROM kb.chunk ORDER BY content").fetchall() == [("one",), ("two",)]
    assert source.connection.execute("SELECT content FROM kb.knowledge_chunks").fetchall() == [("two",)]


def test_a_tightened_policy_withdraws_what_it_could_not_be_applied_to(source: LineSource) -> None:
    source.write(bad="REFUSED $", good="costs $", plain="no amount")
    source.sync()
    assert source.published()["bad"] == ["REFUSED $"]
    source.settings = MASKING
    source.sync()
    assert source.published() == {"good": ["costs <MONEY>"], "plain": ["no amount"]}
    ledger, chunks, vectors = overview.published_rows(source.connection, "hr", TABLE)
    assert ledger == chunks == vectors == 2
    (withdrawn,) = source.connection.execute(
        "SELECT count(*) FROM kb.document_version WHERE withdrawn_at IS NOT NULL"
    ).fetchone() or (0,)
    assert withdrawn == 1


def test_a_document_whose_new_version_is_refused_keeps_its_last_good_one(source: LineSource) -> None:
    """It was masked under the policy in force, so it may stay."""
    source.settings = MASKING
    source.write(a="fine")
    source.sync()
    source.write(a="REFUSED")
    source.sync()
    assert source.published() == {"a": ["fine"]}


def test_published_versions_are_on_record(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    source.write(a="two")
    source.sync()
    recorded = source.connection.execute(
        "SELECT content_hash, published_at IS NOT NULL FROM kb.document_version ORDER BY seen_at"
    ).fetchall()
    assert recorded == [(identity.sha256_hex(text.encode()), True) for text in ("one", "two")]


def test_a_version_that_was_seen_and_not_parsed_yet_is_not_on_record_as_published(source: LineSource) -> None:
    source.write(a="one")
    to_publish(source)
    source.write(a="two")
    source.observe()
    source.run("publish")
    assert source.published() == {"a": ["one"]}
    recorded = source.connection.execute(
        "SELECT content_hash, published_at IS NOT NULL FROM kb.document_version ORDER BY seen_at"
    ).fetchall()
    assert recorded == [(identity.sha256_hex(b"one"), True), (identity.sha256_hex(b"two"), False)]


def test_a_heading_that_is_renamed_is_found_by_its_new_words_alone(source: LineSource) -> None:
    """The text sent to the model holds no headings here (prefix_section_path): the passage keeps its id."""

    def found(word: str) -> list[tuple[str]]:
        return source.connection.execute(
            "SELECT content FROM kb.chunk WHERE lexemes @@ plainto_tsquery('simple', %s)", (word,)
        ).fetchall()

    source.write(a="one")
    task, publisher = to_publish(source), source.publisher()
    for heading, other in (("holidays", "absence"), ("absence", "holidays")):
        text = MaskedText("one")
        chunk = MaskedChunk(0, text, text, identity.text_hash(text), section_path=(MaskedText(heading),))
        chunks = chunk_rows(task.document_id, [chunk])
        ready = Rows(chunks, dict(zip(chunks, vectors_of(["one"]), strict=True)))
        publisher.commit(source.stage("publish"), [Outcome(task, "ok", output_hash=heading, rows=1, payload=ready)])
        assert (found(heading), found(other)) == ([("one",)], [])


def test_a_reader_sees_the_old_version_or_the_new_at_every_instant(source: LineSource, dsn: str) -> None:
    """A reader polls on a connection of its own, through the view that people use, while versions follow each other."""
    versions = [[f"v{n} line {line}" for line in range(n % 4 + 2)] for n in range(25)]
    source.write(a="\n".join(versions[0]))
    source.sync()
    allowed = {tuple(version) for version in versions}
    stop, seen = threading.Event(), []

    def read() -> None:
        with connect(dsn) as connection:
            while not stop.is_set():
                found = connection.execute("SELECT content FROM kb.knowledge_chunks ORDER BY ordinal").fetchall()
                seen.append(tuple(content for (content,) in found))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for version in versions[1:]:
            source.write(a="\n".join(version))
            source.sync()
    finally:
        stop.set()
        reader.join()
    assert set(seen) <= allowed, "neither half a version, nor two, nor none"
    assert len(set(seen)) > 5, "the reader did look between the versions"
    assert seen[-1] in (tuple(versions[-1]), tuple(versions[-2]))


def test_who_lost_the_lease_publishes_nothing(source: LineSource) -> None:
    source.write(a="one")
    source.observe()
    for stage in ("parse", "chunk", "mask", "embed"):
        source.run(stage)  # type: ignore[arg-type]
    source.connection.execute("UPDATE kb.source_lease SET token = token + 1")
    with pytest.raises(LeaseLost):
        source.run("publish")
    assert source.published() == {}


def test_who_lost_the_lease_at_the_last_moment_commits_nothing(source: LineSource) -> None:
    """After the withdrawals, which look at the lease themselves."""
    source.write(a="one")
    task, publisher, stage = to_publish(source), source.publisher(), source.stage("publish")
    outcomes = list(publisher.run([task]))
    source.connection.execute("UPDATE kb.source_lease SET token = token + 1")
    before = sorted(rows_as_text(source.connection))
    with pytest.raises(LeaseLost):
        publisher.commit(stage, outcomes)
    assert sorted(rows_as_text(source.connection)) == before
    source.connection.execute("UPDATE kb.source_lease SET token = token - 1")
    publisher.commit(stage, outcomes)
    assert source.published() == {"a": ["one"]}


def test_more_documents_are_withdrawn_than_one_transaction_takes(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kb_pipeline.store.published.publish.WITHDRAWN_AT_ONCE", 2)
    source.write(**{f"bad{n}": f"REFUSED $ {n}" for n in range(5)}, good="costs $")
    source.sync()
    source.settings = MASKING
    source.run("mask")
    scope = [identity.document_id("hr", f"bad{n}.txt") for n in range(3)]
    assert source.publisher().withdraw_unmasked(source.stage("publish"), scope) == 3
    assert set(source.published()) == {"bad3", "bad4", "good"}
    assert source.publisher().withdraw_unmasked(source.stage("publish"), None) == 2
    assert source.published() == {"good": ["costs $"]}


def test_who_lost_the_lease_withdraws_nothing(source: LineSource) -> None:
    source.write(bad="REFUSED $")
    source.sync()
    source.settings = MASKING
    source.run("mask")
    source.connection.execute("UPDATE kb.source_lease SET token = token + 1")
    with pytest.raises(LeaseLost):
        source.publisher().withdraw_unmasked(source.stage("publish"), None)
    assert source.published() == {"bad": ["REFUSED $"]}
    source.connection.execute("UPDATE kb.source_lease SET token = token - 1")
    assert source.publisher().withdraw_unmasked(source.stage("publish"), None) == 1
    assert source.published() == {}


def test_a_publish_that_fails_in_the_middle_leaves_the_old_version(source: LineSource) -> None:
    source.write(a="one\ntwo")
    source.sync()
    source.connection.execute("ALTER TABLE kb.vector_m_8 ADD CONSTRAINT broken CHECK (false) NOT VALID")
    source.write(a="three\nfour")
    with pytest.raises(psycopg.errors.CheckViolation):
        source.sync()
    assert source.published() == {"a": ["one", "two"]}
    source.connection.execute("ALTER TABLE kb.vector_m_8 DROP CONSTRAINT broken")
    source.sync()
    assert source.published() == {"a": ["three", "four"]}


def test_the_tables_hold_exactly_what_the_ledger_says_after_any_edits(
    source: LineSource, connection: Connection
) -> None:
    rng = np.random.default_rng(7)
    lines = [f"line {n}" for n in range(6)]
    wanted: dict[str, list[str]] = {}
    for _ in range(12):
        for name in "abcd":
            chosen = [lines[i] for i in rng.integers(0, 6, rng.integers(0, 5))]
            source.write(**{name: "\n".join(chosen) if rng.random() > 0.25 else None})
        wanted = {
            item.key.removesuffix(".txt"): source.store.get(f"raw/hr/{item.key}").decode().splitlines()
            for item in source.store.list("raw/hr")
        }
        source.sync()
        assert source.published() == {name: texts for name, texts in sorted(wanted.items()) if texts}
        ledger, chunks, vectors = overview.published_rows(connection, "hr", TABLE)
        assert ledger == chunks == vectors == sum(map(len, wanted.values()))
        assert overview.bad_vectors(connection, "hr", TABLE) == 0


def test_a_passage_that_now_stands_twice_is_published_twice_and_embedded_never(source: LineSource) -> None:
    source.write(a="one\ntwo")
    source.sync()
    source.sent.clear()
    source.write(a="one\ntwo\none")
    source.sync()
    assert source.published() == {"a": ["one", "two", "one"]}
    source.write(a="one\ntwo")
    source.sync()
    assert source.published() == {"a": ["one", "two"]}
    assert source.sent == []
