"""`kb quarantine`: what is there is named, and what is not there is an error."""

from __future__ import annotations

import json

import click.testing
import pytest

from kb_pipeline.cli import kb
from kb_pipeline.core.errors import NotFound
from kb_pipeline.settings import load_settings
from kb_pipeline_tests.defs.conftest import Base

PAGE = "A page about something, long enough for a passage of its own."


def run(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(kb, arguments)


@pytest.fixture
def filled(base: Base) -> Base:
    """hr holds a page, and a file over the limit of a megabyte."""
    assert base.settings.config_path
    base.settings.config_path.write_text("sources: {hr: {}}\nlimits: {document_mb: 1}\n")
    base.write(page=PAGE)
    (base.raw / "hr" / "large minutes.txt").write_bytes(b"x" * (2 << 20))
    base.settings = load_settings()
    base.sync("hr")
    return base


@pytest.mark.usefixtures("filled")
def test_what_is_in_quarantine_is_named_and_retried_by_name_or_not_at_all() -> None:
    (found,) = json.loads(run("quarantine", "list", "--json").stdout)["quarantined"]
    assert (found["name"], found["error_class"]) == ("large minutes.txt", "DocumentTooLarge")
    assert "hr/large minutes.txt" in " ".join(run("quarantine", "list").stdout.split())
    for wrong, message in (("NOPE", "NOPE: There is no document"), ("page.md", "page.md is not in quarantine")):
        error = run("quarantine", "retry", "large minutes.txt", wrong).exception
        assert isinstance(error, NotFound)
        assert error.message.startswith(message)
    assert isinstance(run("quarantine", "retry", "--source", "nope").exception, NotFound)
    assert json.loads(run("quarantine", "list", "--json").stdout)["quarantined"] == [found], "nothing was marked"
    assert json.loads(run("quarantine", "retry", "large minutes.txt", "--json").stdout) == {"retried": 1}


@pytest.mark.usefixtures("filled")
def test_the_quarantine_of_a_source_that_is_not_there_is_no_empty_one() -> None:
    error = run("quarantine", "list", "--source", "nope").exception
    assert isinstance(error, NotFound)
    assert "no source system nope" in str(error)
