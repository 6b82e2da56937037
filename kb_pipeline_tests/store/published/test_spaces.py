"""One embedding space: made once, never mixed with another's vectors, indexed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from kb_pipeline.core.errors import LeaseLost, SettingsError
from kb_pipeline.core.identity import model_key
from kb_pipeline.store.database import Connection, connect
from kb_pipeline.store.published.spaces import (
    Space,
    active_space,
    build_index,
    ensure_space,
    lacks_index,
    native_dimension,
    space_id,
)
from kb_pipeline_tests.support.lines import DIMENSION, LineSource


def ensure(
    connection: Connection, model: str = "org/Model-4B", revision: str = "", dimension: int | None = 16
) -> Space:
    return ensure_space(
        connection, model=model, revision=revision, instruction="", native_dimension=32, dimension=dimension
    )


def test_a_space_is_named_by_model_revision_and_dimension() -> None:
    assert space_id("Qwen/Qwen3-Embedding-4B", "", 1024) == "qwen3-embedding-4b@1024"
    assert space_id("m", "0123456789abcdef", 8) == "m@0123456789ab@8"


def test_there_is_none_before_the_first_and_then_always_the_same(connection: Connection) -> None:
    assert active_space(connection) is None
    made = ensure(connection)
    assert (made.space_id, made.dimension, made.native_dimension) == ("model-4b@16", 16, 32)
    assert ensure(connection) == made == active_space(connection)


def test_the_models_own_dimension_is_served_when_none_is_asked_for(connection: Connection) -> None:
    assert ensure(connection, dimension=None).dimension == 32


def test_runs_that_start_together_make_one(dsn: str) -> None:
    def run(_: int) -> Space:
        with connect(dsn) as connection:
            return ensure(connection)

    with ThreadPoolExecutor(6) as threads:
        made = list(threads.map(run, range(6)))
    assert len({space.space_id for space in made}) == 1
    with connect(dsn) as connection:
        assert connection.execute("SELECT count(*) FROM kb.space").fetchone() == (1,)


@pytest.mark.parametrize(
    "change", [{"dimension": 8}, {"model": "another"}, {"revision": "abc"}], ids=["dimension", "model", "revision"]
)
def test_another_model_or_dimension_is_refused_with_the_settings_to_correct(
    connection: Connection, change: dict[str, object]
) -> None:
    ensure(connection)
    with pytest.raises(SettingsError, match=r"model-4b@16.*embedding\.model.*embedding\.dimension"):
        ensure(connection, **change)  # type: ignore[arg-type]
    assert connection.execute("SELECT count(*) FROM kb.space").fetchone() == (1,)


def test_more_dimensions_than_the_model_has_are_refused(connection: Connection) -> None:
    with pytest.raises(SettingsError, match=r"embedding\.dimension is 64.*at most 32"):
        ensure(connection, dimension=64)
    assert active_space(connection) is None


def test_a_model_of_more_dimensions_than_an_index_takes_is_refused_before_anything_is_made(
    connection: Connection,
) -> None:
    def of_5000(dimension: int | None) -> Space:
        return ensure_space(
            connection, model="large", revision="", instruction="", native_dimension=5000, dimension=dimension
        )

    with pytest.raises(SettingsError, match=r"vectors of 5000.*at most 4000.*embedding\.dimension"):
        of_5000(None)
    assert active_space(connection) is None
    assert of_5000(4000).dimension == 4000


def test_the_index_is_built_once(connection: Connection) -> None:
    space = ensure(connection)
    assert lacks_index(connection, space)
    for _ in range(2):
        build_index(connection, space)
        assert not lacks_index(connection, space)
    (kind,) = connection.execute(
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'kb' AND indexname = %s", (f"{space.table_name}_hnsw",)
    ).fetchone() or ("",)
    assert "hnsw" in kind
    assert "halfvec_cosine_ops" in kind


def test_the_view_for_people_shows_no_raw_key_and_no_vector(connection: Connection) -> None:
    ensure(connection)
    columns = connection.execute("SELECT * FROM kb.knowledge_chunks LIMIT 0").description
    names = {column.name for column in columns or []}
    assert {"content", "source_file", "section_path", "page_start"} <= names
    assert names.isdisjoint({"key", "embedding", "content_hash", "etag"})


@pytest.fixture
def embedded(source: LineSource) -> LineSource:
    """Two documents with vectors, and nothing published."""
    source.write(a="one", b="two")
    source.observe()
    for stage in ("parse", "chunk", "mask", "embed"):
        source.run(stage)  # type: ignore[arg-type]
    return source


def vectors_kept(source: LineSource) -> list[str]:
    """Where the artifacts with vectors lie that the ledger names."""
    rows = source.connection.execute("SELECT uri FROM kb.artifact WHERE uri LIKE '%/embed/%' ORDER BY uri")
    return [uri for (uri,) in rows]


def own_dimension(source: LineSource) -> int | None:
    return native_dimension(source.connection, source.store, source.lease, model_key("m", ""))


@pytest.mark.parametrize("damaged", [0, 1])
def test_the_models_own_dimension_is_that_of_an_artifact_that_can_be_read(embedded: LineSource, damaged: int) -> None:
    embedded.store.put(vectors_kept(embedded)[damaged], b"cut short")
    assert own_dimension(embedded) == DIMENSION


def test_vectors_that_cannot_be_read_are_made_again(embedded: LineSource) -> None:
    for uri in vectors_kept(embedded):
        embedded.store.delete(uri)
    assert own_dimension(embedded) is None
    assert vectors_kept(embedded) == []
    embedded.sync()
    assert embedded.published() == {"a": ["one"], "b": ["two"]}


def test_who_lost_the_lease_forgets_no_artifact(embedded: LineSource) -> None:
    for uri in vectors_kept(embedded):
        embedded.store.delete(uri)
    embedded.connection.execute("UPDATE kb.source_lease SET token = token + 1")
    with pytest.raises(LeaseLost):
        own_dimension(embedded)
    assert len(vectors_kept(embedded)) == 2
