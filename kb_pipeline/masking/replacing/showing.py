"""What a policy does to one text, with every place in it: for people who try a policy before they trust it."""

from __future__ import annotations

from dataclasses import dataclass

from kb_pipeline.masking.replacing.masker import mask_text, spans_of
from kb_pipeline.settings.policy import MaskingPolicy


@dataclass(frozen=True, slots=True)
class MaskedSpan:
    """text[start:end] of the original was replaced: it is a `label`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class MaskedSample:
    """A text, what the model and the tables would get of it, and what was replaced."""

    text: str
    masked: str
    spans: tuple[MaskedSpan, ...]


def show_masking(text: str, policy: MaskingPolicy) -> MaskedSample:
    """Mask `text` as a document's is masked, and tell where each span stands. Raises MaskingIncomplete."""
    spans = tuple(MaskedSpan(start, end, entity) for entity, start, end in spans_of(text, policy))
    return MaskedSample(text, mask_text(text, policy)[0], spans)
