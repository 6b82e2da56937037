"""What is masked is the policy's choice, entity by entity."""

from kb_pipeline.masking import find_personal_data, mask_text
from kb_pipeline.settings import ENTITIES, MaskingPolicy
from kb_pipeline_tests.masking.synthetic import EMAIL, MOBILE, POLICY, policy


def test_an_entity_to_keep_stays_and_is_not_reported() -> None:
    kept = policy(MONEY="keep")
    text = f"工资¥12,000，电话{MOBILE}"
    assert mask_text(text, kept) == ("工资¥12,000，电话<PHONE_NUMBER>", {"PHONE_NUMBER": 1})
    assert find_personal_data("工资¥12,000", kept) == {}


def test_an_entity_to_keep_shields_none_inside_it() -> None:
    assert mask_text(f"{MOBILE}@example.com", policy(EMAIL_ADDRESS="keep")) == (
        "<PHONE_NUMBER>@example.com",
        {"PHONE_NUMBER": 1},
    )


def test_keeping_everything_changes_nothing() -> None:
    text = f"{MOBILE} {EMAIL}"
    assert mask_text(text, MaskingPolicy(dict.fromkeys(ENTITIES, "keep"))) == (text, {})
    assert mask_text(text, MaskingPolicy({})) == (text, {})


def test_find_personal_data_counts_what_is_there_and_changes_nothing() -> None:
    assert find_personal_data(f"{MOBILE}，{MOBILE}，{EMAIL}", POLICY) == {"PHONE_NUMBER": 2, "EMAIL_ADDRESS": 1}
    assert find_personal_data("员工手册", POLICY) == {}


def test_a_file_name_is_masked_and_keeps_its_ending() -> None:
    assert mask_text(f"合同/张三_{MOBILE}.pdf", POLICY)[0] == "合同/张三_<PHONE_NUMBER>.pdf"
