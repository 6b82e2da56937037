"""Mask: personal data and amounts in chunks are replaced by the names of what they were, and the result is checked.

Importing this package is cheap; the analyzer is loaded by the first call, or by `warm_up`.
"""

from __future__ import annotations

from kb_pipeline.masking.models.named_entities import load_models, shape_of_models
from kb_pipeline.masking.replacing.masker import find_personal_data, mask_chunks, mask_name, mask_text, warm_up
from kb_pipeline.masking.replacing.queries import MaskedQuery, mask_query
from kb_pipeline.masking.replacing.showing import MaskedSample, MaskedSpan, show_masking

# Part of the stage's fingerprint: raise it whenever the same chunks would be masked otherwise.
MASK_VERSION = 4

__all__ = [
    "MASK_VERSION",
    "MaskedQuery",
    "MaskedSample",
    "MaskedSpan",
    "find_personal_data",
    "load_models",
    "mask_chunks",
    "mask_name",
    "mask_query",
    "mask_text",
    "shape_of_models",
    "show_masking",
    "warm_up",
]
