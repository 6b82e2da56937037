"""Findings that overlap become one. Pure functions over offsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

# Of two findings of equal length the more specific one names the span.
_SPECIFIC_FIRST = (
    *("CN_RESIDENT_ID", "CN_CREDIT_CODE", "IBAN_CODE", "BANK_CARD", "US_SSN", "PASSPORT", "TRAVEL_PERMIT"),
    *("LICENSE_PLATE", "EMAIL_ADDRESS", "PHONE_NUMBER", "MAC_ADDRESS", "IP_ADDRESS", "SECRET", "DATE_OF_BIRTH"),
    *("ADDRESS", "PERSON", "MONEY"),
)


class Finding(NamedTuple):
    """text[start:end] is an `entity`."""

    entity: str
    start: int
    end: int

    def within(self, length: int) -> Finding:
        """The part of it between 0 and `length`; empty (start >= end) if it stands elsewhere."""
        return Finding(self.entity, max(self.start, 0), min(self.end, length))


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
