"""What work comes to is told from what such work came to before."""

from __future__ import annotations

from kb_pipeline.core.estimating import (
    DEFAULT_TOKENS_PER_BYTE,
    DEFAULT_TOKENS_PER_CHUNK,
    DEFAULT_TOKENS_PER_SECOND,
    ENOUGH_DOCUMENTS,
    Estimate,
    Sample,
    Speed,
    Work,
    estimate,
)

ENOUGH = ENOUGH_DOCUMENTS


def test_each_kind_by_its_own_history_where_there_is_enough() -> None:
    own = {"md": Sample(ENOUGH, 1000, 10, 400), "pdf": Sample(ENOUGH, 10_000, 10, 400)}
    work = {"md": Work(1, 500), "pdf": Work(2, 500)}
    found = estimate(work, own, Sample(), Speed(1000, 2.0))
    assert found == Estimate(3, chunks=6, tokens=220, model_seconds=0.4, basis={"kind": 3})


def test_a_kind_with_little_history_by_the_sources() -> None:
    own = {"md": Sample(ENOUGH - 1, 900, 9, 360), "pdf": Sample(1, 100, 1, 140)}
    found = estimate({"md": Work(1, 100), "new": Work(1, 100)}, own, Sample(10**6, 1, 1, 10**9), Speed(1, 1.0))
    assert (found.tokens, found.basis) == (100, {"source": 2})


def test_a_new_source_by_all_sources() -> None:
    found = estimate({"md": Work(4, 1000)}, {}, Sample(ENOUGH, 10_000, 100, 5000), Speed())
    assert (found.chunks, found.tokens, found.basis) == (10, 500, {"all": 4})


def test_without_any_history_by_the_stated_defaults() -> None:
    found = estimate({"md": Work(4, 30_000)}, {}, Sample(), Speed())
    tokens = 30_000 * DEFAULT_TOKENS_PER_BYTE
    assert found.basis == {"default": 4}
    assert found.tokens == round(tokens)
    assert found.chunks == round(tokens / DEFAULT_TOKENS_PER_CHUNK)
    assert found.model_seconds == round(tokens / DEFAULT_TOKENS_PER_SECOND, 1)


def test_documents_without_a_byte_are_no_history_to_divide_by() -> None:
    assert estimate({"md": Work(1, 100)}, {"md": Sample(ENOUGH, 0, 0, 0)}, Sample(), Speed()).basis == {"default": 1}


def test_no_work_costs_nothing() -> None:
    assert estimate({}, {"md": Sample(ENOUGH, 1, 1, 1)}, Sample(), Speed(1, 1.0)) == Estimate()
