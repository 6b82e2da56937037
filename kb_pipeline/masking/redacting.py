"""Find all there is in a text: look again without what was found, until nothing is left."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kb_pipeline.masking.bootstrap import load_presidio
from kb_pipeline.masking.detectors import may_hold_any
from kb_pipeline.masking.folding import Folded, fold
from kb_pipeline.masking.spans import Finding, merge_overlaps

# Stands for what is taken out already. PostgreSQL takes no NUL, so no text that is stored holds one.
TAKEN = "\0"


class Rest(NamedTuple):
    """A text without what was found in it: `text` has one TAKEN for each of `taken`, places in the original in
    order."""

    text: str
    taken: Sequence[Finding]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where text[start:end] stands in the original."""
        return self._place(start, last=False), self._place(end - 1, last=True) + 1

    def _place(self, place: int, last: bool) -> int:
        longer = 0
        for finding in self.taken:
            here = finding.start - longer
            if place < here:
                break
            if place == here:
                return finding.end - 1 if last else finding.start
            longer += finding.end - finding.start - 1
        return place + longer


@dataclass(frozen=True, slots=True)
class Found:
    """Everything found in a text, in order and apart, and what is left without it, folded."""

    findings: Sequence[Finding]
    rest: str


def find_all(text: str, entities: Collection[str], given: Sequence[Finding] = ()) -> Found:
    """Every place of `entities` in `text`, and `given` ones.

    Taking one number out can free another that touched it, so this goes on until nothing is found. It ends: whatever is
    found holds a character that has not been taken yet.
    """
    found = list(given)
    while True:
        rest = take_out(text, found)
        folded = fold(rest.text)
        fresh = find_once(folded, entities)
        if not fresh:
            return Found(found, folded.text)
        found = merge_overlaps([*found, *(Finding(f.entity, *rest.original(f.start, f.end)) for f in fresh)])


def take_out(text: str, found: Sequence[Finding]) -> Rest:
    """`text` with one TAKEN for each of `found`, which are in order and apart."""
    return Rest(replace_spans(text, found, lambda _: TAKEN), found) if found else Rest(text, ())


def replace_spans(text: str, found: Sequence[Finding], replacement: Callable[[Finding], str]) -> str:
    """`text` with something else in the place of each of `found`, which are in order and apart."""
    pieces, done = [], 0
    for finding in found:
        pieces += [text[done : finding.start], replacement(finding)]
        done = finding.end
    return "".join((*pieces, text[done:]))


def find_once(folded: Folded, entities: Collection[str]) -> list[Finding]:
    """What one look finds: places in the text as it was, in order and apart."""
    if not entities or not may_hold_any(folded.text):
        return []
    load_presidio()
    from kb_pipeline.masking.recognizers import analyze

    found = analyze(folded.text, tuple(entities))
    return merge_overlaps([Finding(entity, *folded.span(start, end)) for entity, start, end in found])
