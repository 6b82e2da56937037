"""Bank cards: by the Luhn check, whole or in the groups printed on them."""

import pytest

from kb_pipeline.masking import mask_text
from kb_pipeline_tests.masking.synthetic import CARD, POLICY, card

UNIONPAY = card("622202", 19)


def in_fours(number: str, gap: str) -> str:
    return gap.join(number[place : place + 4] for place in range(0, len(number), 4))


@pytest.mark.parametrize(
    "written",
    [
        CARD,
        in_fours(CARD, " "),
        in_fours(CARD, "-"),
        in_fours(CARD, "\n"),
        UNIONPAY,
        in_fours(UNIONPAY, " "),
        f"{UNIONPAY[:6]} {UNIONPAY[6:]}",
        card("621700", 17),
        card("3782", 15),
        "3782 822463 10005",
        card("4222", 13),
        "４１１１１１１１１１１１１１１１",
    ],
)
@pytest.mark.parametrize("around", ["卡号{}，", "{}", "card {}.", "尾号{}转账", "88 {} 99"])
def test_found_in_every_spelling_and_place(written: str, around: str) -> None:
    assert mask_text(around.format(written), POLICY) == (around.format("<BANK_CARD>"), {"BANK_CARD": 1})


@pytest.mark.parametrize(
    "text",
    [
        f"订单{CARD[:-1]}2",
        f"9{CARD}9999",
        "0000000000000000",
        "ISBN 9787111407010",
        "时间 20240115123456",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert mask_text(text, POLICY) == (text, {})
