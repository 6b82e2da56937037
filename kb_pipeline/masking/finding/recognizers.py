"""The detectors as Presidio recognizers, and one analyzer over them. Importing this module loads Presidio."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from kb_pipeline.masking.finding.detectors import DETECTORS

# Presidio wants a language for every text; these recognizers read all of them, under one name.
LANGUAGE = "und"


class Detectors(EntityRecognizer):  # type: ignore[misc]  # presidio_analyzer has no types
    """All our detectors as one recognizer: with one each, Presidio's look for who knows which entity takes longer than
    the detectors themselves. A detector has checked what it returns, so every result scores 1."""

    def __init__(self) -> None:
        super().__init__(supported_entities=list(DETECTORS), name="detectors", supported_language=LANGUAGE)

    def load(self) -> None:
        """Nothing to load: patterns are compiled with their module."""

    def analyze(self, text: str, entities: Sequence[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Spans of `text`, which is folded already."""
        return [
            RecognizerResult(entity, start, end, 1.0)
            for entity in entities
            if entity in DETECTORS
            for start, end in DETECTORS[entity](text)
        ]


class _NoContext(ContextAwareEnhancer):  # type: ignore[misc]  # presidio_analyzer has no types
    """Scores are final: without an NLP engine there are no lemmas to raise them by."""

    def __init__(self) -> None:
        super().__init__(0.0, 0.0, 0, 0)

    def enhance_using_context(self, text: str, raw_results: list[RecognizerResult], *_: Any, **__: Any) -> list[Any]:
        return raw_results


class _OneRecognizer(RecognizerRegistry):  # type: ignore[misc]  # presidio_analyzer has no types
    """Detectors alone: with seventeen entities, asking who knows each of them costs a tenth of a text's masking."""

    def get_recognizers(self, *_: Any, **__: Any) -> list[EntityRecognizer]:
        return self.recognizers  # type: ignore[no-any-return]


@cache
def analyzer() -> AnalyzerEngine:
    """The one analyzer of this process: our recognizers, no language model, no network."""
    return AnalyzerEngine(
        registry=_OneRecognizer(recognizers=[Detectors()], supported_languages=[LANGUAGE]),
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": LANGUAGE, "model_name": "none"}]),
        supported_languages=[LANGUAGE],
        context_aware_enhancer=_NoContext(),
    )


@cache
def _no_artifacts() -> Any:
    """What Presidio's engine without a model says of every text."""
    return analyzer().nlp_engine.process_text("", LANGUAGE)


def analyze(text: str, entities: Sequence[str]) -> list[tuple[str, int, int]]:
    """(entity, start, end) of everything in a folded text that is one of `entities`."""
    results = analyzer().analyze(text=text, language=LANGUAGE, entities=list(entities), nlp_artifacts=_no_artifacts())
    return [(result.entity_type, result.start, result.end) for result in results]
