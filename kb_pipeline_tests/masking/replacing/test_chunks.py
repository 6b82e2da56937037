"""A masked chunk: what is stored, what is sent to the model, and what is counted."""

import pytest

from kb_pipeline.core import identity
from kb_pipeline.core.contracts import Box, Chunk
from kb_pipeline.core.errors import MaskingIncomplete
from kb_pipeline.masking import mask_chunks
from kb_pipeline.masking.replacing import gate
from kb_pipeline_tests.masking.synthetic import CARD, EMAIL, IP, MOBILE, POLICY, resident_id

BOX = Box(1, 0, 0, 10, 10)


def test_content_is_masked_and_its_place_is_kept() -> None:
    chunk = Chunk(3, f"请致电{MOBILE}。", ("手册", "联系"), 1, 2, (BOX,), "zh", 12)
    (masked,) = mask_chunks([chunk], POLICY, prefix_section_path=True)
    assert masked.content == "请致电<PHONE_NUMBER>。"
    assert (masked.ordinal, masked.page_start, masked.page_end, masked.boxes) == (3, 1, 2, (BOX,))
    assert (masked.section_path, masked.language, masked.tokens) == (("手册", "联系"), "zh", 12)
    assert masked.masked == {"PHONE_NUMBER": 1}


def test_the_text_for_the_model_has_the_path_before_it_and_names_the_vector() -> None:
    chunk = Chunk(0, "正文。", ("手册", "总则"))
    (prefixed,) = mask_chunks([chunk], POLICY, prefix_section_path=True)
    (plain,) = mask_chunks([chunk], POLICY, prefix_section_path=False)
    assert (prefixed.embed_text, plain.embed_text) == ("手册 > 总则\n正文。", "正文。")
    assert prefixed.content == plain.content == "正文。"
    assert prefixed.text_hash == identity.text_hash(prefixed.embed_text) != plain.text_hash


def test_without_a_path_nothing_is_put_before_the_text() -> None:
    (masked,) = mask_chunks([Chunk(0, "正文。")], POLICY, prefix_section_path=True)
    assert masked.embed_text == "正文。"


def test_section_paths_are_masked_like_content() -> None:
    (masked,) = mask_chunks([Chunk(0, "正文。", (f"联系人 {EMAIL}", "总则"))], POLICY, prefix_section_path=True)
    assert masked.section_path == ("联系人 <EMAIL_ADDRESS>", "总则")
    assert masked.embed_text == "联系人 <EMAIL_ADDRESS> > 总则\n正文。"
    assert masked.masked == {"EMAIL_ADDRESS": 1}


@pytest.mark.parametrize("prefix", [True, False])
def test_a_number_from_a_heading_into_its_text_is_masked_on_both_sides(prefix: bool) -> None:
    number = resident_id()
    (masked,) = mask_chunks([Chunk(0, f"{number[10:]}，女", (f"证件 {number[:10]}",))], POLICY, prefix)
    assert masked.section_path == ("证件 <CN_RESIDENT_ID>",)
    assert masked.content == "<CN_RESIDENT_ID>，女"


def test_a_number_from_one_chunk_into_the_next_is_masked_on_both_sides() -> None:
    number = resident_id()
    chunks = [Chunk(0, f"员工甲 {number[:10]}", ("名册",)), Chunk(1, f"{number[10:]}，女 {MOBILE}", ("名册",))]
    first, second = mask_chunks(chunks, POLICY, prefix_section_path=True)
    assert first.content == "员工甲 <CN_RESIDENT_ID>"
    assert second.content == "<CN_RESIDENT_ID>，女 <PHONE_NUMBER>"


def test_everything_at_once() -> None:
    text = f"{resident_id()}，{MOBILE}，{CARD}，{EMAIL}，¥1,200.00，{IP}"
    (masked,) = mask_chunks([Chunk(0, text)], POLICY, prefix_section_path=False)
    labels = ("CN_RESIDENT_ID", "PHONE_NUMBER", "BANK_CARD", "EMAIL_ADDRESS", "MONEY", "IP_ADDRESS")
    assert masked.content == "，".join(f"<{label}>" for label in labels)
    assert masked.masked == dict.fromkeys(labels, 1)


def test_what_the_gate_still_sees_quarantines_the_document_without_quoting_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The detectors and the gate agree on all that is known, so one is made blind to see what the other does."""
    monkeypatch.setattr("kb_pipeline.masking.finding.recognizers.analyze", lambda text, entities: [])
    with pytest.raises(MaskingIncomplete) as caught:
        mask_chunks([Chunk(0, f"{MOBILE} {EMAIL}")], POLICY, prefix_section_path=True)
    assert "EMAIL_ADDRESS (1), PHONE_NUMBER (1)" in str(caught.value)
    assert MOBILE not in str(caught.value)
    assert EMAIL not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        (resident_id(), "CN_RESIDENT_ID"),
        (f"86{MOBILE}", "PHONE_NUMBER"),
        (CARD, "BANK_CARD"),
        (EMAIL, "EMAIL_ADDRESS"),
        (IP, "IP_ADDRESS"),
        ("¥9", "MONEY"),
    ],
)
def test_the_gate_knows_each_entity_by_itself(text: str, entity: str) -> None:
    assert gate.scan(f"见{text}处", POLICY.entities) == {entity: 1}
