"""Presidio as it comes: its default recognizers for English, without a language model, on no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def presidio_defaults() -> Callable[[str], list[Any]]:
    """A function that analyzes a text."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    engine = NoOpNlpEngine(models=[{"lang_code": "en", "model_name": "none"}])
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"], nlp_engine=engine)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=["en"])
    # The recognizer of mail addresses would fetch the list of public suffixes; the one of the package serves.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())
    return lambda text: analyzer.analyze(text, language="en")
