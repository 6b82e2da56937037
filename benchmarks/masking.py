"""Masking of 1,000-character chunks, a CPU-second: ours against Presidio's default recognizers without a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from benchmarks.presidio_defaults import presidio_defaults
from benchmarks.result import Result
from kb_pipeline.demo.writing import contents
from kb_pipeline.masking import mask_text, warm_up
from kb_pipeline.settings import ENTITIES, MaskingPolicy

CHARACTERS = 1000
REPEATS = 3


def run() -> list[Result]:
    """Chunks of the demo's own text, both languages, each masker three times over; the best of the three counts."""
    text = "\n".join(contents().values())
    chunks = [text[at : at + CHARACTERS] for at in range(0, len(text) - CHARACTERS, CHARACTERS)]
    policy = MaskingPolicy(dict.fromkeys(ENTITIES, "mask"))
    warm_up()
    analyze = presidio_defaults()
    ours = _rate(lambda chunk: mask_text(chunk, policy), chunks)
    theirs = _rate(analyze, chunks)
    return [
        Result(
            f"masking, chunks of {CHARACTERS} characters",
            ours,
            "Presidio defaults, no-op engine",
            theirs,
            "chunk/CPU-s",
        )
    ]


def _rate(work: Callable[[str], object], chunks: Sequence[str]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        for chunk in chunks:
            work(chunk)
        best = min(best, time.process_time() - started)
    return len(chunks) / best
