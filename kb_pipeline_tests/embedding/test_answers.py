"""Reading what servers say: the wordings that exist, and what no server should send."""

import base64

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.embedding.answers import (
    MalformedAnswer,
    base_url,
    decode,
    is_length_refusal,
    names_same_model,
    shortened,
    token_counts,
)

SGLANG = "The input (1500 tokens) is longer than the model's context length (1024 tokens)."
OPENAI = (
    "This model's maximum context length is 8192 tokens, however you requested 9001 tokens (9001 in your prompt; 0 "
    "for the completion). Please reduce your prompt; or completion length."
)


def item(index: int, embedding: object) -> dict[str, object]:
    return {"index": index, "embedding": embedding}


def encoded(*numbers: float) -> str:
    return base64.b64encode(np.array(numbers, dtype="<f4").tobytes()).decode()


@pytest.mark.parametrize("url", ["http://a:1", "http://a:1/", "http://a:1/v1", "http://a:1/v1/"])
def test_addresses_are_taken_with_and_without_v1(url: str) -> None:
    assert base_url(url) == "http://a:1/v1"


@pytest.mark.parametrize(
    ("configured", "served", "same"),
    [
        ("Qwen/Qwen3-Embedding-4B", "qwen3-embedding-4b", True),
        ("qwen3-embedding-4b", "/models/Qwen3-Embedding-4B/", True),
        ("qwen3-embedding-4b", "qwen3-embedding-0.6b", False),
    ],
)
def test_served_names_are_compared_by_their_last_part(configured: str, served: str, same: bool) -> None:
    assert names_same_model(configured, served) is same


def test_vectors_come_back_in_the_order_of_the_texts_and_at_unit_length() -> None:
    vectors, unusable = decode([item(1, encoded(0, 3)), item(0, [4.0, 0.0])], 2, None)
    np.testing.assert_allclose(vectors, [[1, 0], [0, 1]])
    assert unusable == []


def test_vectors_that_are_not_finite_or_zero_are_named() -> None:
    rows = [encoded(np.nan, 1), encoded(1, 0), encoded(0, 0), encoded(np.inf, 1)]
    vectors, unusable = decode([item(i, row) for i, row in enumerate(rows)], 4, 2)
    assert unusable == [0, 2, 3]
    np.testing.assert_allclose(vectors, [[0, 0], [1, 0], [0, 0], [0, 0]])


@pytest.mark.parametrize(
    "items",
    [
        [],
        [item(0, encoded(1, 0))],
        [item(0, encoded(1, 0)), item(0, encoded(1, 0))],
        [item(0, encoded(1, 0)), item(1, encoded(1, 0, 0))],
        [item(0, encoded(1)), item(1, encoded(1))],
        [item(0, "not base64!"), item(1, encoded(1, 0))],
        [item(0, "AAAAAAA="), item(1, encoded(1, 0))],
        [item(0, [[1.0, 0.0]]), item(1, encoded(1, 0))],
        [item(0, [None, "x"]), item(1, encoded(1, 0))],
    ],
    ids=["none", "too few", "one twice", "ragged", "another dimension", "no base64", "no float32", "nested", "words"],
)
def test_anything_but_one_vector_a_text_is_malformed(items: list[dict[str, object]]) -> None:
    with pytest.raises(MalformedAnswer):
        decode(items, 2, 2)


def test_token_counts_are_found_in_either_order() -> None:
    assert token_counts(SGLANG) == (1500, 1024)
    assert token_counts(OPENAI) == (9001, 8192)
    assert token_counts("Input cannot be empty") is None


def test_refusals_for_length_are_told_from_others() -> None:
    assert is_length_refusal(400, SGLANG)
    assert is_length_refusal(400, "input is too long")
    assert is_length_refusal(413, "")
    assert not is_length_refusal(400, "Input at index 3 cannot be empty or whitespace only")


def test_a_cut_is_in_proportion_to_the_counts() -> None:
    cut = shortened("a" * 1500, SGLANG)
    assert 0.95 * 1024 < len(cut) < 1024


@given(st.text(min_size=1), st.integers(1, 10_000), st.integers(1, 10_000))
def test_a_cut_is_always_shorter(text: str, tokens: int, limit: int) -> None:
    message = f"The input ({tokens} tokens) is longer than the model's context length ({limit} tokens)."
    assert len(shortened(text, message)) < len(text)
    assert len(shortened(text, "too long")) < len(text)
