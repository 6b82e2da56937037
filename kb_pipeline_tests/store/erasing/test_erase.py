"""Forgetting a document and removing a source: nothing made of them is left, and nothing brings them back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from kb_pipeline.core.contracts import ArtifactRef
from kb_pipeline.core.errors import LeaseLost, NotFound
from kb_pipeline.core.identity import document_id, sha256_hex
from kb_pipeline.settings import ChunkingSettings
from kb_pipeline.store.database import connect
from kb_pipeline.store.erasing.collect import collect
from kb_pipeline.store.erasing.erase import Erased, forget, remove_source
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.artifacts import read_table
from kb_pipeline_tests.store.erasing.test_collect import objects, wait_until_blocked
from kb_pipeline_tests.store.ledger_rows import rows_as_text
from kb_pipeline_tests.support.faulting import once_at, run_killed
from kb_pipeline_tests.support.lines import LineSource

CANARY = "canary-5e7a"


def forget_one(source: LineSource, name: str) -> Erased:
    of = document_id(source.lease.source_system, f"{name}.txt")
    return forget(source.connection, source.store, source.lease, of)


def artifacts_as_text(source: LineSource) -> Iterator[str]:
    """Every row of every object below artifacts/, whether or not the ledger names it."""
    for path in objects(source):
        data = source.store.get(path)
        for row in read_table(source.store, ArtifactRef(path, len(data), sha256_hex(data))).to_pylist():
            yield f"{path} {row}"


def traces_of(source: LineSource, *needles: str) -> list[str]:
    """Where any of these is still to be found."""
    everything = [*rows_as_text(source.connection), *artifacts_as_text(source)]
    return [text for text in everything if any(needle in text for needle in needles)]


def with_a_past(source: LineSource, name: str) -> list[str]:
    """A document with two versions, the first of them under two settings. Returns what must not be found later."""
    settings = source.settings
    source.write(**{name: f"{CANARY} old\nshared"})
    source.sync()
    source.settings = settings.model_copy(update={"chunking": ChunkingSettings(max_tokens=99)})
    source.sync()
    source.settings = settings
    source.write(**{name: f"{CANARY} new\nshared"})
    source.sync()
    return [CANARY, f"{name}.txt"]


def test_no_trace_of_a_forgotten_document_is_left(source: LineSource) -> None:
    source.write(b="two\nshared")
    source.sync()
    needles = with_a_past(source, "secret")
    source.connection.execute(
        "UPDATE kb.document SET display_name = 'canary-5e7a', attributes = '{\"author\": \"canary-5e7a\"}'"
        " WHERE key ~ 'secret'"
    )
    source.connection.execute("INSERT INTO kb.hint (source_system, key) VALUES ('hr', 'secret.txt')")
    versions = (
        "SELECT v.content_hash FROM kb.document_version v JOIN kb.document USING (document_id) WHERE key ~ 'secret'"
    )
    hashes = [row[0] for row in source.connection.execute(versions)]
    assert len(hashes) == 2
    places = {text.split()[0].split("/")[0] for text in traces_of(source, *needles)}
    assert places == {"chunk", "document", "hint", "artifacts"}
    erased = forget_one(source, "secret")
    assert traces_of(source, *needles) == []
    assert traces_of(source, *hashes) == []
    assert (erased.documents, erased.copies, erased.kept) == (1, 0, 0)
    assert erased.rows == {
        "vector_m_8": 2, "chunk": 2, "vector_ref": 4, "artifact": 9, "stage_state": 6, "document_version": 2, "hint": 1,
    }  # fmt: skip
    assert erased.objects == {"clear": 5, "masked": 4}
    assert source.published() == {"b": ["two", "shared"]}
    assert source.store.get("raw/hr/secret.txt"), "the source's own object stays"


def test_a_sync_does_not_bring_it_back(source: LineSource) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.connection.execute(
        "UPDATE kb.document SET display_name = 'a name', display_policy = 'policy', version_id = 'v',"
        " settled_key = 'k', access_groups = '{staff}', attributes = '{\"author\": \"somebody\"}', attempts = 1,"
        " retry_at = now() WHERE key = 'a.txt'"
    )
    forget_one(source, "a")
    source.worked.clear()
    source.sync()
    source.write(a="another text")
    source.sync()
    assert source.worked == []
    assert source.published() == {"b": ["two"]}
    tombstone = source.connection.execute(
        "SELECT to_jsonb(d) FROM kb.document d WHERE forgotten_at IS NOT NULL"
    ).fetchall()
    ((said,),) = tombstone
    of = document_id("hr", "a.txt")
    assert {name: value for name, value in said.items() if not name.endswith("_at")} == {
        "document_id": of, "key": of, "source_system": "hr", "access_groups": [], "attributes": {}, "attempts": 0,
        **dict.fromkeys(("display_name", "display_policy", "etag", "version_id", "size")),
        **dict.fromkeys(("media_type", "content_hash", "settled_key")),
    }  # fmt: skip
    assert {name for name, value in said.items() if name.endswith("_at") and value} == {
        "first_seen_at", "deleted_at", "forgotten_at",
    }  # fmt: skip


def test_what_another_document_uses_stays_and_is_said(source: LineSource, take: Callable[..., Lease]) -> None:
    other = LineSource(source.connection, source.store, take(source="wiki"))
    other.write(copy="one\ntwo", tail="one\ntwo\n")
    other.sync()
    source.write(a="one\ntwo")
    source.sync()
    erased = forget_one(source, "a")
    assert (erased.copies, erased.kept) == (1, 4)
    assert erased.objects == {"clear": 1, "masked": 1}, (
        "two turns of a worker had made equal chunks; no row names these"
    )
    assert other.published() == {"copy": ["one", "two"], "tail": ["one", "two"]}
    other.worked.clear()
    other.sync()
    assert other.worked == []
    assert forget_one(other, "copy").kept == 3, "chunks, masked and vectors of the other bytes with the same lines"
    assert forget_one(other, "tail").kept == 0
    assert objects(source) == set()


def test_a_deleted_document_is_forgotten_too(source: LineSource) -> None:
    source.write(a=f"{CANARY} one", b="two")
    source.sync()
    source.write(a=None)
    source.sync()
    forget_one(source, "a")
    assert traces_of(source, CANARY, "a.txt") == []
    source.write(a=f"{CANARY} one")
    source.sync()
    assert source.published() == {"b": ["two"]}


def test_artifacts_that_a_run_wrote_and_never_named_go_too(source: LineSource) -> None:
    """Two runs made the same, or one died before its commit: the fingerprint in the path tells whose they are."""
    source.write(a=f"{CANARY} one", b="two")
    source.sync()
    kept = objects(source)
    source.write(a=f"{CANARY} other")
    source.observe()
    (task,) = next(source.ledger("parse").pending(source.stage("parse")))
    data = source.store.get(next(path for path in kept if "/parse/" in path))
    stray = f"artifacts/clear/parse/{task.fingerprint[:2]}/{task.fingerprint}.0123abcd.arrow"
    source.store.put(stray, data)
    assert forget_one(source, "a").objects["clear"] >= 3
    assert stray not in objects(source)
    assert len(objects(source)) == 4


def test_artifacts_of_unknown_origin_that_nothing_names_go_too(source: LineSource) -> None:
    """Ledgers from before artifacts said what they were made from cannot tell whose an old version was."""
    needles = with_a_past(source, "secret")
    source.connection.execute(
        "UPDATE kb.artifact a SET input_hash = NULL WHERE NOT EXISTS"
        " (SELECT FROM kb.stage_state s WHERE s.fingerprint = a.fingerprint)"
    )
    forget_one(source, "secret")
    assert traces_of(source, *needles) == []


def test_only_what_the_leases_source_has_and_only_under_the_lease(
    source: LineSource, take: Callable[..., Lease]
) -> None:
    source.write(a="one")
    source.sync()
    other = LineSource(source.connection, source.store, take(source="wiki"))
    with pytest.raises(NotFound):
        forget(source.connection, source.store, other.lease, document_id("hr", "a.txt"))
    source.connection.execute("UPDATE kb.source_lease SET token = token + 1 WHERE source_system = 'hr'")
    before = sorted(rows_as_text(source.connection)), objects(source)
    with pytest.raises(LeaseLost):
        forget_one(source, "a")
    with pytest.raises(LeaseLost):
        remove_source(source.connection, source.store, source.lease)
    assert (sorted(rows_as_text(source.connection)), objects(source)) == before


@pytest.mark.parametrize(
    ("point", "left"),
    [("erase.hidden", {"artifact", "document_version"}), ("erase.artifacts_committed", {"document_version"})],
)
def test_who_loses_the_lease_half_way_erases_no_more(source: LineSource, point: str, left: set[str]) -> None:
    source.write(a="one")
    source.sync()

    def lose_the_lease() -> None:
        source.connection.execute("UPDATE kb.source_lease SET token = token + 1")

    with pytest.raises(LeaseLost), once_at(point, lose_the_lease):
        forget_one(source, "a")
    tables = {row.split()[0] for row in rows_as_text(source.connection)}
    assert tables & {"artifact", "document_version"} == left
    assert len(objects(source)) == (4 if "artifact" in left else 0)
    source.connection.execute("UPDATE kb.source_lease SET token = token - 1")
    forget_one(source, "a")
    assert "document_version" not in {row.split()[0] for row in rows_as_text(source.connection)}


def test_who_loses_the_lease_while_a_source_is_removed_keeps_its_last_rows(source: LineSource) -> None:
    source.write(a="one")
    source.sync()
    source.connection.execute("INSERT INTO kb.hint (source_system, key) VALUES ('hr', 'never seen')")

    def lose_the_lease() -> None:
        source.connection.execute("UPDATE kb.source_lease SET token = token + 1")

    with pytest.raises(LeaseLost), once_at("erase.finished", lose_the_lease):
        remove_source(source.connection, source.store, source.lease)
    assert {"hint", "source_lease"} <= {row.split()[0] for row in rows_as_text(source.connection)}


def test_what_only_documents_that_are_half_erased_have_goes_with_the_next_of_them(source: LineSource) -> None:
    """Forgetting the first was ended before its artifacts went; whoever forgets the second does not wait for that."""
    source.write(a=f"{CANARY} one", b=f"{CANARY} one")
    source.sync()
    assert run_killed(lambda: forget_one(source, "a"), 0) == "erase.hidden"
    assert forget_one(source, "b").kept == 0
    assert objects(source) == set()


def test_what_only_a_source_that_is_half_removed_has_goes_with_the_next_document(
    source: LineSource, take: Callable[..., Lease]
) -> None:
    other = LineSource(source.connection, source.store, take(source="wiki"))
    for lines in (source, other):
        lines.write(a=f"{CANARY} one")
        lines.sync()
    assert run_killed(lambda: remove_source(other.connection, other.store, other.lease), 0) == "erase.source_marked"
    assert forget_one(source, "a").kept == 0
    assert objects(source) == set()


def test_a_chain_of_artifacts_is_cut_from_its_end_whatever_ends_it(
    source: LineSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each call is ended after one artifact. What is left is found from the bytes on: were an old version's first
    artifact to go first, nothing would lead to the others."""
    monkeypatch.setattr("kb_pipeline.store.erasing.erase.BATCH", 1)
    needles = with_a_past(source, "secret")
    order = ["embed", "mask", "chunk", "parse"]
    gone: list[str] = []
    before = objects(source)
    while run_killed(lambda: forget_one(source, "secret"), 2) == "erase.artifacts_committed":
        (path,) = before - objects(source)
        gone.append(path.split("/")[2])
        before = objects(source)
    assert gone == sorted(gone, key=order.index)
    assert len(gone) == 9
    forget_one(source, "secret")
    assert traces_of(source, *needles) == []
    assert objects(source) == set()


