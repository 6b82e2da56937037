"""Amounts of money, in figures and in words."""

import pytest

from kb_pipeline.masking import mask_text
from kb_pipeline_tests.masking.synthetic import POLICY


@pytest.mark.parametrize(
    "written",
    [
        "¥1,234.56",
        "￥８８００",
        "$1,200",
        "US$ 2.5 million",
        "€300",
        "£3,000-5,000",
        "3.5亿元",
        "1200元",
        "1,200.50元",
        "100-200元",
        "100至500元人民币",
        "8000万港币",
        "300 美元",
        "500块钱",
        "12元5角",
        "RMB 300",
        "rmb300",
        "CNY 1,000,000.00",
        "USD 2.5 million",
        "2.5 million USD",
        "100 dollars",
        "人民币1000元整",
        "人民币壹佰万元整",
        "壹拾贰万叁仟元整",
        "四百五十万美元",
        "十二元",
    ],
)
@pytest.mark.parametrize("around", ["合同总价{}，", "{}", "共{}。", "price {}."])
def test_amounts_are_found(written: str, around: str) -> None:
    assert mask_text(around.format(written), POLICY) == (around.format("<MONEY>"), {"MONEY": 1})


@pytest.mark.parametrize(
    "text",
    [
        "一元二次方程",
        "3元素",
        "二元论",
        "多元化",
        "公元2024年",
        "单元测试",
        "1200 人",
        "3.5亿",
        "12 items",
        "第3元件",
        "EURO 2024",
    ],
)
def test_bare_numbers_and_other_words_stay(text: str) -> None:
    assert mask_text(text, POLICY) == (text, {})
