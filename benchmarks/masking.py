"""Masking of 1,000-character chunks, a CPU-second: ours against Presidio's default recognizers without a model."""

from __future__ import annotations

from benchmarks.meters import least_cpu
from benchmarks.presidio_defaults import presidio_defaults
from benchmarks.result import Result
from kb_pipeline.demo.writing import contents
from kb_pipeline.masking import mask_text, warm_up
from kb_pipeline.settings import ENTITIES, MaskingPolicy

CHARACTERS = 1000


def run() -> list[Result]:
    """Chunks of the demo's own text, both languages."""
    text = "\n".join(contents().values())
    chunks = [text[at : at + CHARACTERS] for at in range(0, len(text) - CHARACTERS, CHARACTERS)]
    policy = MaskingPolicy(dict.fromkeys(ENTITIES, "mask"))
    warm_up()
    analyze = presidio_defaults()
    taken = least_cpu(lambda: [mask_text(chunk, policy) for chunk in chunks], lambda: list(map(analyze, chunks)))
    ours, theirs = (len(chunks) / seconds for seconds in taken)
    measured = f"masking, chunks of {CHARACTERS} characters"
    return [Result(measured, ours, "Presidio defaults, no-op engine", theirs, "chunk/CPU-s")]
