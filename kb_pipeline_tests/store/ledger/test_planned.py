"""What a sync would do is told from a listing and the ledger, and telling it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.estimating import Sample, Speed, Work
from kb_pipeline.pipeline.catalogue import catalogue, chain_key
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.listings import Listing
from kb_pipeline.store.ledger.planned import differences, samples, unsettled
from kb_pipeline.store.objects.object_store import ObjectInfo
from kb_pipeline_tests.store.ledger_rows import document, insert, stage
from kb_pipeline_tests.support.lines import KEEPING, MASKING, LineSource

AT = datetime(2026, 11, 1, tzinfo=UTC)


def listed(connection: Connection, *objects: tuple[str, str, int]) -> None:
    """Load a listing of (key, ETag, size)."""
    infos = [ObjectInfo(key, size, etag, AT, None) for key, etag, size in objects]
    with Listing("hr", infos) as listing:
        listing.load(connection)


def known(connection: Connection, key: str, etag: str = "1", size: int = 100, **columns: object) -> str:
    return document(connection, "hr", key, etag=etag, size=size, modified_at=AT, **columns)


def total(kinds: Mapping[str, Work]) -> int:
    return sum(work.documents for work in kinds.values())


def test_additions_and_changes_by_kind(connection: Connection) -> None:
    known(connection, "same.md")
    known(connection, "larger.md", size=90)
    known(connection, "edited.PDF", etag="0")
    known(connection, "back.md", deleted_at=AT)
    listed(
        connection,
        ("same.md", "1", 100),
        ("larger.md", "1", 100),
        ("edited.PDF", "1", 100),
        ("back.md", "1", 100),
        ("new.docx", "7", 30),
        ("newer.docx", "8", 40),
        ("no ending", "9", 5),
    )
    found = differences(connection, "hr")
    assert found.added == {"md": Work(1, 100), "docx": Work(2, 70), "": Work(1, 5)}
    assert found.changed == {"md": Work(1, 100), "pdf": Work(1, 100)}
    assert (found.moved, found.gone, found.live) == ({}, 0, 3)


def test_a_new_key_with_the_etag_and_size_of_one_that_is_gone_is_a_move(connection: Connection) -> None:
    known(connection, "a.md")
    known(connection, "b.md")
    known(connection, "c.md", etag="2")
    known(connection, "d.md", etag="3", size=7)
    listed(connection, ("x/a.md", "1", 100), ("x/c.md", "2", 100), ("x/c again.md", "2", 100), ("x/d.md", "3", 8))
    found = differences(connection, "hr")
    assert total(found.moved) == 2, "one of the two that are alike, and c"
    assert total(found.added) == 2, "a second c is a copy, d is another size"
    assert (found.gone, found.live) == (4, 4)


def test_a_key_that_a_notification_named_is_read_though_nothing_seems_changed(connection: Connection) -> None:
    known(connection, "a.md")
    known(connection, "b.md")
    insert(connection, "hint", source_system="hr", key="a.md")
    insert(connection, "hint", source_system="hr", key="b.md", gone=True)
    listed(connection, ("a.md", "1", 100), ("b.md", "1", 100))
    assert differences(connection, "hr").changed == {"md": Work(1, 100)}


def test_forgotten_documents_and_other_sources_are_left_alone(connection: Connection) -> None:
    known(connection, "forgotten.md", forgotten_at=AT, deleted_at=AT)
    document(connection, "wiki", "other.md")
    listed(connection, ("forgotten.md", "1", 100))
    found = differences(connection, "hr")
    assert (found.added, found.changed, found.gone, found.live) == ({}, {}, 0, 0)


STAGES = catalogue(KEEPING, "hr")
CHAIN = chain_key(KEEPING, "hr")


def passed(connection: Connection, key: str, *, up_to: StageName, **columns: object) -> str:
    """A document that passed the stages up to this one."""
    of = known(connection, key, content_hash="h0", media_type="text/plain", **columns)
    before = "h0:text/plain"
    for name, plan in STAGES.items():
        stage(
            connection,
            of,
            name,
            variant=plan.variant,
            stage_key=plan.key,
            input_hash=before,
            output_hash=f"{name} of {before}",
        )
        before = f"{name} of {before}"
        if name == up_to:
            break
    return of


@pytest.mark.parametrize(
    ("up_to", "left"), [("parse", "chunk"), ("chunk", "mask"), ("mask", "embed"), ("embed", "publish")]
)
def test_what_is_left_of_a_document_begins_where_it_stopped(
    connection: Connection, up_to: StageName, left: str
) -> None:
    passed(connection, "a.md", up_to=up_to)
    listed(connection, ("a.md", "1", 100))
    assert unsettled(connection, "hr", CHAIN, STAGES) == {left: {"md": Work(1, 100)}}


@pytest.mark.parametrize(
    ("change", "left"),
    [
        ("SET stage_key = 'before' WHERE stage = 'chunk'", "chunk"),
        ("SET input_hash = 'before' WHERE stage = 'mask'", "mask"),
        ("SET status = 'retry' WHERE stage = 'parse'", "parse"),
        ("SET variant = 'another model' WHERE stage = 'embed'", "embed"),
    ],
)
def test_other_settings_new_input_and_a_retry_are_work(connection: Connection, change: str, left: str) -> None:
    passed(connection, "a.md", up_to="embed", settled_key="other settings")
    connection.execute(f"UPDATE kb.stage_state {change}")
    listed(connection, ("a.md", "1", 100))
    assert set(unsettled(connection, "hr", CHAIN, STAGES)) == {left}


def test_what_is_settled_quarantined_changed_or_gone_has_no_work_left_here(connection: Connection) -> None:
    passed(connection, "settled.md", up_to="embed", settled_key=CHAIN)
    bad = passed(connection, "bad.md", up_to="parse")
    connection.execute("UPDATE kb.stage_state SET status = 'quarantined' WHERE document_id = %s", (bad,))
    passed(connection, "changed.md", up_to="parse")
    passed(connection, "gone.md", up_to="parse")
    listed(connection, ("settled.md", "1", 100), ("bad.md", "1", 100), ("changed.md", "2", 100))
    assert unsettled(connection, "hr", CHAIN, STAGES) == {}


def test_history_by_kind_is_what_documents_came_to(connection: Connection) -> None:
    model = STAGES["embed"].variant
    for n, (key, ms) in enumerate([("a.md", 300), ("b.md", 0), ("c.pdf", 700)]):
        of = known(connection, key)
        insert(
            connection,
            "artifact",
            fingerprint=f"f{n}",
            stage="embed",
            uri="u",
            size=1,
            sha256="s",
            output_hash="o",
            rows=2,
            stats={"tokens": 50},
        )
        stage(connection, of, "mask", rows=3)
        stage(connection, of, "embed", variant=model, fingerprint=f"f{n}", duration_ms=ms)
    known(connection, "unfinished.md")
    found, speed = samples(connection, "hr", model)
    assert found == {"md": Sample(2, 200, 6, 100), "pdf": Sample(1, 100, 3, 50)}
    assert speed == Speed(100, 1.0), "vectors that were there already took no time, and say nothing of the model"
    assert samples(connection, None, model) == (found, speed)
    assert samples(connection, "wiki", model) == ({}, Speed())


def rows_of_everything(connection: Connection) -> dict[str, list[tuple[object, ...]]]:
    """Where every row of schema kb lies, with the transaction that wrote it."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'kb' ORDER BY 1").fetchall()
    return {
        table: connection.execute(f"SELECT t.ctid::text, t.xmin::text FROM kb.{table} t ORDER BY 1").fetchall()
        for (table,) in tables
    }


def test_a_plan_says_what_the_sync_then_does_and_writes_nothing(source: LineSource) -> None:
    source.write(a="one\ntwo", b="three", c="four\nfive", d="six")
    source.sync()
    source.write(b="three more", e="seven", d=None)
    connection, settings = source.connection, source.settings

    def load() -> None:
        with Listing("hr", source.store.list("raw/hr")) as listing:
            listing.load(connection)

    load()
    before = rows_of_everything(connection)
    found = differences(connection, "hr")
    assert (total(found.added), total(found.changed), total(found.moved), found.gone) == (1, 1, 0, 1)
    assert unsettled(connection, "hr", chain_key(settings, "hr"), catalogue(settings, "hr")) == {}
    samples(connection, None, catalogue(settings, "hr")["embed"].variant)
    assert rows_of_everything(connection) == before
    source.sync()
    load()
    found = differences(connection, "hr")
    assert (found.added, found.changed, found.moved, found.gone, found.live) == ({}, {}, {}, 0, 4)
    chain, stages = chain_key(MASKING, "hr"), catalogue(MASKING, "hr")
    assert unsettled(connection, "hr", chain, stages)["mask"]["txt"].documents == 4, "a new masking policy"
