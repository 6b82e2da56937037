"""Workbooks and delimited text: every value with all its digits, cells and rows kept apart."""

import datetime as dt
import io
from collections.abc import Callable

import openpyxl
import pytest

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.media_type import CSV, TSV, XLSX
from kb_pipeline.parsing import parse
from kb_pipeline.parsing.office.spreadsheet import parse_xls, parse_xlsx


def workbook(**sheets: list[list[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    file = io.BytesIO()
    book.save(file)
    return file.getvalue()


def outline(elements: list[Element]) -> list[tuple[str, int | None, str]]:
    return [(e.kind, e.page, e.text) for e in elements]


def test_each_sheet_is_a_title_and_its_tables_with_caption_and_notes_apart() -> None:
    rows = [["价目表"], ["品名", "单价"], ["纸", 10], ["笔", 2.5], ["价格含税"], [], ["联系人", "电话"], ["甲", 1]]
    assert outline(parse(workbook(价格=rows, 空=[], 说明=[["见上页"]]), XLSX)) == [
        ("title", 1, "价格"),
        ("paragraph", 1, "价目表"),
        ("table", 1, "品名\t单价\n纸\t10\n笔\t2.5"),
        ("paragraph", 1, "价格含税"),
        ("table", 1, "联系人\t电话\n甲\t1"),
        ("title", 3, "说明"),
        ("paragraph", 3, "见上页"),
    ]


@pytest.mark.parametrize("reader", [parse_xlsx, parse_xls])
def test_a_cell_over_several_rows_stands_in_each_that_has_text(reader: Callable[[bytes], list[Element]]) -> None:
    book = openpyxl.Workbook()
    sheet = book.worksheets[0]
    rows = [[], ["部门", "姓名", "电话"], ["销售", "甲", 1], [None, "乙", 2], [], ["法务", "丙", 3]]
    for place, row in enumerate(rows, start=1):
        for column, cell in enumerate(row, start=2):
            sheet.cell(place, column, cell)
    sheet.merge_cells("B3:B5")
    sheet.merge_cells("B7:D8")
    sheet["B7"] = "合计见附表"
    file = io.BytesIO()
    book.save(file)
    assert [element.text for element in reader(file.getvalue())[1:]] == [
        "部门\t姓名\t电话\n销售\t甲\t1\n销售\t乙\t2",
        "法务\t丙\t3",
        "合计见附表",
    ]


def test_numbers_keep_their_digits_and_words_that_mean_missing_elsewhere_stay() -> None:
    rows = [[13800000000, 0.1, "NA"], [None, 1234567.891, "None"], [13800000001, True, dt.date(2026, 1, 2)]]
    (_, table) = parse(workbook(a=rows), XLSX)
    assert table.text == "13800000000\t0.1\tNA\n\t1234567.891\tNone\n13800000001\tTRUE\t2026-01-02"


def test_percentages_read_as_they_are_shown() -> None:
    book = openpyxl.Workbook()
    book.active.append(["税率", 0.135])
    book.active["B1"].number_format = "0.0%"
    file = io.BytesIO()
    book.save(file)
    assert parse(file.getvalue(), XLSX)[1].text == "税率\t13.5%"


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_and_ragged_rows_and_quotes_are_read(mark: str) -> None:
    text = f'a{mark}b{mark}c\n1{mark}2\n"x{mark}y"{mark}"line\nbreak"{mark}3{mark}4\n'
    (table,) = parse(text.encode(), CSV)
    assert table.text == f"a\tb\tc\n1\t2\n{'x y' if mark == chr(9) else f'x{mark}y'}\tline break\t3\t4"


def test_chinese_windows_files_are_read() -> None:
    (table,) = parse("姓名\t部门\n甲\t人事部\n".encode("gb18030"), TSV)
    assert (table.kind, table.language, table.text) == ("table", "zh", "姓名\t部门\n甲\t人事部")
