"""Findings that overlap become one, and findings become labels. Pure functions over offsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Of two findings of equal length the more specific one names the span.
_SPECIFIC_FIRST = (
    "CN_RESIDENT_ID", "CN_CREDIT_CODE", "IBAN_CODE", "BANK_CARD", "US_SSN", "PASSPORT", "TRAVEL_PERMIT", "LICENSE_PLATE",
    "EMAIL_ADDRESS", "PHONE_NUMBER", "MAC_ADDRESS", "IP_ADDRESS", "SECRET", "DATE_OF_BIRTH", "ADDRESS", "PERSON", "MONEY",
)  # fmt: skip


class Finding(NamedTuple):
    """text[start:end] is an `entity`."""

    entity: str
    start: int
    end: int


def merge_overlaps(findings: Sequence[Finding]) -> list[Finding]:
    """Findings in order, overlapping ones joined to what they cover together and named after the longest of them.

    Joining, rather than dropping the shorter one, leaves no digit of it uncovered.
    """
    merged: list[tuple[Finding, int]] = []
    for finding in sorted(findings, key=lambda f: (f.start, f.end)):
        length = finding.end - finding.start
        if not merged or finding.start >= merged[-1][0].end:
            merged.append((finding, length))
            continue
        (entity, start, end), longest = merged[-1]
        if (length, -_rank(finding.entity)) > (longest, -_rank(entity)):
            entity, longest = finding.entity, length
        merged[-1] = (Finding(entity, start, max(end, finding.end)), longest)
    return [finding for finding, _ in merged]


def _rank(entity: str) -> int:
    return _SPECIFIC_FIRST.index(entity)


def label(entity: str) -> str:
    """What stands for a masked span."""
    return f"<{entity}>"


def replace_spans(parts: Sequence[str], joints: Sequence[str], findings: Sequence[Finding]) -> tuple[str, ...]:
    """`parts` with each finding replaced by its label. Offsets count over every part and the joint that follows it;
    a finding that crosses a joint is replaced in every part that it touches."""
    replaced = []
    begin = 0
    for part, joint in zip(parts, joints, strict=True):
        pieces, done = [], 0
        for entity, start, end in findings:
            left, right = max(start - begin, 0), min(end - begin, len(part))
            if left < right:
                pieces += [part[done:left], label(entity)]
                done = right
        replaced.append("".join((*pieces, part[done:])))
        begin += len(part) + len(joint)
    return tuple(replaced)
