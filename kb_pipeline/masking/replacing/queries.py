"""Queries are masked as the documents they are to find: what a source hides, a query for it does not reveal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb_pipeline.core.contracts import MaskedText
from kb_pipeline.masking.finding.spans import Finding
from kb_pipeline.masking.replacing.masker import mask_text, spans_of
from kb_pipeline.masking.replacing.redacting import replace_spans
from kb_pipeline.masking.replacing.replacing import replacement
from kb_pipeline.settings.policy import PARTLY, PSEUDONYM, MaskingPolicy, strictest


@dataclass(frozen=True, slots=True)
class MaskedQuery:
    """`meaning` is what the model is asked with; `wording` has the words to look for, those of each policy."""

    meaning: MaskedText
    wording: MaskedText


def mask_query(text: str, policies: Sequence[MaskingPolicy]) -> MaskedQuery:
    """A query under the policies of the sources it is put to. Raises MaskingIncomplete.

    The model gets what none of them objects to. By word, each policy's documents are looked through for what that
    policy makes of the query: a number for its pseudonym, where pseudonyms stand in its place. Labels are no words to
    look for: they stand everywhere.
    """
    variants = [_wording(text, policy) for policy in policies]
    return MaskedQuery(
        mask_text(text, strictest(policies))[0] if policies else MaskedText(text),
        MaskedText("\n".join(dict.fromkeys(variants)) if policies else text),
    )


def _wording(text: str, policy: MaskingPolicy) -> str:
    def word(finding: Finding) -> str:
        entity, value = finding.entity, text[finding.start : finding.end]
        if policy.action(entity) == PSEUDONYM:
            return f" {replacement(entity, value, policy).strip('<>').removeprefix(f'{entity}_')} "
        return replacement(entity, value, policy) if policy.action(entity) == PARTLY else " "

    return replace_spans(text, spans_of(text, policy), word)
