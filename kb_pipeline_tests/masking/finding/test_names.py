"""Names of files, as people and logs are shown them."""

from kb_pipeline.masking import mask_name
from kb_pipeline_tests.masking.synthetic import EMAIL, MOBILE, POLICY, policy, resident_id


def test_a_name_is_masked_like_content() -> None:
    assert mask_name(f"简历/{resident_id()}手机{MOBILE}.pdf", POLICY) == "简历/<CN_RESIDENT_ID>手机<PHONE_NUMBER>.pdf"
    assert mask_name("简历/2026 plan.pdf", POLICY) == "简历/2026 plan.pdf"


def test_a_policy_may_keep() -> None:
    assert mask_name(f"{EMAIL}.eml", policy(EMAIL_ADDRESS="keep")) == f"{EMAIL}.eml"
