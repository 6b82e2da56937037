"""Names that no word announces, found by the models of a policy, one a language.

A model looks at a text once, as it stands. It is not asked again what is left without its findings, nor what it makes
of masked text: unlike a pattern it guesses anew from every text.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kb_pipeline.masking.bootstrap import load_presidio
from kb_pipeline.masking.finding.spans import Finding
from kb_pipeline.masking.models.files import contents_of, folder_of
from kb_pipeline.settings.policy import Language, MaskingPolicy, NamedEntityModel

if TYPE_CHECKING:
    from kb_pipeline.masking.models.recognizer import ModelRecognizer


def find_named(text: str, policy: MaskingPolicy) -> list[Finding]:
    """What the policy's models find in `text`, of the entities that it replaces. Raises SettingsError for a model that
    is not there or cannot be loaded."""
    return [
        Finding(result.entity_type, result.start, result.end)
        for language, model in _needed(policy).items()
        for result in _recognizer(language, model).analyze(text, policy.entities)
    ]


def load_models(policy: MaskingPolicy) -> None:
    """Load the policy's models now instead of with the first text. Raises SettingsError."""
    for language, model in _needed(policy).items():
        _recognizer(language, model)


def shape_of_models(policy: MaskingPolicy) -> list[Mapping[str, Any]]:
    """What the models' findings depend on, for fingerprints: their files by content. Raises SettingsError."""
    return [
        {
            "language": language,
            "entities": dict(model.entities),
            "min_score": model.min_score,
            "contents": contents_of(folder_of(language, model)),
        }
        for language, model in _needed(policy).items()
    ]


def _needed(policy: MaskingPolicy) -> dict[Language, NamedEntityModel]:
    """The models that can find something the policy replaces."""
    replaced = set(policy.entities)
    return {
        language: model
        for language, model in sorted(policy.models.items())
        if not replaced.isdisjoint(model.entities.values())
    }


def _recognizer(language: Language, model: NamedEntityModel) -> ModelRecognizer:
    labels = tuple(sorted(model.entities.items()))
    return _loaded(language, model.library, folder_of(language, model), labels, model.min_score)


@cache
def _loaded(
    language: str, library: str, folder: Path, labels: tuple[tuple[str, str], ...], min_score: float
) -> ModelRecognizer:
    load_presidio()
    from kb_pipeline.masking.models.recognizer import ModelRecognizer

    return ModelRecognizer(language, library, folder, dict(labels), min_score)
