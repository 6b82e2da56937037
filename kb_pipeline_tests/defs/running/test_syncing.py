"""A sync of several source systems: one that fails hides nothing of the others, and all that fail are named."""

from __future__ import annotations

import json

import click.testing
import pytest

from kb_pipeline.cli import kb
from kb_pipeline.core.errors import EmbeddingUnavailable, NotFound, SourceBusy, SourcesFailed
from kb_pipeline.defs.running.syncing import SyncOptions, sync
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.operations.maintenance import remove_source
from kb_pipeline.pipeline.reports import SyncReport, no_stages
from kb_pipeline.settings import Settings
from kb_pipeline_tests.defs.conftest import Base

PAGE = "A page about something, long enough for a passage of its own."


def run_of(base: Base, errors: dict[str, Exception]):  # type: ignore[no-untyped-def]
    """Runs of the real stages, but for sources that meet an error."""

    def run(settings: Settings, source: str, **observing: bool) -> SyncReport:
        if source in errors:
            raise errors[source]
        base.run(source, settings)
        return SyncReport(source, run_id="run", runs=1, stages=no_stages(1))

    return run


def test_all_reports_and_all_errors_come_out_of_a_sync_of_several(base: Base) -> None:
    base.write(hr__a=PAGE, legal__b=PAGE, sales__c=PAGE, wiki__d=PAGE)
    errors = {"hr": SourceBusy("hr is busy.", "Wait."), "sales": ZeroDivisionError("about a document")}
    with pytest.raises(SourcesFailed) as caught:
        sync(base.settings, ["hr", "legal", "sales", "wiki"], SyncOptions(), run_of(base, errors))
    failed = caught.value
    assert [report.source_system for report in failed.reports] == ["legal", "wiki"]
    assert list(failed.errors) == ["hr", "sales"]
    assert failed.errors["hr"] is errors["hr"]
    assert failed.errors["sales"].message == "Unexpected ZeroDivisionError."
    assert failed.errors["sales"].__cause__ is errors["sales"]
    assert failed.exit_code == SourceBusy.exit_code
    assert failed.message.startswith("2 of 4 source systems failed: hr: hr is busy.; sales: Unexpected")
    assert "about a document" not in str(failed)


def test_of_a_single_source_its_own_error_is_raised(base: Base) -> None:
    base.write(hr__a=PAGE)
    error = EmbeddingUnavailable("No embedding server answers.")
    with pytest.raises(EmbeddingUnavailable) as caught:
        sync(base.settings, ["hr"], SyncOptions(), run_of(base, {"hr": error}))
    assert caught.value is error


@pytest.fixture
def sources(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    """hr is in step; old and older were removed, and their objects are still there. Settings come from the shell."""
    base.write(hr__a=PAGE, old__b=PAGE, older__c=PAGE)
    for name in ("hr", "old", "older"):
        base.sync(name)
    for name in ("old", "older"):
        remove_source(base.settings, name)
    monkeypatch.chdir(base.settings.home)
    monkeypatch.setenv("KB_HOME", str(base.settings.home))
    monkeypatch.setenv("KB_DATABASE_DSN", base.dsn)


@pytest.mark.usefixtures("sources")
def test_the_command_shows_what_succeeded_and_names_each_error() -> None:
    done = click.testing.CliRunner().invoke(kb, ["sync", "old", "hr", "older"])
    assert done.exit_code == NotFound.exit_code
    assert done.stdout.startswith("hr: nothing to do, 1 objects listed")
    assert "Error: old: Source system old was removed." in done.stderr
    assert "Error: older: Source system older was removed." in done.stderr


@pytest.mark.usefixtures("sources")
def test_json_has_the_reports_and_the_errors() -> None:
    done = click.testing.CliRunner().invoke(kb, ["sync", "old", "hr", "older", "--json"])
    assert done.exit_code == NotFound.exit_code
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["source_system"] for line in lines] == ["hr", "old", "older"]
    assert [line.get("error") for line in lines] == [None, "NotFound", "NotFound"]
    assert lines[0]["listed"] == 1
    assert lines[1]["remedy"]


@pytest.mark.usefixtures("sources")
def test_python_has_both() -> None:
    with pytest.raises(SourcesFailed) as caught:
        KnowledgeBase().sync("hr", "old")
    assert [report.source_system for report in caught.value.reports] == ["hr"]
    assert isinstance(caught.value.errors["old"], NotFound)
