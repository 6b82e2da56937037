"""A query is masked by the policies of the sources it is put to."""

from kb_pipeline.masking import mask_query, mask_text
from kb_pipeline.store.published.words import words
from kb_pipeline_tests.masking.synthetic import EMAIL, MOBILE, policy

QUESTION = f"谁的电话是{MOBILE}？"


def test_a_number_is_asked_for_by_its_pseudonym() -> None:
    kept = policy(PHONE_NUMBER="pseudonym")
    query = mask_query(QUESTION, [kept])
    token = mask_text(MOBILE, kept)[0]
    assert query.meaning == f"谁的电话是{token}？"
    assert words(query.wording) == [*words("谁的电话是"), *words(token)[-1:]]
    assert MOBILE not in query.meaning + query.wording


def test_a_label_is_no_word_to_look_for() -> None:
    query = mask_query(QUESTION, [policy()])
    assert (query.meaning, query.wording.split()) == ("谁的电话是<PHONE_NUMBER>？", ["谁的电话是", "？"])


def test_the_model_is_told_what_no_source_objects_to_and_words_are_those_of_each() -> None:
    open_, closed = policy(EMAIL_ADDRESS="keep"), policy()
    query = mask_query(f"mail {EMAIL}", [open_, closed, open_])
    assert query.meaning == "mail <EMAIL_ADDRESS>"
    assert query.wording.splitlines() == [f"mail {EMAIL}", "mail  "]


def test_without_sources_there_is_nothing_to_hide_from() -> None:
    assert mask_query("员工手册", []).wording == "员工手册"
