"""A named-entity model as a Presidio recognizer. Importing this module loads Presidio."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from presidio_analyzer import EntityRecognizer, RecognizerResult

from kb_pipeline.core.errors import MissingExtra, SettingsError
from kb_pipeline.masking.models.libraries import Library, load

_HAN, _LATIN = "[\u3400-\u9fff]", "[A-Za-z\u00c0-\u024f]"
# A model reads texts that hold letters of its language, whatever else they hold.
_LETTERS = {"zh": re.compile(_HAN), "en": re.compile(_LATIN)}
_INSIDE_A_WORD = re.compile(f"(?<={_LATIN})(?={_LATIN})")
_WINDOW, _OVERLAP = 20_000, 200


class ModelRecognizer(EntityRecognizer):  # type: ignore[misc]  # presidio_analyzer has no types
    """What one model finds, under our names. Raises SettingsError for files that are no model, or not one for these
    labels: it would find nothing, and nobody would know."""

    def __init__(self, language: str, library: str, folder: Path, labels: Mapping[str, str], min_score: float) -> None:
        self._library, self._folder, self._labels, self._min_score = library, folder, labels, min_score
        self._model: Library
        super().__init__(sorted(set(labels.values())), name=f"{library} model", supported_language=language)

    def load(self) -> None:
        """Called by Presidio once, when this is made."""
        where = f"masking_models.{self.supported_language}"
        try:
            self._model = load(self._library, self._folder)
        except MissingExtra:
            raise
        except Exception as error:  # noqa: BLE001 - the libraries raise anything
            raise SettingsError(
                f"{where}: {self._library} cannot load {self._folder} ({type(error).__name__}).",
                "Try it with the library itself, which says more, and name a model that it loads.",
            ) from None
        if self._model.labels.isdisjoint(self._labels):
            raise SettingsError(
                f"{where}: the model knows none of the labels {', '.join(self._labels)}.",
                f"Name some of its own under entities: {', '.join(sorted(self._model.labels)) or 'it has none'}.",
            )

    def analyze(self, text: str, entities: Collection[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """Spans of `text` that are one of `entities`, widened to whole words: half a name gives the other half away."""
        if not _LETTERS[self.supported_language].search(text):
            return []
        found = (
            (self._labels[label], *whole_words(text, start, end), score)
            for label, start, end, score in self._find(text)
            if self._labels.get(label) in entities and score >= self._min_score
        )
        return [RecognizerResult(*one) for one in found if self._may_name(text, one[1], one[2])]

    def _may_name(self, text: str, start: int, end: int) -> bool:
        """To a model of English, Chinese is noise, which it likes to call a name."""
        return start < end and (self.supported_language == "zh" or not _LETTERS["zh"].search(text, start, end))

    def _find(self, text: str) -> Iterator[tuple[str, int, int, float]]:
        """In windows that overlap: what a library takes at once has its limits."""
        for begin in range(0, max(1, len(text) - _OVERLAP), _WINDOW - _OVERLAP):
            for label, start, end, score in self._model.find(text[begin : begin + _WINDOW]):
                yield label, begin + start, begin + end, score


def whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """text[start:end] without blanks at its ends, and with the rest of a word that it cuts."""
    start, end = end - len(text[start:end].lstrip()), start + len(text[start:end].rstrip())
    while start < end and _INSIDE_A_WORD.match(text, start):
        start -= 1
    while start < end and _INSIDE_A_WORD.match(text, end):
        end += 1
    return start, end
