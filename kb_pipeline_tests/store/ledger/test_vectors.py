"""Which vector a text gets: of the right model, from whatever artifact has it whole, and only with its own passages."""

from __future__ import annotations

import numpy as np
import pytest

from kb_pipeline.core.errors import SettingsError
from kb_pipeline.core.identity import text_hash
from kb_pipeline.settings import EmbeddingSettings
from kb_pipeline_tests.store.ledger.test_ledger import artifact_of, pending
from kb_pipeline_tests.support.lines import LineSource, vectors_of


@pytest.mark.parametrize("first", [True, False], ids=["before there is a space", "later"])
def test_damaged_vectors_are_embedded_again(source: LineSource, first: bool) -> None:
    """Before anything was published, the dimension of the space to be made is read from them."""
    if not first:
        source.space()
    source.write(a="one\ntwo")
    source.observe()
    for stage in ("parse", "chunk", "mask", "embed"):
        source.run(stage)  # type: ignore[arg-type]
    source.sent.clear()
    source.store.put(artifact_of(source, "embed", "a").uri, b"cut short")
    assert source.run("publish").failed == (0 if first else 1)
    source.sync()
    assert sorted(source.sent) == ["one", "two"]
    assert source.published() == {"a": ["one", "two"]}


def test_passages_are_published_with_their_own_vectors_or_not_at_all(source: LineSource) -> None:
    """Masked anew and not embedded yet, as when single assets are materialized: what readers see stays."""
    source.write(a="one")
    source.sync()
    source.write(a="one\ntwo")
    source.observe()
    for stage in ("parse", "chunk", "mask"):
        source.run(stage)  # type: ignore[arg-type]
    assert pending(source, "publish") == []
    assert source.run("publish").failed == 0
    assert source.published() == {"a": ["one"]}
    source.sync()
    assert source.published() == {"a": ["one", "two"]}


def test_vectors_of_another_model_are_of_no_use(source: LineSource) -> None:
    source.write(a="one\ntwo")
    source.sync()
    source.sent.clear()
    source.settings = source.settings.model_copy(update={"embedding": EmbeddingSettings(model="n")})
    source.observe()
    source.run("embed")
    assert source.sent == ["one", "two"]
    with pytest.raises(SettingsError, match="holds vectors of m"):
        source.run("publish")


@pytest.mark.parametrize("damaged", [0, 1])
def test_a_text_in_a_damaged_artifact_is_taken_from_another(source: LineSource, damaged: int) -> None:
    source.write(a="one\ntwo")
    source.sync()
    source.write(b="two\nthree")
    source.sync()
    holders = source.connection.execute(
        "SELECT a.uri FROM kb.vector_ref JOIN kb.artifact a USING (fingerprint) WHERE text_hash = %s"
        " ORDER BY fingerprint",
        (text_hash("two"),),
    ).fetchall()
    assert len(holders) == 2
    source.store.put(holders[damaged][0], b"cut short")
    found = source.ledger("embed").vectors(source.store, [text_hash("two")])
    assert np.allclose(found[text_hash("two")], vectors_of(["two"])[0], atol=1e-3)


def test_every_artifact_that_holds_a_text_gives_its_vector(source: LineSource) -> None:
    """Collecting one artifact, or finding it damaged, loses no vector that another still holds."""
    source.write(a="one\ntwo")
    source.sync()
    source.write(b="two\nthree")
    source.sync()
    assert sorted(source.sent) == ["one", "three", "two"]
    first = artifact_of(source, "embed", "a")
    source.store.delete(first.uri)
    source.write(c="two\nfour")
    source.sync()
    source.connection.execute("DELETE FROM kb.artifact WHERE uri = %s", (first.uri,))
    source.write(d="five\ntwo")
    source.sync()
    assert sorted(source.sent) == ["five", "four", "one", "three", "two"]


def test_vectors_are_read_from_few_artifacts(source: LineSource) -> None:
    """A line that every document has lies in many artifacts; one is read for it, or none beyond the others."""
    source.write(**{f"d{n}": f"heading\ntext {n}" for n in range(20)})
    source.sync()
    names = [text_hash(text) for text in ("heading", "text 3", "text 4")]
    reads = source.store.counter.reads
    assert source.ledger("embed").vectors(source.store, names).keys() == set(names)
    assert source.store.counter.reads - reads == 2
