"""What would refuse the next sync is said beforehand: by `kb doctor`, `kb plan` and `kb verify` alike."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from psycopg import sql

from kb_pipeline.core.errors import KbError
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.store.database import connect
from kb_pipeline.store.published.spaces import ensure_space
from kb_pipeline_tests.operations.conftest import Place
from kb_pipeline_tests.support.embedding_stub import DIMENSION


@pytest.fixture
def filled(place: Place) -> Place:
    """A knowledge base whose space is that of the embedding server."""
    with place.connect() as connection:
        ensure_space(
            connection,
            model="all-MiniLM-L6-v2",
            revision="",
            instruction="",
            native_dimension=DIMENSION,
            dimension=None,
        )
    return place


def wrong(base: KnowledgeBase) -> dict[str, str]:
    return {finding.name: f"{finding.detail} {finding.remedy}" for finding in base.obstacles()}


def left_behind(place: Place) -> int:
    with place.connect() as connection:
        row = connection.execute(
            "SELECT (SELECT count(*) FROM kb.source) + (SELECT count(*) FROM kb.document)"
            " + (SELECT count(*) FROM kb.hint) + (SELECT count(*) FROM kb.chunk)"
        ).fetchone()
    assert row
    return int(row[0])


def test_nothing_is_in_the_way_and_nothing_is_left_behind(filled: Place) -> None:
    assert wrong(filled.base) == {}
    assert left_behind(filled) == 0
    assert not list(filled.home.rglob("*probe*"))
    assert filled.stub.texts == ["test"], "one plain word"


def test_a_database_without_the_schema_is_well_and_stays_so(
    place: Place, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = new_database()
    monkeypatch.setenv("KB_DATABASE_DSN", empty)
    assert wrong(place.base) == {}
    with connect(empty) as connection:
        assert connection.execute("SELECT to_regnamespace('kb')").fetchone() == (None,)


def test_another_space_than_the_settings_ask_for(filled: Place) -> None:
    filled.configure("embedding: {dimension: 16}\n")
    found = wrong(filled.base)
    assert set(found) == {"embedding space"}
    assert "holds vectors of all-minilm-l6-v2@32" in found["embedding space"]
    assert "ask for all-minilm-l6-v2@16" in found["embedding space"]


def test_a_first_space_that_could_not_be_made(place: Place) -> None:
    place.configure("embedding: {dimension: 64}\n")
    assert "embedding.dimension is 64" in wrong(place.base)["embedding space"]


def test_a_server_of_another_dimension(filled: Place) -> None:
    filled.stub.dimension = 16
    found = wrong(filled.base)
    assert set(found) == {"embedding space"}
    assert "answers with 16 dimensions" in found["embedding space"]
    assert "filled with 32" in found["embedding space"]


def test_a_server_that_is_down_does_not_hide_what_else_is_wrong(filled: Place) -> None:
    filled.configure("embedding: {dimension: 16}\n")
    filled.stub.down_after = -1
    assert set(wrong(filled.base)) == {"embedding service", "embedding space"}


def test_a_read_only_database(filled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = psycopg.conninfo.make_conninfo(filled.dsn, options="-c default_transaction_read_only=on")
    monkeypatch.setenv("KB_DATABASE_DSN", dsn)
    found = wrong(filled.base)
    assert set(found) == {"database rows"}
    assert "read-only" in found["database rows"]


def test_missing_grants_are_named(filled: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    with filled.connect() as connection:
        connection.execute("CREATE ROLE half LOGIN PASSWORD 'half'")
        try:
            connection.execute("GRANT USAGE ON SCHEMA kb TO half")
            connection.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA kb TO half")
            connection.execute("REVOKE DELETE ON kb.hint, kb.chunk FROM half")
            monkeypatch.setenv(
                "KB_DATABASE_DSN", psycopg.conninfo.make_conninfo(filled.dsn, user="half", password="half")
            )
            found = wrong(filled.base)
        finally:
            connection.execute("DROP OWNED BY half")
            connection.execute("DROP ROLE half")
    assert set(found) == {"database rows"}
    assert "DELETE on kb.chunk, DELETE on kb.hint, ownership of kb.vector_all_minilm_l6_v2_32" in found["database rows"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://nobody:secret@127.0.0.1:1/dagster", "127.0.0.1:1/dagster"),
        ("postgresql://127.0.0.1:what/dagster", "not a valid connection string"),
    ],
)
def test_dagsters_database_that_cannot_be_used(
    place: Place, monkeypatch: pytest.MonkeyPatch, url: str, said: str
) -> None:
    monkeypatch.setenv("KB_DAGSTER_POSTGRES_URL", url)
    found = wrong(place.base)
    assert set(found) == {"Dagster's storage"}
    assert said in found["Dagster's storage"]
    assert "KB_DAGSTER_POSTGRES_URL" in found["Dagster's storage"]
    assert "secret" not in found["Dagster's storage"]


def test_dagsters_database_that_lets_nobody_write(
    place: Place, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = new_database()
    parts = psycopg.conninfo.conninfo_to_dict(dsn)
    where = f"{parts['user']}:{parts['password']}@{parts['host']}:{parts['port']}/{parts['dbname']}"
    monkeypatch.setenv("KB_DAGSTER_POSTGRES_URL", f"postgresql://{where}")
    assert wrong(place.base) == {}
    with connect(dsn) as connection:
        connection.execute(
            sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(
                sql.Identifier(str(parts["dbname"]))
            )
        )
    assert "is read-only" in wrong(place.base)["Dagster's storage"]


def test_a_dagster_home_that_is_no_folder_to_write_to(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(place.home / "nowhere"))
    assert "there is no such folder" in wrong(place.base)["Dagster's storage"]
    monkeypatch.setenv("DAGSTER_HOME", "/proc/1")  # which takes no files, not even from root
    assert "cannot write to /proc/1" in wrong(place.base)["Dagster's storage"]


def test_an_object_store_that_cannot_be_written(place: Place) -> None:
    (place.home / "objects").write_text("a file where the folder should be")
    assert set(wrong(place.base)) == {"object store"}


def test_settings_of_a_source_that_name_what_is_not_there(place: Place) -> None:
    place.configure("sources: {hr: {masking: {PERSON: pseudonym}}}\n")
    assert "KB_PSEUDONYM_KEY" in wrong(place.base)["source settings"]
    place.configure("chunking: {tokenizer: /no/such/tokenizer}\n")
    assert "chunking.tokenizer" in wrong(place.base)["source settings"]


def test_three_verbs_say_it(filled: Place) -> None:
    filled.configure("embedding: {dimension: 16}\n")
    (obstacle,) = filled.base.obstacles()
    assert obstacle in filled.base.doctor()
    assert filled.kb("doctor").code == 1
    for verb in ("plan", "verify"):
        told = filled.kb(verb, "--json")
        assert (told.code, [item["name"] for item in told.json["obstacles"]]) == (0, ["embedding space"])
        said = filled.kb(verb)
        assert "the next sync would be refused (embedding space)" in " ".join(said.out.split())


def test_the_sync_that_is_refused_says_the_same(filled: Place) -> None:
    """One piece of code decides."""
    filled.configure("embedding: {dimension: 16}\n")
    (obstacle,) = filled.base.obstacles()
    with filled.connect() as connection, pytest.raises(KbError) as refused:
        ensure_space(
            connection,
            model="all-MiniLM-L6-v2",
            revision="",
            instruction="",
            native_dimension=DIMENSION,
            dimension=16,
        )
    assert (obstacle.detail, obstacle.remedy) == (refused.value.message, refused.value.remedy)
