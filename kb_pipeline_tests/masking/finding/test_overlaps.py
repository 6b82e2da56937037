"""Findings that overlap become one, and it covers them all."""

import pytest

from kb_pipeline.masking.finding.spans import Finding, merge_overlaps


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ([("PHONE_NUMBER", 0, 11), ("EMAIL_ADDRESS", 0, 23)], [("EMAIL_ADDRESS", 0, 23)]),
        ([("BANK_CARD", 0, 18), ("CN_RESIDENT_ID", 0, 18)], [("CN_RESIDENT_ID", 0, 18)]),
        ([("MONEY", 3, 14), ("PHONE_NUMBER", 3, 14)], [("PHONE_NUMBER", 3, 14)]),
        ([("PHONE_NUMBER", 0, 11), ("BANK_CARD", 5, 24)], [("BANK_CARD", 0, 24)]),
        ([("MONEY", 0, 4), ("MONEY", 4, 8)], [("MONEY", 0, 4), ("MONEY", 4, 8)]),
        ([("IP_ADDRESS", 9, 12), ("MONEY", 0, 4)], [("MONEY", 0, 4), ("IP_ADDRESS", 9, 12)]),
    ],
)
def test_the_longest_names_the_span_and_the_more_specific_one_a_tie(
    findings: list[tuple[str, int, int]], expected: list[tuple[str, int, int]]
) -> None:
    assert merge_overlaps([Finding(*finding) for finding in findings]) == expected
