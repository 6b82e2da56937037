"""Named-entity models of spaCy and of transformers behind one face. Each library is loaded at first need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from kb_pipeline.core.errors import INSTALL_MODELS, MissingExtra

# (label, start, end, score)
Named = tuple[str, int, int, float]

# Parts of a pipeline that names do not depend on.
_NOT_FOR_NAMES = ("parser", "tagger", "lemmatizer", "attribute_ruler", "morphologizer", "senter")
_MOST_TOKENS, _STRIDE = 512, 64


class Library(Protocol):
    """A model that is loaded: its labels, and what it finds."""

    labels: frozenset[str]

    def find(self, text: str) -> Iterator[Named]:
        """Every named entity of `text`."""


class Spacy:
    """A spaCy pipeline; those with a transformer inside are for the other library. It gives no scores."""

    def __init__(self, folder: Path) -> None:
        import spacy

        self._pipeline = spacy.load(folder, exclude=_NOT_FOR_NAMES)
        names = [n for n in self._pipeline.pipe_names if "doc.ents" in self._pipeline.get_pipe_meta(n).assigns]
        self.labels = frozenset(label for name in names for label in self._pipeline.pipe_labels.get(name, ()))

    def find(self, text: str) -> Iterator[Named]:
        """Every named entity of `text`."""
        for entity in self._pipeline(text).ents:
            yield entity.label_, entity.start_char, entity.end_char, 1.0


class Transformers:
    """A model for token classification. Text beyond its context is read in windows that overlap."""

    def __init__(self, folder: Path) -> None:
        try:
            import torch  # noqa: F401 - what the pipeline below runs on
            from transformers import AutoModelForTokenClassification, AutoTokenizer, TokenClassificationPipeline
            from transformers.utils import logging
        except ImportError:
            raise MissingExtra(
                "masking_models names a model for transformers, and the packages transformers and torch are not there.",
                INSTALL_MODELS,
            ) from None
        logging.disable_progress_bar()
        model = AutoModelForTokenClassification.from_pretrained(folder, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        # Some models count two positions more than they read.
        most = getattr(model.config, "max_position_embeddings", _MOST_TOKENS + 2) - 2
        tokenizer.model_max_length = min(tokenizer.model_max_length, most)
        stride = min(_STRIDE, tokenizer.model_max_length // 4)
        self._pipeline: Callable[[str], list[Mapping[str, Any]]] = TokenClassificationPipeline(
            model=model, tokenizer=tokenizer, aggregation_strategy="simple", stride=stride, device="cpu"
        )
        self.labels = frozenset(label.removeprefix("B-").removeprefix("I-") for label in model.config.id2label.values())

    def find(self, text: str) -> Iterator[Named]:
        """Every named entity of `text`."""
        for entity in self._pipeline(text):
            yield entity["entity_group"], entity["start"], entity["end"], float(entity["score"])


@cache
def load(library: str, folder: Path) -> Library:
    """The model in `folder`, loaded once a process. Raises MissingExtra, or whatever the library says of the files."""
    return Spacy(folder) if library == "spacy" else Transformers(folder)
