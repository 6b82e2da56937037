"""Numbers that have the shape of an identifier and are none: never issued, or far from the word that would make them
one. Those that are found: replacing/test_found.py."""

import pytest

from kb_pipeline.masking import mask_text
from kb_pipeline_tests.masking.synthetic import POLICY


@pytest.mark.parametrize("number", ["123-45-6789", "899-12-3456"])
def test_a_social_security_number_is_found_in_its_groups(number: str) -> None:
    assert mask_text(f"of {number}, and", POLICY) == ("of <US_SSN>, and", {"US_SSN": 1})


@pytest.mark.parametrize("number", ["900-12-3456", "987-65-4321", "000-12-3456", "666-12-3456", "123-00-4567"])
@pytest.mark.parametrize("around", ["of {}, and", "SSN: {}"])
def test_a_social_security_number_that_is_never_issued_stays(number: str, around: str) -> None:
    assert "US_SSN" not in mask_text(around.format(number), POLICY)[1]


@pytest.mark.parametrize(
    ("between", "found"), [("", True), ("字" * 10, True), ("字" * 100, False)], ids=["at once", "near", "far"]
)
def test_a_travel_permit_without_a_check_digit_needs_its_word_nearby(between: str, found: bool) -> None:
    text = f"港澳通行证{between}，H12345678，"
    assert ("H12345678" not in mask_text(text, POLICY)[0]) == found
