"""The one place that imports `unstructured`, and what has to be so before and after it.

Before: its pings (on import and on every call) and its advertisement are off, and its tokenizer module is replaced by
a plain one, because the original imports spaCy (with torch, where that is installed: 200 MiB a worker) and downloads a
model at first use. After: it must not classify text by English rules, which call most short Chinese lines titles.
Structure (styles, tags, placeholders) says what a title is, here.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterable
from functools import cache
from types import ModuleType
from typing import Any

_OFF = {"DO_NOT_TRACK": "true", "SCARF_NO_ANALYTICS": "true", "UNSTRUCTURED_DISABLE_NOTICE": "1"}
# Modules that bind the classifiers of text_type by name.
_CLASSIFYING = ("docx", "pptx", "html.parser")


@cache
def partitioner(name: str) -> Any:
    """The function `partition_<name>` of unstructured, ready to use without network or model."""
    _prepare()
    return getattr(importlib.import_module(f"unstructured.partition.{name}"), f"partition_{name}")


@cache
def page_partitioner() -> Any:
    """What partition_pdf and partition_image do with pages, without the metadata that those add. Needs the extra
    hi-res."""
    _prepare()
    return importlib.import_module("unstructured.partition.pdf").partition_pdf_or_image


def warm_up(names: Iterable[str]) -> None:
    """Import these partitioners, so that forked workers share them."""
    for name in names:
        partitioner(name)


@cache
def _prepare() -> None:
    os.environ.update(_OFF)
    sys.modules["unstructured.nlp.tokenize"] = _plain_tokenizer()
    for name in _CLASSIFYING:
        module = importlib.import_module(f"unstructured.partition.{name}")
        for classifier, answer in (("is_possible_title", False), ("is_possible_narrative_text", True)):
            if hasattr(module, classifier):
                setattr(module, classifier, _always(answer))


def _always(answer: bool) -> Any:
    return lambda *_args, **_kwargs: answer


def _plain_tokenizer() -> ModuleType:
    """Stands in for unstructured.nlp.tokenize: words and sentences by regular expressions, every word a noun."""
    module = ModuleType("unstructured.nlp.tokenize")
    words, sentences = re.compile(r"\w+|[^\w\s]"), re.compile(r"[^.!?。！？]+[.!?。！？]*")
    vars(module).update(
        word_tokenize=words.findall,
        sent_tokenize=sentences.findall,
        pos_tag=lambda text: [(word, "NN") for word in words.findall(text)],
    )
    return module
