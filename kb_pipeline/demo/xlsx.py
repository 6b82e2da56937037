"""Markup to a workbook: each second-level heading begins a sheet, what follows it fills the rows."""

from __future__ import annotations

import io
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Font

from kb_pipeline.demo.archive import without_times
from kb_pipeline.demo.markup import Block, Heading, Items, Markup, Paragraph, Table, plain


def render(markup: Markup) -> bytes:
    """The workbook, the same bytes for the same markup."""
    book = Workbook()
    book.remove(book.active)
    book.properties.title = markup.title
    book.properties.creator = markup.fields.get("owner", "")
    for block in markup.blocks:
        if isinstance(block, Heading):
            if block.level == 2:
                book.create_sheet(block.text)
        elif book.worksheets:
            _fill(book.worksheets[-1], block)
    written = io.BytesIO()
    book.save(written)
    return without_times(written.getvalue())


def _fill(sheet: Any, block: Block) -> None:
    match block:
        case Table(rows):
            sheet.append(list(rows[0]))
            for cell in sheet[sheet.max_row]:
                cell.font = Font(bold=True)
            for row in rows[1:]:
                sheet.append([_value(cell) for cell in row])
        case Paragraph(text):
            sheet.append([plain(text)])
        case Items(items):
            for item in items:
                sheet.append([plain(item)])
        case _:
            return


def _value(cell: str) -> str | int | float:
    """Numbers are stored as numbers, so that a reader sees a real sheet; everything else as it stands."""
    try:
        return int(cell)
    except ValueError:
        pass
    try:
        return float(cell)
    except ValueError:
        return cell
