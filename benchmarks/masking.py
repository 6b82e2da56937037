"""Masking of 1,000-character chunks, a CPU-second: ours against Presidio's default recognizers without a model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

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
    analyze = _presidio_defaults()
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


def _presidio_defaults() -> Callable[[str], object]:
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    engine = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    # The one default recognizer that goes to the network (for the list of public suffixes) is left out.
    registry.remove_recognizer("EmailRecognizer")
    return lambda chunk: analyzer.analyze(chunk, language="en")


def _rate(work: Callable[[str], object], chunks: Sequence[str]) -> float:
    best = float("inf")
    for _ in range(REPEATS):
        started = time.process_time()
        for chunk in chunks:
            work(chunk)
        best = min(best, time.process_time() - started)
    return len(chunks) / best
