"""The one place that imports `unstructured`, and what has to be so before and after it.

Before: its pings (on import and on every call) and its advertisement are off. After: it must not classify text by a
spaCy model, which it would download at first use, and whose English rules call most short Chinese lines titles.
Structure (styles, tags, placeholders) says what a title is, here.
"""

from __future__ import annotations

import importlib
import os
from functools import cache
from typing import Any

_OFF = {"DO_NOT_TRACK": "true", "SCARF_NO_ANALYTICS": "true", "UNSTRUCTURED_DISABLE_NOTICE": "1"}
_PARTITIONERS = ("docx", "html", "md", "pptx", "xlsx")
# Modules that bind the classifiers of text_type by name.
_CLASSIFYING = ("docx", "pptx", "html.parser", "xlsx")


@cache
def partitioner(name: str) -> Any:
    """The function `partition_<name>` of unstructured, ready to use without network or model."""
    _prepare()
    return getattr(importlib.import_module(f"unstructured.partition.{name}"), f"partition_{name}")


def warm_up() -> None:
    """Import all that parsing needs, so that forked workers share it."""
    for name in _PARTITIONERS:
        partitioner(name)
    for module in ("charset_normalizer", "olefile", "openpyxl", "pypdfium2", "pypdfium2.raw"):
        importlib.import_module(module)


@cache
def _prepare() -> None:
    os.environ.update(_OFF)
    setattr(importlib.import_module("unstructured.nlp.tokenize"), "_load_spacy_model", _blank_model)  # noqa: B010
    for name in _CLASSIFYING:
        module = importlib.import_module(f"unstructured.partition.{name}")
        for classifier, answer in (("is_possible_title", False), ("is_possible_narrative_text", True)):
            if hasattr(module, classifier):
                setattr(module, classifier, _always(answer))


def _always(answer: bool) -> Any:
    return lambda *_args, **_kwargs: answer


def _blank_model() -> Any:
    """Whatever still asks for a model gets one that only splits on punctuation and needs no download."""
    spacy = importlib.import_module("spacy")
    model = spacy.blank("xx")
    model.add_pipe("sentencizer")
    return model
