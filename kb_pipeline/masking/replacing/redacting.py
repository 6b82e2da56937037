"""Find all there is in a text: look again without what was found, until nothing is left."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from kb_pipeline.masking.bootstrap import load_presidio
from kb_pipeline.masking.finding.detectors import may_hold_any
from kb_pipeline.masking.finding.folding import Folded, fold
from kb_pipeline.masking.finding.spans import Finding, merge_overlaps

# Stands for what is taken out already. PostgreSQL takes no NUL, so no text that is stored holds one.
TAKEN = "\0"
# What announces something stands at most this far from it (addresses are the longest).
REACH = 100
_BORDERS = "。！？；"
_TAKEN, _BORDER = re.compile(TAKEN), re.compile(f"[{_BORDERS}]")


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


def find_all(
    text: str, entities: Collection[str], given: Sequence[Finding] = (), seen: Sequence[Finding] = ()
) -> Found:
    """Every place of `entities` in `text`, and `given` and `seen` ones.

    Taking one number out can free another that touched it, so this goes on, around what was taken, until nothing is
    found. It ends: whatever is found holds a character that has not been taken yet. What is `given` is taken out before
    the first look; what others have `seen` is not: it may hold half a number, whose rest nobody would know alone.
    """
    found = list(given)
    rest = take_out(text, found)
    fresh = [*seen, *_originals(rest, find_once(fold(rest.text), entities))]
    while fresh:
        found = merge_overlaps([*found, *fresh])
        rest = take_out(text, found)
        freed = (_find_between(rest.text, start, end, entities) for start, end in _freed(rest.text))
        fresh = [finding for findings in freed for finding in _originals(rest, findings)]
    return Found(found, fold(rest.text).text)


def _originals(rest: Rest, findings: Sequence[Finding]) -> list[Finding]:
    return [Finding(entity, *rest.original(start, end)) for entity, start, end in findings]


def _freed(rest: str) -> list[tuple[int, int]]:
    """The parts of a text around each TAKEN in which something may have come free: to the next end of a sentence
    beyond REACH on either side, where no finding crosses."""
    parts: list[tuple[int, int]] = []
    for taken in _TAKEN.finditer(rest):
        if parts and taken.end() + REACH <= parts[-1][1]:
            continue
        before = max(0, taken.start() - REACH)
        start = max(rest.rfind(mark, 0, before) for mark in _BORDERS) + 1
        after = _BORDER.search(rest, taken.end() + REACH)
        end = after.start() if after else len(rest)
        if parts and start <= parts[-1][1]:
            parts[-1] = (parts[-1][0], end)
        else:
            parts.append((start, end))
    return parts


def _find_between(text: str, start: int, end: int, entities: Collection[str]) -> list[Finding]:
    found = find_once(fold(text[start:end]), entities)
    return [Finding(entity, start + begin, start + stop) for entity, begin, stop in found]


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
    from kb_pipeline.masking.finding.recognizers import analyze

    found = analyze(folded.text, tuple(entities))
    return merge_overlaps([Finding(entity, *folded.span(start, end)) for entity, start, end in found])
