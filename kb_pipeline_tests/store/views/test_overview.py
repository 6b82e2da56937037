"""What people ask of the ledger."""

from __future__ import annotations

import pytest

from kb_pipeline.store.ledger.documents import known_versions, name_documents
from kb_pipeline.store.views import overview
from kb_pipeline_tests.store.ledger_rows import document, stage
from kb_pipeline_tests.support.lines import MASKING, LineSource


@pytest.fixture
def filled(source: LineSource) -> LineSource:
    """hr: three live documents of which one is in quarantine, and a deleted one."""
    source.settings = MASKING
    source.write(a="one\ntwo", b="three", bad="REFUSED", old="gone soon")
    source.sync()
    source.write(old=None)
    source.sync()
    return source


def test_spaces(filled: LineSource) -> None:
    assert overview.spaces(filled.connection) == [overview.SpaceOverview("m@8", "m", 8, "active", 3)]


def test_the_quarantine_says_where_and_why(filled: LineSource) -> None:
    (found,) = overview.quarantined(filled.connection)
    assert (found.source_system, found.stage, found.error_class) == ("hr", "mask", "MaskingIncomplete")
    assert (found.media_type, found.attempts) == ("text/plain", 1)
    assert overview.quarantined(filled.connection, "wiki") == []
    assert "REFUSED" not in found.error_message


def test_retry_takes_ids_beginnings_of_ids_sources_or_all(filled: LineSource) -> None:
    (found,) = overview.quarantined(filled.connection)
    assert overview.retry(filled.connection, ["0000"], None) == 0
    assert overview.retry(filled.connection, None, "wiki") == 0
    assert overview.retry(filled.connection, [found.document_id[:12]], "hr") == 1
    assert overview.quarantined(filled.connection) == [], "it waits for the next sync"
    filled.sync()
    assert overview.retry(filled.connection, None, None) == 1


def test_retry_of_a_document_that_could_not_be_read_has_it_read_again(filled: LineSource) -> None:
    of = document(filled.connection, "hr", "huge.txt", content_hash=None)
    stage(filled.connection, of, "raw", "quarantined", error_class="DocumentTooLarge")
    assert overview.retry(filled.connection, [of], None) == 1
    assert filled.connection.execute("SELECT source_system, key FROM kb.hint").fetchall() == [("hr", "huge.txt")]


def test_a_deleted_document_leaves_the_quarantine(filled: LineSource) -> None:
    filled.write(bad=None)
    filled.sync()
    assert overview.quarantined(filled.connection) == []
    assert overview.retry(filled.connection, None, None) == 0


def test_statistics_of_the_current_artifacts_add_up(filled: LineSource) -> None:
    assert overview.stats(filled.connection, "hr", "mask") == {"tokens": 11, "masked": 0}
    assert overview.stats(filled.connection, "hr", "parse") == {"characters": 18}, "REFUSED was parsed"
    assert overview.stats(filled.connection, "wiki", "mask") == {}
    ((of,),) = filled.connection.execute("SELECT document_id FROM kb.document WHERE key = 'b.txt'").fetchall()
    assert overview.stats(filled.connection, "hr", "mask", [of]) == {"tokens": 5, "masked": 0}
    assert overview.stats(filled.connection, "hr", "mask", []) == {}


def test_rows_are_counted_while_the_source_is_small(filled: LineSource) -> None:
    assert overview.rows_held(filled.connection, "hr", "mask", most=3) == 3
    assert overview.rows_held(filled.connection, "hr", "raw", most=3) == 3, "a row is a document"
    assert overview.rows_held(filled.connection, "hr", "mask", most=2) is None
    assert overview.rows_held(filled.connection, "wiki", "mask", most=2) == 0


def test_current_artifacts_are_those_of_live_documents_that_are_ok(filled: LineSource) -> None:
    assert len(overview.current_artifacts(filled.connection, "hr", "parse")) == 3
    assert len(overview.current_artifacts(filled.connection, "hr", "mask")) == 2


def test_rows_that_a_table_lacks_or_has_too_many_of_show(filled: LineSource) -> None:
    assert overview.published_rows(filled.connection, "hr", "vector_m_8") == (3, 3, 3)
    filled.connection.execute("DELETE FROM kb.vector_m_8 WHERE chunk_id = (SELECT min(chunk_id) FROM kb.chunk)")
    assert overview.published_rows(filled.connection, "hr", "vector_m_8") == (3, 3, 2)
    filled.connection.execute("DELETE FROM kb.chunk WHERE ordinal = 1")
    assert overview.published_rows(filled.connection, "hr", "vector_m_8")[:2] == (3, 2)


def test_a_vector_that_is_not_of_unit_length_shows(filled: LineSource) -> None:
    assert overview.bad_vectors(filled.connection, "hr", "vector_m_8") == 0
    filled.connection.execute(
        "UPDATE kb.vector_m_8 SET embedding = '[2,0,0,0,0,0,0,0]' WHERE chunk_id = (SELECT min(chunk_id) FROM kb.chunk)"
    )
    assert overview.bad_vectors(filled.connection, "hr", "vector_m_8") == 1


def test_rows_and_vectors_of_some_documents_can_be_looked_at_alone(filled: LineSource) -> None:
    rows = filled.connection.execute("SELECT key, document_id FROM kb.document").fetchall()
    scope = [of for key, of in rows if key == "b.txt"]
    assert overview.published_rows(filled.connection, "hr", "vector_m_8", scope) == (1, 1, 1)
    assert overview.published_rows(filled.connection, "hr", "vector_m_8", []) == (0, 0, 0)
    filled.connection.execute(
        "UPDATE kb.vector_m_8 SET embedding = '[2,0,0,0,0,0,0,0]'"
        " WHERE chunk_id NOT IN (SELECT chunk_id FROM kb.chunk WHERE document_id = ANY(%s))",
        (scope,),
    )
    assert overview.bad_vectors(filled.connection, "hr", "vector_m_8", scope) == 0
    assert overview.bad_vectors(filled.connection, "hr", "vector_m_8") == 2


def test_known_versions_are_those_of_live_documents(filled: LineSource) -> None:
    assert set(known_versions(filled.connection, "hr")) == {"a.txt", "b.txt", "bad.txt"}


def test_documents_are_named_once_a_policy(filled: LineSource) -> None:
    named: list[str] = []
    found = filled.connection.execute("SELECT document_id FROM kb.document WHERE deleted_at IS NULL").fetchall()
    documents = [of for (of,) in found]

    def mask(key: str) -> str:
        named.append(key)
        return f"<{key}>"

    assert name_documents(filled.connection, filled.lease, documents, "policy 1", mask) == 3
    assert name_documents(filled.connection, filled.lease, documents, "policy 1", mask) == 0
    assert name_documents(filled.connection, filled.lease, documents, "policy 2", mask) == 3
    assert len(named) == 6
    assert overview.quarantined(filled.connection)[0].name == "<bad.txt>"
