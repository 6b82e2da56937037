"""Chinese resident identity numbers: found wherever they stand, by checksum, region and date."""

import pytest

from kb_pipeline.masking import mask_text
from kb_pipeline_tests.masking.synthetic import POLICY, resident_id, resident_id_ending_in_x

ID = resident_id()
FULLWIDTH = str.maketrans("0123456789X", "０１２３４５６７８９Ｘ")


def spaced(number: str, gap: str) -> str:
    return gap.join((number[:6], number[6:14], number[14:]))


@pytest.mark.parametrize(
    "written",
    [
        ID,
        resident_id_ending_in_x(),
        resident_id_ending_in_x().lower(),
        spaced(ID, " "),
        spaced(ID, "-"),
        " ".join(ID),
        ID[:9] + "\n" + ID[9:],
        ID[:9] + "\r\n" + ID[9:],
        ID.translate(FULLWIDTH),
        resident_id_ending_in_x().translate(FULLWIDTH),
        ID[:6] + "\u200b" + ID[6:],
        ID[:6] + "\u00a0" + ID[6:],
        resident_id("440106", "20010229".replace("0229", "0228"), 77),
    ],
)
@pytest.mark.parametrize("around", ["身份证{}。", "{}", "ID:{},", "证件号{}已登记", "（{}）", "_{}_", "1234 {} 5678"])
def test_found_in_every_spelling_and_place(written: str, around: str) -> None:
    masked, counts = mask_text(around.format(written), POLICY)
    assert masked == around.format("<CN_RESIDENT_ID>")
    assert counts == {"CN_RESIDENT_ID": 1}


@pytest.mark.parametrize(
    "number",
    [
        ID[:17] + str((int(ID[17]) + 1) % 10),
        resident_id("990101"),
        resident_id(birth="19901307"),
        resident_id(birth="20010229"),
        resident_id(birth="17000101"),
        "9" + ID,
        ID + "0",
    ],
)
def test_not_without_a_right_checksum_region_and_date(number: str) -> None:
    assert "CN_RESIDENT_ID" not in mask_text(f"订单{number}号", POLICY)[1]
