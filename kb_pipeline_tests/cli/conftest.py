"""A terminal of 80 columns, and the `kb` command in this process."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from kb_pipeline import console
from kb_pipeline_tests.defs.conftest import _template, base, dsn, instance, new_database, server_dsn, stub

__all__ = ["_template", "base", "dsn", "instance", "new_database", "server_dsn", "stub"]


@pytest.fixture
def paper(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What was printed on a pipe 80 columns wide."""
    printed = io.StringIO()
    monkeypatch.setattr(console, "out", Console(file=printed, width=80))
    return printed
