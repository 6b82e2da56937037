"""Garbage collection: what nothing needs goes, nothing that is needed does, whatever runs beside it or ends it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.erasing.collect import Collected, collect
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline_tests.support.faulting import once_at, run_killed
from kb_pipeline_tests.support.lines import LineSource
from kb_pipeline_tests.support.statements import after_statement

STAGES = {"parse": 1, "chunk": 1, "mask": 1, "embed": 1}


def run(source: LineSource, days: float = 30, grace: float = 0, dry_run: bool = False) -> Collected:
    return collect(source.connection, source.store, retention_days=days, grace_hours=grace, dry_run=dry_run)


def objects(source: LineSource) -> set[str]:
    return {f"artifacts/{item.key}" for item in source.store.list("artifacts")}


def named(source: LineSource) -> set[str]:
    """Paths of the artifacts that a stage row names; every artifact row is one of them."""
    rows = source.connection.execute("SELECT uri FROM kb.artifact").fetchall()
    unnamed = "SELECT count(*) FROM kb.artifact a LEFT JOIN kb.stage_state s USING (fingerprint) WHERE s.stage IS NULL"
    assert source.connection.execute(unnamed).fetchone() == (0,)
    return {row[0] for row in rows}


def delete_long_ago(source: LineSource, *names: str, days: int = 40) -> None:
    source.write(**dict.fromkeys(names))
    source.sync()
    source.connection.execute(
        "UPDATE kb.document SET deleted_at = now() - make_interval(days => %s) WHERE key = ANY(%s)",
        (days, [f"{name}.txt" for name in names]),
    )


def test_what_an_edit_left_behind_goes_and_nothing_else(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    assert run(source) == Collected()
    source.write(a="one and more")
    source.sync()
    collected = run(source)
    assert (collected.artifacts, collected.by_stage, collected.documents_expired) == (4, STAGES, 0)
    assert collected.bytes > 0
    assert objects(source) == named(source)
    assert len(objects(source)) == 8
    source.worked.clear()
    source.sync()
    assert source.worked == []
    assert source.published() == {"a": ["one and more"], "b": ["two"]}


def test_a_dry_run_says_the_same_and_changes_nothing(source: LineSource) -> None:
    source.write(a="one", b="two", c="three", d="three")
    source.sync()
    source.write(a="one and more")
    delete_long_ago(source, "b", "c")
    source.store.put("artifacts/clear/parse/00/orphan.arrow", b"orphan")
    before = objects(source), named_rows(source)
    foreseen = run(source, dry_run=True)
    assert (objects(source), named_rows(source)) == before
    assert foreseen.documents_expired == 2
    assert foreseen.by_stage == dict.fromkeys(STAGES, 2), "of a's old version and of b; d still has what c had"
    assert foreseen.objects_orphaned == 1
    sizes = sum(item.size for item in source.store.list("artifacts"))
    assert run(source) == foreseen
    assert sizes - sum(item.size for item in source.store.list("artifacts")) == foreseen.bytes
    assert run(source, dry_run=True) == Collected()


def named_rows(source: LineSource) -> list[tuple[object, ...]]:
    return source.connection.execute(
        "SELECT s::text FROM kb.stage_state s UNION ALL SELECT a::text FROM kb.artifact a ORDER BY 1"
    ).fetchall()


def test_a_deleted_document_keeps_its_artifacts_until_the_retention_is_over(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    delete_long_ago(source, "a", days=20)
    assert run(source, days=30) == Collected()
    source.write(a="one")
    source.worked.clear()
    source.sync()
    assert source.worked == [], "it came back in time"
    delete_long_ago(source, "a", days=40)
    collected = run(source, days=30)
    assert (collected.documents_expired, collected.by_stage) == (1, STAGES)
    assert objects(source) == set()
    history = "SELECT count(*) FROM kb.document_version JOIN kb.document USING (document_id) WHERE deleted_at < now()"
    assert source.connection.execute(history).fetchone() == (1,)
    source.write(a="one")
    source.sync()
    assert source.published() == {"a": ["one"]}, "it comes back as one that is new"


def test_a_document_that_still_has_chunks_does_not_expire(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    source.connection.execute("UPDATE kb.document SET deleted_at = now() - interval '40 days'")
    assert run(source) == Collected()


def test_a_document_that_comes_back_meanwhile_does_not_expire(source: LineSource, dsn: str) -> None:
    source.write(a="one")
    source.sync()
    delete_long_ago(source, "a")
    with connect(dsn) as elsewhere, elsewhere.transaction():
        elsewhere.execute("UPDATE kb.document SET deleted_at = NULL")
        assert run(source) == Collected()
    assert run(source) == Collected()


def test_orphans_go_when_they_are_older_than_any_run(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    kept = objects(source)
    folder = Path(urlsplit(source.store.config.url).path)
    for name, hours in (("old", 30), ("young", 20)):
        path = f"artifacts/masked/mask/ab/{name}.arrow"
        source.store.put(path, b"12345")
        then = time.time() - hours * 3600
        os.utime(folder / path, (then, then))
    collected = run(source, grace=24)
    assert (collected.objects_orphaned, collected.bytes, collected.artifacts) == (1, 5, 0)
    assert objects(source) - kept == {"artifacts/masked/mask/ab/young.arrow"}
    assert run(source, grace=0).objects_orphaned == 1
    assert objects(source) == kept


def test_a_text_keeps_its_vector_while_any_artifact_holds_it(source: LineSource) -> None:
    source.write(a="shared\nalone")
    source.sync()
    source.write(b="shared\nother")
    source.sync()
    delete_long_ago(source, "a")
    run(source)
    source.sent.clear()
    source.write(c="shared\nalone\nthird")
    source.sync()
    assert sorted(source.sent) == ["alone", "third"]


def test_more_artifacts_than_a_batch_holds(source: LineSource) -> None:
    source.write(**{f"d{n}": f"text {n}" for n in range(210)})
    source.sync()
    delete_long_ago(source, *(f"d{n}" for n in range(1, 210)))
    collected = run(source)
    assert (collected.documents_expired, collected.artifacts) == (209, 836)
    assert objects(source) == named(source)
    assert source.published() == {"d0": ["text 0"]}


def garbage_of_one(source: LineSource, dsn: str, take: Callable[..., Lease]) -> LineSource:
    """Artifacts of "one" that nothing names, and another source that is about to parse the same bytes."""
    source.write(a="one")
    source.sync()
    source.write(a="two")
    source.sync()
    other = LineSource(connect(dsn), source.store, take(source="wiki"))
    other.write(b="one")
    other.observe()
    return other


def test_what_a_run_is_about_to_name_is_left_alone(source: LineSource, dsn: str, take: Callable[..., Lease]) -> None:
    other = garbage_of_one(source, dsn, take)
    (task,) = next(other.ledger("parse").pending(other.stage("parse")))
    with other.connection, other.connection.transaction():
        assert other.ledger("parse").artifacts([task.fingerprint], other.stage("parse"))
        assert run(source).by_stage == {"chunk": 1, "mask": 1, "embed": 1}
        assert other.run("parse").reused == 1
    assert run(source) == Collected()
    assert objects(source) == named(source)


def test_what_a_run_names_just_before_it_is_locked_is_left_alone(
    source: LineSource, dsn: str, take: Callable[..., Lease]
) -> None:
    """The statement that locked the row began before the run had named it, and saw it as garbage."""
    other = garbage_of_one(source, dsn, take)
    (task,) = next(other.ledger("parse").pending(other.stage("parse")))

    def name_it() -> None:
        other.connection.execute(
            "INSERT INTO kb.stage_state (document_id, stage, stage_key, fingerprint, status)"
            " VALUES (%s, 'parse', 'k', %s, 'ok')",
            (task.document_id, task.fingerprint),
        )

    with other.connection, after_statement(source.connection, "FOR UPDATE SKIP LOCKED", name_it):
        assert run(source).by_stage == {"chunk": 1, "mask": 1, "embed": 1}
    assert objects(source) == named(source)


def test_a_run_waits_for_the_collection_of_what_it_wanted_and_makes_it_anew(
    source: LineSource, dsn: str, take: Callable[..., Lease]
) -> None:
    other = garbage_of_one(source, dsn, take)
    turn = threading.Thread(target=lambda: other.sync())

    def start_and_wait() -> None:
        turn.start()
        wait_until_blocked(source.connection, other.connection.info.backend_pid)

    with other.connection:
        with once_at("collect.rows_deleted", start_and_wait):
            collected = run(source, grace=24)  # what the other has just written and not named yet is no orphan
        turn.join(30)
        assert not turn.is_alive()
        assert ("parse", "b.txt") in other.worked
        assert other.published() == {"b": ["one"]}
    assert collected.by_stage == STAGES
    assert objects(source) == named(source)


def wait_until_blocked(connection: Connection, pid: int) -> None:
    """Until that backend waits for a lock of another."""
    deadline = time.monotonic() + 30
    while connection.execute("SELECT cardinality(pg_blocking_pids(%s))", (pid,)).fetchone() == (0,):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_ended_anywhere_the_next_collection_completes_it(source: LineSource) -> None:
    source.write(kept="kept")
    points: list[str] = []
    for at in range(100):
        source.write(a=f"first {at}", gone=f"gone {at}")
        source.sync()
        source.write(a=f"second {at}")
        delete_long_ago(source, "gone")
        source.store.put(f"artifacts/clear/parse/00/orphan{at}.arrow", b"orphan")
        point = run_killed(lambda: run(source), at)
        if point is None:
            break
        points.append(point)
        assert source.published() == {"a": [f"second {at}"], "kept": ["kept"]}
        run(source)
        assert objects(source) == named(source)
        assert len(named(source)) == 8
        source.worked.clear()
        source.sync()
        assert source.worked == []
    assert {point.split(".")[1] for point in points} == {
        "expired", "rows_deleted", "rows_committed", "objects_deleted", "orphans_deleted",
    }  # fmt: skip