def test_who_is_about_to_use_an_artifact_keeps_it(source: LineSource, dsn: str, take: Callable[..., Lease]) -> None:
    """Forgetting waits for a run that has found the artifact, and then finds it named."""
    source.write(a="one")
    source.sync()
    other = LineSource(connect(dsn), source.store, take(source="wiki"))
    other.write(b="one")
    other.observe()
    (task,) = next(other.ledger("parse").pending(other.stage("parse")))
    erased: list[Erased] = []
    with other.connection, connect(dsn) as third:
        forgetting = threading.Thread(target=lambda: erased.append(forget_one(source, "a")))
        with other.connection.transaction():
            assert other.ledger("parse").artifacts([task.fingerprint], other.stage("parse"))
            forgetting.start()
            wait_until_blocked(third, source.connection.info.backend_pid)
            assert other.run("parse").reused == 1
        forgetting.join(30)
        assert erased[0].kept == 1
        other.sync()
        assert other.published() == {"b": ["one"]}
        assert ("parse", "b.txt") not in other.worked


def test_a_run_that_comes_second_makes_it_anew(source: LineSource, dsn: str, take: Callable[..., Lease]) -> None:
    source.write(a="one")
    source.sync()
    other = LineSource(connect(dsn), source.store, take(source="wiki"))
    other.write(b="one")
    other.observe()
    turn = threading.Thread(target=other.sync)
    with other.connection, connect(dsn) as third:

        def start_and_wait() -> None:
            turn.start()
            wait_until_blocked(third, other.connection.info.backend_pid)

        with once_at("erase.objects_deleted", start_and_wait):
            forget_one(source, "a")
        turn.join(30)
        assert ("parse", "b.txt") in other.worked
        assert other.published() == {"b": ["one"]}


