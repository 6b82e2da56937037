"""Workbooks and delimited text as tables.

Workbooks are read with openpyxl alone: unstructured goes through pandas, which prints 13812345678 as 1.381235e+10
where a column holds numbers, and drops cells that say NA or None.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import openpyxl
import python_calamine
from openpyxl.utils import column_index_from_string

from kb_pipeline.core.contracts import Element
from kb_pipeline.core.errors import DocumentTooLarge, EncryptedDocument
from kb_pipeline.parsing.common.cleaning import clean, table
from kb_pipeline.parsing.common.container import (
    MAX_RATIO,
    RATIO_MATTERS_FROM,
    REMEDY_TOO_LARGE,
    check_chains,
    check_ooxml,
)
from kb_pipeline.parsing.common.decoding import decode
from kb_pipeline.parsing.office.biff import check_extents

_DELIMITERS = ",\t;|"
_SNIFFED_LINES = 20
LAST_ROW = 1_048_576  # of any sheet; openpyxl makes up every row before the next one, however far that says it is
# Beyond this a field is an unclosed quote; the csv module's own limit, 128 KiB, is below real cells.
_MAX_FIELD = 10 * 1024**2
_MERGED = re.compile(rb'<(?:\w+:)?mergeCell\s[^>]{0,99}?ref="([A-Z]{1,3})(\d{1,7}):[A-Z]{1,3}(\d{1,7})"')
_CHUNK, _LONGEST_TAG = 1024**2, 256
_PERCENT = re.compile(r"0(?:\.(0+))?%")


def parse_xlsx(data: bytes) -> list[Element]:
    """Each sheet: its name as a title, then its tables; the page is the number of the sheet.

    Formulas give the value that the application last saved.
    """
    check_ooxml(data, main_part="xl/")
    with closing(openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)) as workbook:
        bounded = _bounded(data)
        return _sheet_elements(
            (sheet.title, bounded(repeated(_openpyxl_rows(sheet), _merged(data, sheet))))
            for sheet in workbook.worksheets
        )


def _bounded(data: bytes) -> Callable[[Iterable[list[str]]], Iterator[list[str]]]:
    """Rows as they are, for all sheets of a workbook together no more text than its file may hold: one long text may be
    that of every cell."""
    told, most = 0, max(RATIO_MATTERS_FROM, MAX_RATIO * len(data))

    def bounded(rows: Iterable[list[str]]) -> Iterator[list[str]]:
        nonlocal told
        for row in rows:
            told += sum(map(len, row))
            if told > most:
                raise DocumentTooLarge(
                    f"The cells of the workbook hold over {MAX_RATIO} times as many characters as its file has bytes.",
                    REMEDY_TOO_LARGE,
                )
            yield row

    return bounded


def _merged(data: bytes, sheet: Any) -> Iterator[tuple[int, int, int]]:
    """First row and column, and last row of each merged cell, from 0: openpyxl leaves them out when it reads row by
    row, as they come after the rows."""
    tail = b""
    # Which part a sheet is read from is private. The public `merged_cells` exists only where openpyxl reads a workbook
    # whole, with fifty times its size in memory.
    with zipfile.ZipFile(io.BytesIO(data)) as package, package.open(sheet._worksheet_path) as part:
        while chunk := part.read(_CHUNK):
            text = tail + chunk
            end = 0
            for match in _MERGED.finditer(text):
                column, first, last = match.groups()
                end = match.end()
                yield int(first) - 1, column_index_from_string(column.decode()) - 1, int(last) - 1
            tail = text[max(end, len(text) - _LONGEST_TAG) :]


def _openpyxl_rows(sheet: Any) -> Iterator[list[str]]:
    sheet.reset_dimensions()  # what a file declares about its extent is often wrong
    for row in sheet.iter_rows(max_row=LAST_ROW):
        yield [cell_text(cell.value, cell.number_format) if cell.value is not None else "" for cell in row]


def parse_xls(data: bytes) -> list[Element]:
    """A workbook of Excel 97 to 2003, or of OpenDocument, as parse_xlsx reads newer ones."""
    check_chains(data)
    check_extents(data)
    try:
        workbook = python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(data))
    except python_calamine.PasswordError:
        raise EncryptedDocument("The workbook is protected by a password.", "Save it without a password.") from None
    bounded, sheets = _bounded(data), ((name, workbook.get_sheet_by_name(name)) for name in workbook.sheet_names)
    return _sheet_elements((name, bounded(_calamine_rows(sheet))) for name, sheet in sheets)


def _calamine_rows(sheet: Any) -> Iterator[list[str]]:
    above, before = sheet.start or (0, 0)  # empty rows and columns up to here are left out
    ranges = sheet.merged_cell_ranges or ()
    merged = [(first - above, left - before, last - above) for (first, left), (last, _) in ranges]
    return repeated(([cell_text(cell) for cell in row] for row in sheet.to_python()), merged)


def repeated(rows: Iterable[list[str]], merged: Iterable[tuple[int, int, int]]) -> Iterator[list[str]]:
    """Rows with the text of each merged cell (its first row and column from 0, and its last row) in every row that has
    text of its own."""
    begins: dict[int, list[tuple[int, int]]] = {}
    for first, column, last in merged:
        if first < last:
            begins.setdefault(first, []).append((column, last))
    reaching: dict[int, tuple[int, str]] = {}
    for number, row in enumerate(rows):
        if reaching and any(row):
            reaching = {column: told for column, told in reaching.items() if number <= told[0]}
            row += [""] * (max(reaching, default=-1) + 1 - len(row))
            for column, (_, text) in reaching.items():
                row[column] = row[column] or text
        reaching |= {c: (last, row[c]) for c, last in begins.get(number, ()) if 0 <= c < len(row) and row[c]}
        yield row


def _sheet_elements(sheets: Iterable[tuple[str, Iterable[list[str]]]]) -> list[Element]:
    elements: list[Element] = []
    for number, (title, rows) in enumerate(sheets, start=1):
        content = [found for block in _blocks(rows) for found in _block_elements(block, number)]
        if content:
            elements += [Element(title, "title", level=1, page=number), *content]
    return elements


def _blocks(rows: Iterable[list[str]]) -> Iterator[list[list[str]]]:
    """Rows of cell texts, cut where a row is empty."""
    block: list[list[str]] = []
    for row in rows:
        if any(row):
            block.append(row)
        elif block:
            yield block
            block = []
    if block:
        yield block


def _block_elements(rows: list[list[str]], number: int) -> Iterator[Element]:
    """Rows of one cell above and below a table are its caption and notes; what is between is the table."""
    single = [sum(map(bool, row)) == 1 for row in rows]
    first = next((place for place, alone in enumerate(single) if not alone), len(rows))
    last = next((place for place in range(len(rows), first, -1) if not single[place - 1]), first)
    for row in rows[:first]:
        yield Element("".join(row), "paragraph", page=number)
    if first < last:
        yield Element(table(_without_empty_columns(rows[first:last])), "table", page=number)
    for row in rows[last:]:
        yield Element("".join(row), "paragraph", page=number)


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    used = sorted({column for row in rows for column, cell in enumerate(row) if cell})
    return [[row[column] if column < len(row) else "" for column in used] for row in rows]


def cell_text(value: object, number_format: str = "General") -> str:
    """A cell's value as its reader would write it: dates as ISO 8601, percentages as such, numbers with all digits."""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, dt.datetime):
        return value.date().isoformat() if value.time() == dt.time() else value.isoformat(" ", "seconds")
    if isinstance(value, int | float):
        percent = _PERCENT.search(number_format)
        if percent:
            return f"{value:.{len(percent.group(1) or '')}%}"
        return str(value) if isinstance(value, int) else f"{value:.15g}"  # a double holds 15 digits exactly
    return str(value).strip()


def parse_delimited(data: bytes) -> list[Element]:
    """A csv or tsv file as one table; the delimiter is found, rows may differ in length."""
    text = clean(decode(data))
    csv.field_size_limit(_MAX_FIELD)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter(text))
    return [Element(table(rows), "table")]


def delimiter(text: str) -> str:
    """The delimiter that the middle one of the first lines has most of: the csv module's sniffer guesses letters."""
    lines = [line for line in text.split("\n", _SNIFFED_LINES)[:_SNIFFED_LINES] if line.strip()]
    counts = {mark: sorted(line.count(mark) for line in lines) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: counts[mark][len(lines) // 2] if lines else 0)
