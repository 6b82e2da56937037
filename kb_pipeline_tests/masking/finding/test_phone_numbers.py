"""Telephone numbers: Chinese mobile, fixed and service numbers, and international ones."""

import pytest

from kb_pipeline.masking import mask_text
from kb_pipeline_tests.masking.synthetic import POLICY


@pytest.mark.parametrize(
    "written",
    [
        "13800138000",
        "138 0013 8000",
        "138-0013-8000",
        "+8613800138000",
        "+86 138 0013 8000",
        "+86-13800138000",
        "86 13800138000",
        "8613800138000",
        "008613800138000",
        "１３８００１３８０００",
        "138\u200b0013\u200b8000",
        "1380013\n8000",
        "010-62345678",
        "01062345678",
        "0755 2345678",
        "021-6234 5678",
        "（010）62345678",
        "(010) 62345678",
        "010-62345678转801",
        "010-62345678-801",
        "400-820-0000",
        "+1 (415) 555-0100",
        "+44 20 7946 0000",
        "415-555-0100",
        "(415) 555-0100",
        "001-415-555-0100",
        "415.555.0100 ext. 12",
        "089 123 45 67",
    ],
)
@pytest.mark.parametrize("around", ["手机{}联系", "{}", "Call {}, please.", "张三{}", "1、{}"])
def test_found_in_every_spelling_and_place(written: str, around: str) -> None:
    assert mask_text(around.format(written), POLICY) == (around.format("<PHONE_NUMBER>"), {"PHONE_NUMBER": 1})


@pytest.mark.parametrize("text", ["座机：62345678", "Tel. 785 8949", "phone number is 74 831 591", "传真 6234-5678"])
def test_a_number_that_is_called_one_needs_no_known_form(text: str) -> None:
    assert mask_text(text, POLICY)[1] == {"PHONE_NUMBER": 1}


@pytest.mark.parametrize(
    "text",
    [
        "合同编号20240115000123",
        "12800138000",
        "913800138000",
        "138001380001",
        "2024-01-15 12:30:45",
        "ISBN 978-7-111-40701-0",
        "共计 62345678 件",
        "页 1-200",
        "3.14159265",
        "d15f7447-a011-4519-94a7-a02598387524",
        "U+2000-206F",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_text(text, POLICY) == (text, {})
