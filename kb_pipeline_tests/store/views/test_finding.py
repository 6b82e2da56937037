"""The document that people mean."""

from __future__ import annotations

import pytest

from kb_pipeline.core.errors import NotFound
from kb_pipeline.core.identity import document_id
from kb_pipeline.store.database import Connection
from kb_pipeline.store.views.finding import Found, find_document


def put(connection: Connection, source: str, key: str, name: str | None) -> str:
    of = document_id(source, key)
    connection.execute("INSERT INTO kb.source (source_system) VALUES (%s) ON CONFLICT DO NOTHING", (source,))
    connection.execute(
        "INSERT INTO kb.document (document_id, source_system, key, display_name) VALUES (%s, %s, %s, %s)",
        (of, source, key, name),
    )
    return of


def test_by_id_key_name_or_beginning_with_or_without_its_source(connection: Connection) -> None:
    of = put(connection, "hr", "staff/liu@example.com.txt", "staff/<EMAIL_ADDRESS>")
    put(connection, "wiki", "notes.txt", "notes.txt")
    expected = Found(of, "hr", "staff/<EMAIL_ADDRESS>", deleted=False, forgotten=False)
    for text in (
        of,
        of[:8],
        "staff/liu@example.com.txt",
        "hr/staff/liu@example.com.txt",
        "staff/<EMAIL_ADDRESS>",
        "hr/staff/<EMAIL_ADDRESS>",
    ):
        assert find_document(connection, text) == find_document(connection, text, "hr") == expected
        with pytest.raises(NotFound, match="Source system wiki has no"):
            find_document(connection, text, "wiki")


def test_a_name_that_several_documents_have_is_refused_with_their_ids_and_no_key(connection: Connection) -> None:
    first = put(connection, "hr", "liu@example.com", "<EMAIL_ADDRESS>")
    second = put(connection, "hr", "wang@example.com", "<EMAIL_ADDRESS>")
    with pytest.raises(NotFound) as error:
        find_document(connection, "<EMAIL_ADDRESS>")
    assert first[:12] in str(error.value)
    assert second[:12] in str(error.value)
    assert "example.com" not in str(error.value)
    put(connection, "hr", "same.txt", "same.txt")
    put(connection, "wiki", "same.txt", "same.txt")
    with pytest.raises(NotFound, match="2 documents match"):
        find_document(connection, "same.txt")
    assert find_document(connection, "wiki/same.txt").source_system == "wiki"


def test_a_key_wins_over_a_name_and_a_name_over_the_beginning_of_an_id(connection: Connection) -> None:
    of = put(connection, "hr", "a", "b")
    put(connection, "hr", "b", "c")
    assert find_document(connection, "b").name == "c"
    beginning = put(connection, "hr", "x", of[:6])
    assert find_document(connection, of[:6]).document_id == beginning


def test_a_forgotten_document_is_found_by_the_key_it_had(connection: Connection) -> None:
    of = put(connection, "hr", "liu@example.com", None)
    connection.execute("UPDATE kb.document SET key = document_id, forgotten_at = now(), deleted_at = now()")
    assert find_document(connection, "hr/liu@example.com") == Found(of, "hr", of, deleted=True, forgotten=True)


@pytest.mark.parametrize("text", ["", "abc", "zzzzzz", "nobody@example.com", "%", "hr/"])
def test_nothing_matches_and_the_message_does_not_repeat_it(connection: Connection, text: str) -> None:
    put(connection, "hr", "a", "a")
    with pytest.raises(NotFound) as error:
        find_document(connection, text)
    assert "example.com" not in str(error.value)
