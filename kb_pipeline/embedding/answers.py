"""Reading what an embedding server says: pure functions over its answers and error messages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kb_pipeline.embedding.vectors import Vectors, unit


class MalformedAnswer(ValueError):
    """The answer is not one vector of equal length a text. The message holds counts, never content."""


def base_url(url: str) -> str:
    """`url` as the openai package wants it: ending in /v1, whether or not it was given so."""
    url = url.rstrip("/")
    return url if url.endswith("/v1") else f"{url}/v1"


def names_same_model(configured: str, served: str) -> bool:
    """Whether a served name can be the configured one: equal in their last path part, whatever the case.

    So `Qwen/Qwen3-Embedding-4B` agrees with `qwen3-embedding-4b` and with a local folder of that name.
    """
    return _last_part(configured) == _last_part(served)


def _last_part(name: str) -> str:
    return name.rstrip("/").rpartition("/")[2].casefold()


def decode(items: Sequence[Mapping[str, Any]], count: int, dimension: int | None) -> tuple[Vectors, list[int]]:
    """Vectors (count, d) float32 at unit length in the order of the texts, and the rows that are no usable vector.

    `items` is `data` of an OpenAI embedding response: objects with an `index` and an `embedding`.
    A vector is base64 of little-endian float32, or a list of numbers. A row is unusable when a number in it is not
    finite or when its length is zero; it comes back as zeros. Raises MalformedAnswer when there is not one vector
    for each text, or not all have length `dimension` (None: any, but all the same).
    """
    if sorted(item["index"] for item in items) != list(range(count)):
        raise MalformedAnswer(f"{len(items)} vectors, or wrongly numbered ones, for {count} texts")
    rows = [_numbers(item["embedding"]) for item in sorted(items, key=lambda item: item["index"])]
    lengths = {len(row) for row in rows}
    expected = dimension or max(lengths)
    if lengths != {expected} or expected == 0:
        raise MalformedAnswer(f"vectors of {sorted(lengths)} numbers where {expected} were expected")
    raw = np.stack(rows).astype(np.float64)
    usable = np.isfinite(raw).all(axis=1)
    raw[~usable] = 0.0
    usable &= np.linalg.norm(raw, axis=1) > 0
    return unit(raw), [int(i) for i in np.flatnonzero(~usable)]


def _numbers(embedding: object) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    try:
        if isinstance(embedding, str):
            return np.frombuffer(base64.b64decode(embedding, validate=True), dtype="<f4")
        row = np.array(embedding, dtype=np.float32)
    except (binascii.Error, ValueError, TypeError):
        raise MalformedAnswer("a vector that is neither base64 of float32 nor a list of numbers") from None
    if row.ndim != 1:
        raise MalformedAnswer("a vector that is not a flat list of numbers")
    return row


_COUNT = re.compile(r"(\d+)\s+tokens?\b|length\s+(?:is|of)\s+(\d+)", re.IGNORECASE)


def token_counts(message: str) -> tuple[int, int] | None:
    """(tokens of the text, tokens allowed) out of a refusal for length; None when it names no two counts.

    SGLang: "The input (1500 tokens) is longer than the model's context length (1024 tokens)." Others turn the order
    round, so the larger count is taken to be the text's.
    """
    counts = [int(a or b) for a, b in _COUNT.findall(message)]
    return (max(counts), min(counts)) if len(counts) > 1 else None


def is_length_refusal(status: int, message: str) -> bool:
    """Whether a refusal is about length: HTTP 413, or a message that names two token counts or says so in words."""
    return status == 413 or token_counts(message) is not None or "too long" in message or "context length" in message


def shortened(text: str, message: str) -> str:
    """`text` cut at its end to what should fit, by the counts in a refusal; always shorter, halved when none is named.

    Characters are taken to be worth equal numbers of tokens and 2% is left as a margin: a cut that is still too long
    is refused again, with new counts. The server appends the model's end token itself, so a cut text keeps it.
    """
    counts = token_counts(message)
    share = 0.5 if counts is None else min(0.98 * (counts[1] - 2) / counts[0], 0.98)
    return text[: max(int(len(text) * share), 0)].rstrip()
