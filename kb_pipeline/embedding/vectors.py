"""Arithmetic on embedding vectors: pure functions over arrays of shape (n, d)."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_ANY_FLOAT = npt.NDArray[np.floating[Any]]


def unit(vectors: _ANY_FLOAT) -> Vectors:
    """Each row divided by its Euclidean length, as float32; a zero row stays zero.

    Lengths are taken in float64, so a row of float16 does not overflow.
    """
    _check_rank(vectors)
    exact = vectors.astype(np.float64)
    lengths = np.linalg.norm(exact, axis=1, keepdims=True)
    np.divide(exact, lengths, out=exact, where=lengths > 0)
    return exact.astype(np.float32)


def truncate_and_renormalise(vectors: _ANY_FLOAT, dimension: int) -> Vectors:
    """The first `dimension` numbers of each row, at unit length: (n, d) -> (n, dimension) float32.

    Meaningful only for a model trained with Matryoshka representation learning (Kusupati et al., 2022), which packs
    what matters most into the first numbers; Qwen3-Embedding is, all-MiniLM-L6-v2 is not. It is what a server does
    with the request's `dimensions`, so a space of another dimension is filled without calling the model.
    Raises ValueError when `dimension` is below 1 or above d.
    """
    _check_rank(vectors)
    if not 1 <= dimension <= vectors.shape[1]:
        raise ValueError(f"dimension must be from 1 to {vectors.shape[1]}, not {dimension}")
    return unit(vectors[:, :dimension])


def to_half(vectors: _ANY_FLOAT) -> npt.NDArray[np.float16]:
    """The same rows as float16, which is how artifacts and `halfvec` columns keep them.

    Safe for unit vectors: no number exceeds 1, and cosines move by less than 1e-3. Raises ValueError for a number
    that float16 cannot hold (above 65504, or not finite).
    """
    _check_rank(vectors)
    with np.errstate(over="ignore"):
        half = vectors.astype(np.float16)
    if not np.isfinite(half).all():
        raise ValueError("a vector holds a number that is not finite in float16")
    return half


def _check_rank(vectors: _ANY_FLOAT) -> None:
    if vectors.ndim != 2:
        raise ValueError(f"expected an array of shape (n, d), not {vectors.ndim} dimensions")