def test_ended_anywhere_forgetting_again_completes_it(source: LineSource) -> None:
    source.write(b="two")
    with_a_past(source, "first")
    forget_one(source, "first")
    kept = objects(source)
    points = []
    for at in range(100):
        name = f"secret{at}"
        needles = with_a_past(source, name)
        point = run_killed(lambda name=name: forget_one(source, name), at)  # type: ignore[misc]
        if point is None:
            break
        points.append(point)
        assert source.published() == {"b": ["two"]}, "not searched from the first step on"
        forget_one(source, name)
        assert traces_of(source, *needles) == []
        assert objects(source) == kept
        source.sync()
        assert source.published() == {"b": ["two"]}
    assert points == ["erase.hidden", "erase.objects_deleted", "erase.artifacts_committed", "erase.finished"]


def test_a_removed_source_leaves_its_tombstone_alone(source: LineSource, take: Callable[..., Lease]) -> None:
    other = LineSource(source.connection, source.store, take(source="wiki"))
    other.write(b="shared\nother")
    other.sync()
    source.write(**{f"{CANARY}{n}": f"{CANARY} text {n % 150}\nshared" for n in range(210)})
    source.sync()
    forget_one(source, f"{CANARY}7")
    source.connection.execute("INSERT INTO kb.hint (source_system, key) VALUES ('hr', 'canary-5e7a.txt')")
    erased = remove_source(source.connection, source.store, source.lease)
    assert traces_of(source, CANARY) == []
    assert (erased.documents, erased.rows["document"], erased.kept) == (209, 209, 0)
    assert (erased.rows["chunk"], erased.rows["vector_m_8"]) == (418, 418)
    assert (erased.rows["hint"], erased.rows["source_lease"]) == (1, 1)
    assert len(objects(source)) == 4
    assert other.published() == {"b": ["shared", "other"]}
    kept = source.connection.execute(
        "SELECT d.document_id, s.removed_at IS NOT NULL FROM kb.source s LEFT JOIN kb.document d USING (source_system)"
        " WHERE source_system = 'hr'"
    ).fetchall()
    assert kept == [(document_id("hr", f"{CANARY}7.txt"), True)], "what was forgotten stays forgotten"
    assert collect(source.connection, source.store, retention_days=0, grace_hours=0, dry_run=False).artifacts == 0


def test_ended_anywhere_removing_again_completes_it(source: LineSource, take: Callable[..., Lease]) -> None:
    points = []
    for at in range(100):
        hr = LineSource(source.connection, source.store, take(source=f"hr{at}"))
        hr.write(a=f"{CANARY} one", b="two")
        hr.sync()
        hr.write(a=f"{CANARY} one more")
        hr.sync()
        point = run_killed(lambda hr=hr: remove_source(hr.connection, hr.store, hr.lease), at)  # type: ignore[misc]
        if point is None:
            break
        points.append(point)
        remove_source(hr.connection, hr.store, hr.lease)
        assert traces_of(hr, CANARY) == []
        assert objects(hr) == set()
    assert points == [
        "erase.source_marked", "erase.hidden", "erase.objects_deleted", "erase.artifacts_committed", "erase.finished",
    ]  # fmt: skip
