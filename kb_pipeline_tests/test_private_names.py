"""What is used of other projects without their promise: an upgrade that moves it fails here, and not in documents.

Dagster's has a module and tests of its own (defs/test_dagster_private.py).
"""

from __future__ import annotations

import io
import re
import zipfile
from multiprocessing import forkserver
from pathlib import Path

import openpyxl

import kb_pipeline

PACKAGE = Path(kb_pipeline.__file__).parent
# A name with one underscore behind something that is neither self nor cls, nor a method of a named tuple.
PRIVATE = re.compile(r"(?<!self)(?<!cls)(?<!\bos)\._(?!replace\b)[a-z]\w*")


def test_nothing_else_is_private() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), name)
        for path in PACKAGE.rglob("*.py")
        for name in PRIVATE.findall(path.read_text("utf-8"))
    }
    assert {item for item in found if item[0] != "defs/dagster_private.py"} == {
        ("demo/docx.py", "._p"),
        ("execution/worker.py", "._forkserver"),
        ("execution/worker.py", "._forkserver_alive_fd"),
        ("parsing/office/spreadsheet.py", "._worksheet_path"),
    }


def test_the_fork_server_has_a_pipe_whose_end_ends_it() -> None:
    assert hasattr(forkserver._forkserver, "_forkserver_alive_fd")  # type: ignore[attr-defined]


def test_a_sheet_says_which_part_of_the_workbook_it_is() -> None:
    file = io.BytesIO()
    openpyxl.Workbook().save(file)
    (sheet,) = openpyxl.load_workbook(file, read_only=True).worksheets
    with zipfile.ZipFile(file) as package:
        assert sheet._worksheet_path in package.namelist()  # type: ignore[attr-defined]
