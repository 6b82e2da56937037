"""Verifying: silent on a sound knowledge base, precise on a broken one, and what it repairs converges."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import get_args

import pytest
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg.pq import TransactionStatus

from kb_pipeline.core import faults
from kb_pipeline.core.errors import LeaseLost
from kb_pipeline.core.identity import document_id
from kb_pipeline.pipeline.catalogue import catalogue, chain_key, raw_prefix
from kb_pipeline.store.database import connect
from kb_pipeline.store.erasing.erase import remove_source
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.verify import (
    Expected,
    Problem,
    repair,
    repair_shared,
    verify,
    verify_deep,
    verify_listing,
    verify_objects,
)
from kb_pipeline.store.verify.checks import LEDGER, SPACE, WHOLE
from kb_pipeline.store.verify.problems import Repair
from kb_pipeline_tests.store.ledger_rows import rows_as_text
from kb_pipeline_tests.support.faulting import run_killed
from kb_pipeline_tests.support.lines import MASKING, LineSource, vectors_of
from kb_pipeline_tests.support.statements import after_statement


def expected(source: LineSource, removed: bool = False) -> Expected:
    name, space = source.lease.source_system, source.space()
    return Expected(name, catalogue(source.settings, name, space), chain_key(source.settings, name), space, removed)


def look(source: LineSource, deep: bool = True, removed: bool = False) -> list[Problem]:
    one = expected(source, removed)
    problems = verify(source.connection, [one], whole=True)
    if deep:
        problems += verify_deep(source.connection, source.store, one)
        problems += verify_listing(source.connection, source.store, one, raw_prefix(one.source_system))
        problems += verify_objects(source.connection, source.store, 0)
    return problems


def mend(source: LineSource, problems: list[Problem], removed: bool = False) -> None:
    repair_shared(source.connection, source.store, problems, 0)
    repair(source.connection, source.store, source.lease, expected(source, removed), problems)


@pytest.fixture
def sound(source: LineSource) -> LineSource:
    """Live documents of which two are copies, one was edited and one is refused; and a deleted one."""
    source.settings = MASKING
    source.write(a="one\ntwo\nthree", b="four\nfive", copy="four\nfive", bad="REFUSED", old="gone soon", edited="first")
    source.sync()
    source.write(old=None, edited="second\ntwo")
    source.sync()
    name_all(source)
    source.connection.execute(
        "DELETE FROM kb.artifact a WHERE NOT EXISTS (SELECT FROM kb.stage_state s WHERE s.fingerprint = a.fingerprint)"
    )
    named = {row[0] for row in source.connection.execute("SELECT uri FROM kb.artifact")}
    for item in source.store.list("artifacts"):
        if f"artifacts/{item.key}" not in named:
            source.store.delete(f"artifacts/{item.key}")
    return source


def name_all(source: LineSource) -> None:
    source.connection.execute(
        "UPDATE kb.document SET display_name = key, display_policy = %s WHERE forgotten_at IS NULL",
        (source.stage("mask").key,),
    )


def execute(source: LineSource, *queries: str) -> None:
    for query in queries:
        source.connection.execute(query)


A = "(SELECT document_id FROM kb.document WHERE key = 'a.txt')"
FIRST = "(SELECT chunk_id FROM kb.chunk JOIN kb.document USING (document_id) WHERE key = 'a.txt' AND ordinal = 0)"

_CHUNK = "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, text_hash)"

# check -> what breaks it, and what the message must say. Each concerns document a.txt unless it names none.
BREAKAGES: dict[str, tuple[list[str], str]] = {
    "published-rows": ([f"DELETE FROM kb.chunk WHERE chunk_id = {FIRST}"], "holds 2 rows of it, and the ledger says 3"),
    "unpublished-chunks": (
        [f"DELETE FROM kb.stage_state WHERE document_id = {A} AND stage = 'publish'"],
        "holds 3 rows of it, and the ledger says nothing",
    ),
    "deleted-chunks": (
        [
            f"UPDATE kb.document SET deleted_at = now() WHERE document_id = {A}",
            f"DELETE FROM kb.stage_state WHERE stage = 'publish' AND document_id = {A}",
        ],
        "still holds 3",
    ),
    "duplicate-ordinals": ([f"UPDATE kb.chunk SET ordinal = 1 WHERE document_id = {A}"], "2 of its rows"),
    "empty-lexemes": ([f"UPDATE kb.chunk SET lexemes = '' WHERE document_id = {A}"], "3 of its rows"),
    "lost-artifacts": (
        [
            "DELETE FROM kb.artifact WHERE fingerprint IN (SELECT fingerprint FROM kb.stage_state"
            f" WHERE document_id = {A} AND stage IN ('parse', 'mask'))"
        ],
        "(mask, parse)",
    ),
    "unread": (
        [f"UPDATE kb.document SET content_hash = NULL, settled_key = NULL WHERE document_id = {A}"],
        "never read",
    ),
    "waits-too-long": (
        [
            f"UPDATE kb.document SET settled_key = NULL WHERE document_id = {A}",
            "UPDATE kb.stage_state SET updated_at = '2026-01-02 03:04+00' WHERE stage = 'raw'",
        ],
        "1 documents have work left that is due, the oldest since 2026-01-02",
    ),
    "old-hints": (
        ["INSERT INTO kb.hint (source_system, key, received_at) VALUES ('hr', 'a.txt', '2026-01-02')"],
        "1 keys in kb.hint",
    ),
    "outdated-names": ([f"UPDATE kb.document SET display_policy = 'other' WHERE document_id = {A}"], "no longer holds"),
    "outdated-rows": (
        [f"UPDATE kb.stage_state SET stage_key = 'other' WHERE document_id = {A} AND stage = 'publish'"],
        "3 of its rows",
    ),
    "hanging-lease": (
        ["UPDATE kb.source_lease SET expires_at = now() - interval '1 s' WHERE source_system = 'hr'"],
        "run run holds the lease",
    ),
    "unfinished-erasing": (
        [
            f"DELETE FROM kb.chunk WHERE document_id = {A}",
            "UPDATE kb.document SET forgotten_at = now(), deleted_at = now(), key = document_id"
            f" WHERE document_id = {A}",
        ],
        "1 versions",
    ),
    "missing-vectors": ([f"DELETE FROM kb.vector_m_8 WHERE chunk_id = {FIRST}"], "1 of its rows in kb.chunk have no"),
    "stray-vectors": (
        [
            "ALTER TABLE kb.vector_m_8 DROP CONSTRAINT vector_m_8_chunk_id_fkey",
            "INSERT INTO kb.vector_m_8 SELECT 'stray', source_system, embedding FROM kb.vector_m_8 LIMIT 1",
        ],
        "1 vectors in kb.vector_m_8",
    ),
    "mislabelled-vectors": (
        [f"UPDATE kb.vector_m_8 SET source_system = 'wiki' WHERE chunk_id = {FIRST}"],
        "1 of its vectors",
    ),
    "bad-vectors": (
        [f"UPDATE kb.vector_m_8 SET embedding = '[1,1,0,0,0,0,0,0]' WHERE chunk_id = {FIRST}"],
        "1 of its vectors",
    ),
    "unknown-chunks": (
        [
            "ALTER TABLE kb.chunk DROP CONSTRAINT chunk_document_id_fkey",
            f"{_CHUNK} VALUES ('x', 'nobody', 0, 'text', 'text', 'h')",
        ],
        "1 rows of 1 documents",
    ),
    "settled-yet-pending": (
        [f"UPDATE kb.stage_state SET input_hash = 'other' WHERE document_id = {A} AND stage = 'chunk'"],
        "chunk has work left",
    ),
}
OF_NO_DOCUMENT = {"waits-too-long", "old-hints", "hanging-lease", "stray-vectors", "unknown-chunks"}


def test_a_sound_knowledge_base_has_no_problems(sound: LineSource) -> None:
    assert look(sound) == []
    execute(
        sound, "UPDATE kb.document SET settled_key = NULL", "INSERT INTO kb.hint (source_system, key) VALUES ('hr','z')"
    )
    assert look(sound) == [], "work that waits for a sync is none"


def test_every_check_is_broken_here() -> None:
    checks = {check.name for check in (*LEDGER, *SPACE, *WHOLE)} - {"two-active-spaces"}
    assert checks | {"settled-yet-pending"} == BREAKAGES.keys()


@pytest.mark.parametrize("check", BREAKAGES)
def test_what_is_broken_is_found_named_and_mended(sound: LineSource, check: str) -> None:
    queries, says = BREAKAGES[check]
    published = sound.published()
    execute(sound, *queries)
    problems = look(sound, deep=False)
    found = [problem for problem in problems if problem.check == check]
    assert len(found) == 1, problems
    assert says in found[0].detail
    assert found[0].repairable
    if check not in OF_NO_DOCUMENT:
        of = document_id("hr", "a.txt")
        assert (found[0].document_id, found[0].document) == (of, of if check == "unfinished-erasing" else "a.txt")
    if check == "hanging-lease":
        execute(sound, "UPDATE kb.source_lease SET expires_at = now() + interval '1 min'")  # ours, taken over
    mend(sound, problems)
    assert [p.check for p in look(sound, deep=False) if not waits_for_sync(p)] == []
    converge(sound)
    if check == "unfinished-erasing":
        del published["a"]
    assert sound.published() == published


def waits_for_sync(problem: Problem) -> bool:
    """Mended by making it work for the next sync, which is still to come."""
    return problem.check in ("outdated-rows", "waits-too-long", "old-hints")


def converge(source: LineSource) -> None:
    """Mend and sync until nothing is wrong: what one hides another shows."""
    for _ in range(3):
        source.sync()
        name_all(source)
        problems = look(source)
        if not problems:
            break
        mend(source, problems)
    assert problems == []


def test_problems_that_only_people_can_solve(sound: LineSource) -> None:
    execute(
        sound,
        "DROP INDEX kb.one_active_space",
        "INSERT INTO kb.space (space_id, model, native_dimension, dimension, table_name, status)"
        " VALUES ('n@8', 'n', 8, 8, 'vector_n_8', 'active')",
    )
    found = {p.check: p for p in verify(sound.connection, [], whole=True)}
    assert found.keys() == {"two-active-spaces", "lost-table"}
    assert "m@8, n@8" in found["two-active-spaces"].detail
    assert not any(p.repairable for p in found.values())


def test_rows_that_cannot_be_made_again_are_left_alone(sound: LineSource) -> None:
    """The new version is refused; what the old one left is damaged: only mending the new one helps."""
    sound.write(edited="REFUSED")
    sound.sync()
    name_all(sound)
    execute(sound, "DELETE FROM kb.vector_m_8 WHERE chunk_id IN (SELECT chunk_id FROM kb.chunk JOIN kb.document"
                   " USING (document_id) WHERE key = 'edited.txt' AND ordinal = 0)")  # fmt: skip
    (problem,) = look(sound, deep=False)
    assert (problem.check, problem.document, problem.repairable) == ("missing-vectors", "edited.txt", False)
    before = sound.published()
    mend(sound, [problem])
    assert sound.published() == before
    assert look(sound, deep=False) == [problem]
    sound.write(edited="accepted")
    converge(sound)


def artifact_uri(source: LineSource, stage: str, key: str = "a.txt") -> str:
    row = source.connection.execute(
        "SELECT uri FROM kb.artifact JOIN kb.stage_state s USING (fingerprint) JOIN kb.document USING (document_id)"
        " WHERE s.stage = %s AND key = %s",
        (stage, key),
    ).fetchone()
    assert row
    return str(row[0])


@pytest.mark.parametrize("stage", ["parse", "chunk", "mask", "embed"])
@pytest.mark.parametrize("damage", ["gone", "other bytes"])
def test_damaged_artifacts_are_found_and_made_again(sound: LineSource, stage: str, damage: str) -> None:
    published = sound.published()
    uri = artifact_uri(sound, stage, "b.txt")
    if damage == "gone":
        sound.store.delete(uri)
    else:
        data = bytearray(sound.store.get(uri))
        data[len(data) // 2] ^= 1
        sound.store.put(uri, bytes(data))
    assert look(sound, deep=False) == []
    problems = look(sound)
    assert sorted((p.check, p.document) for p in problems) == [
        ("damaged-artifacts", "b.txt"), ("damaged-artifacts", "copy.txt"),
    ]  # fmt: skip
    assert stage in problems[0].detail
    mend(sound, problems)
    converge(sound)
    assert sound.published() == published


def test_rows_that_are_not_those_of_the_artifact(sound: LineSource) -> None:
    published = sound.published()
    execute(sound, f"UPDATE kb.chunk SET content = 'forged' WHERE chunk_id = {FIRST}")
    (problem,) = look(sound)
    assert (problem.check, problem.document) == ("different-rows", "a.txt")
    assert "1 rows" in problem.detail
    assert "forged" not in problem.detail
    mend(sound, [problem])
    converge(sound)
    assert sound.published() == published


def test_vectors_that_are_not_those_of_the_artifact(sound: LineSource) -> None:
    register_vector(sound.connection)
    sound.connection.execute(
        f"UPDATE kb.vector_m_8 SET embedding = %s WHERE chunk_id = {FIRST}", (HalfVector(vectors_of(["other"])[0]),)
    )
    (problem,) = look(sound)
    assert (problem.check, problem.document) == ("different-vectors", "a.txt")
    mend(sound, [problem])
    assert look(sound) == [], "mended at once: searches never miss it"


def test_texts_that_a_later_edit_would_embed_again(sound: LineSource) -> None:
    """As in a knowledge base from before every artifact registered all of its texts."""
    execute(sound, f"DELETE FROM kb.vector_ref WHERE fingerprint IN (SELECT fingerprint FROM kb.stage_state"
                   f" WHERE document_id = {A}) AND row = 1")  # fmt: skip
    (problem,) = look(sound)
    assert (problem.check, problem.document) == ("unregistered-texts", "a.txt")
    mend(sound, [problem])
    assert look(sound) == []


def test_objects_that_no_row_names(sound: LineSource) -> None:
    sound.store.put("artifacts/clear/parse/ab/orphan", b"12345")
    (problem,) = look(sound)
    assert (problem.check, problem.source_system) == ("orphaned-objects", "")
    assert "1 objects below artifacts/ (5 bytes)" in problem.detail
    assert list(verify_objects(sound.connection, sound.store, 24)) == [], "it may belong to a run"
    mend(sound, [problem])
    assert look(sound) == []


def test_a_source_that_went_on_unnoticed(sound: LineSource) -> None:
    sound.write(a="one\nanother", b=None, new="six")
    (problem,) = look(sound)
    assert problem.check == "unlisted-changes"
    assert "1 are not in kb.document and 1 have another size or ETag there; 1 documents are gone" in problem.detail
    mend(sound, [problem])
    sound.observe()
    sound.run("parse")
    assert [p.check for p in look(sound)] == [], "the ledger knows of them"
    converge(sound)


def test_a_ledger_that_lost_what_a_listing_told(sound: LineSource) -> None:
    """Restored from a backup, say, while the digest says that nothing changed."""
    published = sound.published()
    execute(sound, f"DELETE FROM kb.chunk WHERE document_id = {A}", f"DELETE FROM kb.document WHERE document_id = {A}")
    sound.sync()
    (problem,) = look(sound)
    assert problem.check == "unlisted-changes"
    mend(sound, [problem])
    converge(sound)
    assert sound.published() == published


def test_an_interrupted_removal_is_completed(sound: LineSource, take: Callable[..., Lease]) -> None:
    other = LineSource(sound.connection, sound.store, take(source="wiki"), MASKING)
    other.write(b="one")
    other.sync()
    point = run_killed(lambda: remove_source(other.connection, other.store, other.lease), 2)
    assert point == "erase.objects_deleted"
    problems = look(other, deep=False, removed=True)
    assert [p.check for p in problems] == ["unfinished-erasing"]
    mend(other, problems, removed=True)
    assert look(other, deep=False, removed=True) == []
    assert look(sound) == []


def test_many_problems_of_one_kind_are_cut_short(sound: LineSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kb_pipeline.store.verify.asking.MOST", 2)
    execute(sound, "UPDATE kb.chunk SET lexemes = ''")
    problems = look(sound, deep=False)
    assert [p.repairable for p in problems] == [True, True, False]
    assert "more than these 2" in problems[-1].detail


def test_a_run_beside_it_looks_like_no_problem(sound: LineSource, dsn: str) -> None:
    """Every point between two commits of a sync is a sound state."""
    with connect(dsn) as elsewhere:
        seen: list[list[Problem]] = []
        looking = LineSource(elsewhere, sound.store, sound.lease, sound.settings)

        def at_point(name: str) -> None:
            if sound.connection.info.transaction_status == TransactionStatus.IDLE:
                seen.append(look(looking))

        sound.write(a="one\nnew", new="six", b=None)
        with faults.on_reach(at_point):
            sound.sync()
    assert len(seen) > 5
    assert [
        p.check for problems in seen for p in problems if p.check not in ("unlisted-changes", "orphaned-objects")
    ] == []


def test_a_run_that_commits_between_two_questions_looks_like_no_problem(sound: LineSource, dsn: str) -> None:
    """Parsing has work left when that is asked; when it is asked what is settled, a run has done it all. Only one
    snapshot makes that one answer."""
    sound.write(a="one\nnew")
    sound.observe()
    with connect(dsn) as elsewhere:
        looking = LineSource(elsewhere, sound.store, sound.lease, sound.settings)
        with after_statement(elsewhere, "SELECT i.document_id", sound.run_stages):
            assert verify(elsewhere, [expected(looking)], whole=True) == []
        assert sound.published()["a"] == ["one", "new"]


def test_a_document_that_a_run_changes_while_its_artifacts_are_read_is_left_out(
    sound: LineSource, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, turn, done = ObjectStore.get, threading.Lock(), False

    def get(store: ObjectStore, path: str) -> bytes:
        nonlocal done
        if store is sound.store:
            with turn:  # readers that come meanwhile wait: what they get is what was there before
                if not done:
                    done = True
                    run.sync()
        return read(store, path)

    with connect(dsn) as elsewhere:
        run = LineSource(elsewhere, ObjectStore(sound.store.config), sound.lease, sound.settings)
        run.write(a="one\nnew\nthree")
        monkeypatch.setattr(ObjectStore, "get", get)
        assert list(verify_deep(sound.connection, sound.store, expected(sound))) == []
    assert done
    assert sound.published()["a"] == ["one", "new", "three"]


@pytest.mark.parametrize("mending", sorted(set(get_args(Repair)) - {"", "sweep", "release"}))
def test_who_lost_the_lease_mends_nothing(sound: LineSource, mending: Repair) -> None:
    of = document_id("hr", "a.txt")
    items = (artifact_uri(sound, "mask"),) if mending == "rework" else ()
    problem = Problem("any", "hr", "a.txt", "is not as it must be", True, of, mending, items)
    execute(sound, "UPDATE kb.source_lease SET token = token + 1")
    before = sorted(rows_as_text(sound.connection))
    with pytest.raises(LeaseLost):
        mend(sound, [problem])
    assert sorted(rows_as_text(sound.connection)) == before
