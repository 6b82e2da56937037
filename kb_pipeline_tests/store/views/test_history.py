"""What became of one document."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kb_pipeline.store.database import Connection
from kb_pipeline.store.views.history import Standing, history, quarantined_document, state_of
from kb_pipeline_tests.store.ledger_rows import document, insert, stage

NOW = datetime.now(UTC)
AGO, LATER = NOW - timedelta(hours=1), NOW + timedelta(hours=1)


def chunks(connection: Connection, of: str, count: int) -> None:
    for n in range(count):
        connection.execute(
            "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, text_hash)"
            " VALUES (%s, %s, %s, 'x', '', 'x')",
            (f"{of}{n}", of, n),
        )


def test_versions_and_stages_in_their_order(connection: Connection) -> None:
    of = document(connection, "hr", "leave.docx", settled_key="now")
    for hashed, seen, published, withdrawn in (("v2", NOW, None, None), ("v1", AGO, AGO, NOW)):
        insert(
            connection,
            "document_version",
            document_id=of,
            content_hash=hashed,
            seen_at=seen,
            published_at=published,
            withdrawn_at=withdrawn,
        )
    insert(
        connection, "artifact", fingerprint="f", stage="chunk", uri="u", size=900, sha256="s", output_hash="o", rows=7
    )
    stage(connection, of, "publish", variant="m@8", rows=7, duration_ms=1500)
    stage(connection, of, "chunk", fingerprint="f", run_id="r1", duration_ms=20)
    stage(connection, of, "parse", attempts=2)
    chunks(connection, of, 3)
    found = history(connection, of, "now")
    assert found is not None
    assert (found.source_system, found.name, found.state, found.chunks) == ("hr", "leave.docx", "settled", 3)
    assert [(v.content_hash, v.published_at, v.withdrawn_at) for v in found.versions] == [
        ("v1", AGO, NOW),
        ("v2", None, None),
    ]
    assert [(s.stage, s.variant, s.rows, s.size, s.seconds, s.attempts) for s in found.stages] == [
        ("parse", "", None, None, None, 2),
        ("chunk", "", 7, 900, 0.02, 1),
        ("publish", "m@8", 7, None, 1.5, 1),
    ]
    assert found.stages[1].run_id == "r1"


@pytest.mark.parametrize(
    ("columns", "hint", "status", "state", "until"),
    [
        ({}, None, "ok", "settled", None),
        ({"settled_key": "before"}, None, "ok", "pending", None),
        ({"settled_key": None}, None, "ok", "pending", None),
        ({}, None, "quarantined", "quarantined", None),
        ({}, {}, "quarantined", "changed", None),
        ({}, {"retry_at": LATER}, "ok", "waiting", LATER),
        ({}, {"retry_at": AGO}, "ok", "changed", None),
        ({"retry_at": LATER, "settled_key": None}, None, "failed", "waiting", LATER),
        ({"retry_at": AGO, "settled_key": None}, None, "failed", "pending", None),
        ({}, {"gone": True}, "ok", "gone", None),
        ({"deleted_at": AGO}, None, "ok", "deleted", None),
        ({"deleted_at": AGO, "forgotten_at": AGO}, None, "ok", "forgotten", None),
    ],
)
def test_how_it_stands(
    connection: Connection,
    columns: dict[str, object],
    hint: dict[str, object] | None,
    status: str,
    state: str,
    until: datetime | None,
) -> None:
    of = document(connection, "hr", "a", **{"settled_key": "now", **columns})
    stage(connection, of, "parse", status)
    if hint is not None:
        insert(connection, "hint", source_system="hr", key="a", **hint)
    found = history(connection, of, "now")
    assert found is not None
    assert (found.state, found.retry_at) == (state, until)


def test_what_explains_most_comes_first() -> None:
    everything = Standing(*[True] * 7)
    assert state_of(everything) == "forgotten"
    assert state_of(Standing()) == "pending"


def test_no_such_document(connection: Connection) -> None:
    assert history(connection, "0" * 32, "now") is None
    assert quarantined_document(connection, "0" * 32) is None


def test_why_a_document_is_in_quarantine_and_what_is_still_found_of_it(connection: Connection) -> None:
    of = document(connection, "hr", "a.pdf", media_type="application/pdf")
    stage(connection, of, "raw", "quarantined", error_class="DocumentTooLarge", updated_at=AGO)
    stage(connection, of, "parse", "quarantined", error_class="CorruptDocument", error_message="It is cut.", attempts=3)
    chunks(connection, of, 2)
    found = quarantined_document(connection, of)
    assert found is not None
    assert (found.stage, found.error_class, found.error_message, found.attempts) == (
        "parse",
        "CorruptDocument",
        "It is cut.",
        3,
    )
    assert (found.media_type, found.size, found.searchable) == ("application/pdf", 100, 2)


def test_a_document_that_is_well_or_deleted_is_in_no_quarantine(connection: Connection) -> None:
    well = document(connection, "hr", "well")
    stage(connection, well, "parse")
    deleted = document(connection, "hr", "deleted", deleted_at=AGO)
    stage(connection, deleted, "parse", "quarantined")
    assert quarantined_document(connection, well) is None
    assert quarantined_document(connection, deleted) is None
