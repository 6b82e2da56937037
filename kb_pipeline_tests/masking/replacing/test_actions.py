"""What stands in the place of something found: a label, a part of it, a pseudonym."""

import re

import pytest

from kb_pipeline.auditing.personal_data import sentences
from kb_pipeline.core.contracts import Chunk
from kb_pipeline.masking import find_personal_data, mask_chunks, mask_text
from kb_pipeline.settings import MaskingPolicy, PseudonymKey
from kb_pipeline_tests.masking.synthetic import CARD, EMAIL, KEY, MOBILE, policy, resident_id

TOKEN = r"<{}_[0-9a-f]{{10}}>"


def masked(text: str, **actions: str) -> str:
    return mask_text(text, policy(**actions))[0]


def test_a_label_of_ones_own_stands_for_an_entity() -> None:
    assert masked(f"致电{MOBILE}。", PHONE_NUMBER="<手机号>") == "致电<手机号>。"


@pytest.mark.parametrize(
    ("entity", "value", "left"),
    [
        ("PHONE_NUMBER", MOBILE, "138****8000"),
        ("PHONE_NUMBER", f"+86 {MOBILE}", "138****8000"),
        ("PHONE_NUMBER", "010-62345678", "010****5678"),
        ("BANK_CARD", "4111 1111 1111 1111", "************1111"),
        ("EMAIL_ADDRESS", EMAIL, "z***@example.com"),
        ("EMAIL_ADDRESS", "z@example.com", "<EMAIL_ADDRESS>"),
        ("CN_RESIDENT_ID", resident_id(), f"{'*' * 14}{resident_id()[-4:]}"),
        ("LICENSE_PLATE", "京A·12345", "<LICENSE_PLATE>"),
    ],
)
def test_a_part_of_it_is_shown_where_enough_stays_hidden(entity: str, value: str, left: str) -> None:
    assert masked(f"见{value}。", **{entity: "partial"}) == f"见{left}。"


def test_of_a_name_the_first_character_is_shown() -> None:
    assert masked("联系人：张伟明，到场", PERSON="partial") == "联系人：张**，到场"


@pytest.mark.parametrize(
    ("entity", "spellings"),
    [
        ("PHONE_NUMBER", [MOBILE, "138-0013-8000", f"+86 {MOBILE}", "１３８００１３８０００", f"0086{MOBILE}"]),
        ("EMAIL_ADDRESS", [EMAIL, EMAIL.upper()]),
        ("BANK_CARD", [CARD, "4111 1111 1111 1111"]),
    ],
)
def test_one_value_has_one_pseudonym_in_every_spelling(entity: str, spellings: list[str]) -> None:
    tokens = {masked(f"见{written}，", **{entity: "pseudonym"}) for written in spellings}
    assert len(tokens) == 1
    (token,) = tokens
    assert re.fullmatch(f"见{TOKEN.format(entity)}，", token)


def test_other_values_other_entities_and_other_keys_have_other_pseudonyms() -> None:
    kept = policy(PHONE_NUMBER="pseudonym")
    rotated = MaskingPolicy(kept.actions, PseudonymKey("2026b", b"another-synthetic-secret-of-32-characters"))
    tokens = [
        mask_text(MOBILE, kept)[0],
        mask_text("13800138001", kept)[0],
        mask_text(MOBILE, rotated)[0],
    ]
    assert len(set(tokens)) == 3
    assert kept.shape() != rotated.shape()


def test_the_secret_is_in_neither_fingerprints_nor_print() -> None:
    kept = policy(PHONE_NUMBER="pseudonym")
    for told in (str(kept.shape()), repr(kept), str(KEY)):
        assert KEY.secret.decode() not in told
    assert kept.shape()["key"] == KEY.key_id


def test_a_policy_without_pseudonyms_does_not_depend_on_the_key() -> None:
    assert policy().shape()["key"] == ""


def test_a_number_from_one_chunk_into_the_next_has_one_pseudonym() -> None:
    number, kept = resident_id(), policy(CN_RESIDENT_ID="pseudonym")
    first, second = mask_chunks([Chunk(0, f"甲 {number[:10]}"), Chunk(1, f"{number[10:]}，女")], kept, False)
    token = mask_text(number, kept)[0]
    assert (first.content, second.content) == (f"甲 {token}", f"{token}，女")


@pytest.mark.parametrize("action", ["mask", "pseudonym", "<某项>"])
def test_what_was_put_in_is_not_found_again(action: str) -> None:
    every = policy()
    chosen = MaskingPolicy(dict.fromkeys(every.actions, action), KEY)
    for sentence in sentences(seed=5, each=40):
        text, counts = mask_text(f"{sentence.text} 123456 {sentence.text}", chosen)
        assert counts
        assert find_personal_data(text, chosen) == {}
