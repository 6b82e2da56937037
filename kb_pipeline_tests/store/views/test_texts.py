"""Whatever the catalogue says is text is read; what is left to chance is named, and is there."""

from __future__ import annotations

from kb_pipeline.store.database import Connection
from kb_pipeline.store.views.texts import OURS, every_text


def test_a_table_that_comes_later_is_read_with_all_its_kinds_of_text(connection: Connection) -> None:
    connection.execute(
        "CREATE TABLE kb.later (number int, plain text, short varchar(9), fixed char(3), list text[], tree jsonb,"
        " old json, words tsvector, raw bytea, fingerprint text)"
    )
    connection.execute(
        "INSERT INTO kb.later VALUES (1, 'one', 'two', 'six', '{three}', '{\"k\": \"四\"}', '[\"five\"]',"
        " '138 800', 'seven', 'eight')"
    )
    (row,) = [row for row in every_text(connection) if row.table == "kb.later"]
    assert row.text.split("\n") == [
        "one", "two", "six", "{three}", '{"k": "四"}', '["five"]', "138", "|", "800", "seven"
    ]  # fmt: skip
    assert row.ours == "eight"


def test_every_column_that_is_ours_is_in_a_table(connection: Connection) -> None:
    columns = connection.execute("SELECT column_name FROM information_schema.columns WHERE table_schema = 'kb'")
    assert {row[0] for row in columns.fetchall()} >= OURS
