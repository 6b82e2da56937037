"""For any text: what comes out holds nothing detectable, and a second masking changes nothing."""

from hypothesis import example, given
from hypothesis import strategies as st

from kb_pipeline.core.contracts import Chunk
from kb_pipeline.masking import find_personal_data, mask_chunks, mask_text
from kb_pipeline.masking.finding.detectors import DETECTORS, may_hold_any
from kb_pipeline.masking.finding.folding import fold
from kb_pipeline_tests.masking.synthetic import CARD, EMAIL, IP, MOBILE, POLICY, card, resident_id

KNOWN = [
    *(resident_id(), MOBILE, CARD, EMAIL, IP, card("622202", 19)),
    *("¥1,200", "2001:db8::1", "三百元", "USD 5", "010-62345678"),
]
NOISE = [*"字。 \n-.:@01aX元$\u200b／０(", "+86", "86"]
BORDERS = ["，", "字", "。", "（", "\t", "；", "》"]
TEXTS = st.lists(st.one_of(st.sampled_from(KNOWN), st.sampled_from(NOISE)), max_size=14).map("".join)


@given(TEXTS)
@example(MOBILE + " " + MOBILE + "\n" + CARD)
def test_masked_text_holds_nothing_detectable(text: str) -> None:
    masked, counts = mask_text(text, POLICY)
    assert find_personal_data(masked, POLICY) == {}
    assert sum(counts.values()) >= (masked != text)


@given(st.one_of(TEXTS, st.text("元圆币金镑三百零拾角 :.%@1aFfx", max_size=12)))
@example("::%lo")
@example("人民币壹佰")
def test_no_detector_finds_anything_in_what_is_not_looked_at(text: str) -> None:
    folded = fold(text).text
    if any(detect(folded) for detect in DETECTORS.values()):
        assert may_hold_any(folded)


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=3), st.booleans())
def test_so_do_the_parts_of_a_chunk_and_what_is_sent_to_the_model(parts: list[tuple[str, str]], prefix: bool) -> None:
    for masked in mask_chunks([Chunk(n, text, (title,)) for n, (title, text) in enumerate(parts)], POLICY, prefix):
        for text in (masked.content, masked.embed_text, *masked.section_path):
            assert find_personal_data(text, POLICY) == {}


@given(
    st.sampled_from(KNOWN),
    st.sampled_from(BORDERS),
    st.text("字，。文 ", max_size=9),
)
def test_anything_known_is_found_beside_chinese_text(known: str, border: str, around: str) -> None:
    masked, counts = mask_text(f"{around}{border}{known}{border}{around}", POLICY)
    assert known not in masked
    assert sum(counts.values()) == 1


@given(st.text("0１٣a\u200b\u00adＡ字＠．\u3000", max_size=20))
def test_offsets_into_folded_text_lead_back_to_the_original(text: str) -> None:
    folded = fold(text)
    for place, character in enumerate(folded.text):
        start, end = folded.span(place, place + 1)
        assert end == start + 1
        assert fold(text[start:end]).text == character
