"""Arithmetic on vectors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from kb_pipeline.embedding.vectors import to_half, truncate_and_renormalise, unit

matrices = arrays(
    np.float32, array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.floats(-100, 100, width=32)
)


@given(matrices)
def test_unit_rows_have_length_one_and_zero_rows_stay_zero(vectors: np.ndarray) -> None:
    lengths = np.linalg.norm(unit(vectors).astype(np.float64), axis=1)
    was_zero = np.linalg.norm(vectors.astype(np.float64), axis=1) == 0
    np.testing.assert_allclose(lengths, np.where(was_zero, 0.0, 1.0), atol=1e-5)


def test_truncation_keeps_the_first_numbers_and_restores_the_length() -> None:
    vectors = np.array([[0.6, 0.0, 0.8], [0.0, 1.0, 0.0]], dtype=np.float32)
    expected = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    np.testing.assert_allclose(truncate_and_renormalise(vectors, 2), expected)


def test_truncating_twice_is_truncating_once() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 64)).astype(np.float32)
    twice = truncate_and_renormalise(truncate_and_renormalise(vectors, 32), 16)
    np.testing.assert_allclose(twice, truncate_and_renormalise(vectors, 16), atol=1e-6)


def test_the_input_is_left_alone() -> None:
    vectors = np.full((2, 4), 2.0, dtype=np.float32)
    truncate_and_renormalise(vectors, 4)
    assert (vectors == 2.0).all()


@pytest.mark.parametrize("dimension", [0, -1, 4])
def test_a_dimension_that_the_vectors_do_not_have_is_refused(dimension: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 3"):
        truncate_and_renormalise(np.ones((1, 3), dtype=np.float32), dimension)


def test_a_flat_array_is_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(n, d\)"):
        unit(np.ones(3, dtype=np.float32))


def test_half_precision_keeps_cosines() -> None:
    vectors = unit(np.random.default_rng(0).normal(size=(20, 2560)).astype(np.float32))
    half = unit(to_half(vectors))
    assert to_half(vectors).dtype == np.float16
    np.testing.assert_allclose(half @ half.T, vectors @ vectors.T, atol=1e-3)


@pytest.mark.parametrize("number", [np.nan, np.inf, 1e6])
def test_half_precision_refuses_what_it_cannot_hold(number: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        to_half(np.array([[number]], dtype=np.float32))
