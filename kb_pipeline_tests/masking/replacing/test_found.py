"""Every kind of personal data is found, beside Chinese characters too, and hardly anything else is.

What is looked for comes from a generator with formulas of its own (support/personal_data.py).
"""

from collections import Counter

import pytest

from kb_pipeline.auditing.personal_data import MAKERS, negatives, sentences
from kb_pipeline.masking import show_masking
from kb_pipeline_tests.masking.synthetic import POLICY

EACH = 60


@pytest.mark.parametrize("entity", MAKERS)
def test_every_value_is_covered_whole_and_named(entity: str) -> None:
    for sentence in sentences(seed=11, each=EACH):
        for kind, start, end in sentence.spans:
            if kind != entity:
                continue
            spans = show_masking(sentence.text, POLICY).spans
            covering = [s for s in spans if s.start <= start and end <= s.end]
            assert covering, sentence.text
            assert covering[0].label == entity, sentence.text


def test_numbers_and_words_that_are_nobodys_stay() -> None:
    wrong = Counter(
        span.label for sentence in negatives(seed=13, each=100) for span in show_masking(sentence.text, POLICY).spans
    )
    assert wrong.total() <= 5, wrong  # of 1,000; chance lets some order numbers pass a check digit


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("姓名：王小明 电话", "姓名：<PERSON> 电话"),
        ("法定代表人欧阳明月，", "法定代表人<PERSON>，"),
        ("张伟先生到访", "<PERSON>先生到访"),
        ("Dear Ms. Jane O'Neill,", "Dear Ms. <PERSON>,"),
        ("Signed by: Wei Chen", "Signed by: <PERSON>"),
        ("Dear Customer,", "Dear Customer,"),
        ("姓名、性别、民族", "姓名、性别、民族"),
        ("王先生到访", "王先生到访"),
        ("住址：北京市海淀区中关村大街27号1101室。", "住址：<ADDRESS>。"),
        ("寄到上海市浦东新区世纪大道100号", "<ADDRESS>"),
        ("at 742 Evergreen Terrace, Springfield", "at <ADDRESS>"),
        ("地址：不详", "地址：不详"),
        ("password: hunter2x", "password: <SECRET>"),
        ("密码为 Abc12345，", "密码为 <SECRET>，"),
        ("password: ${DB_PASSWORD}", "password: ${DB_PASSWORD}"),
        ("token: null", "token: null"),
        ("-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----", "<SECRET>"),
        ("出生于1990年3月7日，", "出生于<DATE_OF_BIRTH>，"),
        ("签订于1990年3月7日，", "签订于1990年3月7日，"),
        ("旧证310104850307123号", "旧证<CN_RESIDENT_ID>号"),
        ("持 E12345678 入境", "持 <PASSPORT> 入境"),
        ("粤B12345的车", "<LICENSE_PLATE>的车"),
    ],
)
def test_words_around_it_decide(text: str, shown: str) -> None:
    assert show_masking(text, POLICY).masked == shown


def test_spans_are_places_in_the_text_as_it_was() -> None:
    text = "ＩＤ 13800138000 与 zhang.wei@example.com"
    sample = show_masking(text, POLICY)
    assert [(s.label, text[s.start : s.end]) for s in sample.spans] == [
        ("PHONE_NUMBER", "13800138000"),
        ("EMAIL_ADDRESS", "zhang.wei@example.com"),
    ]
