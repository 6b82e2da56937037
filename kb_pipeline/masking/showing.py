"""What a policy does to one text, with every place in the text as it was: for people who try a policy before they trust it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kb_pipeline.masking.masker import mask_text, masked_entities, personal_data_in
from kb_pipeline.masking.spans import label


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """text[start:end] of the original was replaced by `<label>`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class MaskedSample:
    """A text, what the model and the tables would get of it, and what was replaced."""

    text: str
    masked: str
    spans: tuple[MaskedSpan, ...]


def show_masking(text: str, policy: Mapping[str, str]) -> MaskedSample:
    """Mask `text` as a document's is masked, remembering where each span stood. Raises MaskingIncomplete."""
    entities = masked_entities(policy)
    current, places = text, [(at, at + 1) for at in range(len(text))]
    spans: list[MaskedSpan] = []
    while found := personal_data_in(current, entities):
        for entity, start, end in reversed(found):
            whole = places[start][0], places[end - 1][1]
            spans = [span for span in spans if not (whole[0] <= span.start and span.end <= whole[1])]
            spans.append(MaskedSpan(*whole, entity))
            shown = label(entity)
            current = current[:start] + shown + current[end:]
            places[start:end] = [whole] * len(shown)
    masked, _ = mask_text(text, policy)
    return MaskedSample(text, masked, tuple(sorted(spans, key=lambda span: span.start)))
