"""Workbooks and delimited text as tables."""

from __future__ import annotations

import csv
import io

from kb_pipeline.contracts import Element
from kb_pipeline.parsing.bootstrap import partitioner
from kb_pipeline.parsing.cleaning import clean, table
from kb_pipeline.parsing.container import check_ooxml
from kb_pipeline.parsing.decoding import decode
from kb_pipeline.parsing.elements import convert

_DELIMITERS = ",\t;|"
_SNIFFED_LINES = 20
# Beyond this a field is an unclosed quote; the csv module's own limit, 128 KiB, is below real cells.
_MAX_FIELD = 10 * 1024**2


def parse_xlsx(data: bytes) -> list[Element]:
    """Each sheet: its name as a title, then its tables. The page is the number of the sheet."""
    check_ooxml(data, main_part="xl/")
    elements, sheet = [], None
    for item in partitioner("xlsx")(file=io.BytesIO(data), languages=[""]):
        if item.metadata.page_name != sheet:
            sheet = item.metadata.page_name
            elements.append(Element(str(sheet), "title", level=1, page=item.metadata.page_number))
        elements.extend(convert([item]))
    return elements


def parse_delimited(data: bytes) -> list[Element]:
    """A csv or tsv file as one table; the delimiter is found, rows may differ in length."""
    text = clean(decode(data))
    csv.field_size_limit(_MAX_FIELD)
    rows = csv.reader(io.StringIO(text), delimiter=delimiter(text))
    return [Element(table(rows), "table")]


def delimiter(text: str) -> str:
    """The delimiter that splits the first lines into most cells, evenly: the csv module's sniffer guesses letters."""
    lines = [line for line in text.split("\n", _SNIFFED_LINES)[:_SNIFFED_LINES] if line.strip()]
    counts = {mark: sorted(line.count(mark) for line in lines) for mark in _DELIMITERS}
    return max(_DELIMITERS, key=lambda mark: counts[mark][len(lines) // 2] if lines else 0)
