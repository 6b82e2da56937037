"""Where things stand: folders answer one question and say it, modules fit in one reading, SQL has three places."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import kb_pipeline

PACKAGE = Path(kb_pipeline.__file__).parent
FOLDERS = sorted(path.parent for path in PACKAGE.rglob("__init__.py"))
SQL_STANDS_IN = ("store", "search", "local")
MOST_MODULES = 14
MOST_LINES = 300


def names(folder: Path) -> str:
    return folder.relative_to(PACKAGE).as_posix()


def test_the_root_holds_what_everybody_asks_for_and_nothing_else() -> None:
    assert sorted(path.name for path in PACKAGE.glob("*.py")) == [
        "__init__.py",
        "console.py",
        "definitions.py",
        "knowledge_base.py",
    ]


@pytest.mark.parametrize("folder", FOLDERS, ids=names)
def test_a_folder_says_what_it_is_for_and_holds_about_a_dozen_files(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    assert len([path for path in folder.glob("*.py") if path.name != "__init__.py"]) <= MOST_MODULES


def test_a_module_fits_in_one_reading() -> None:
    lines = {names(path): len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_statements_are_executed_in_three_folders_alone() -> None:
    """import-linter sees who imports psycopg; a connection that is handed on carries SQL past it."""
    elsewhere = [
        names(path)
        for path in PACKAGE.rglob("*.py")
        if names(path).partition("/")[0] not in SQL_STANDS_IN and ".execute(" in path.read_text("utf-8")
    ]
    assert elsewhere == []
