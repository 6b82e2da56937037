"""What a source has to do, asked before any run."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from kb_pipeline.core.errors import NotFound
from kb_pipeline.pipeline import intake
from kb_pipeline.settings import Settings
from kb_pipeline.store.ledger.backlog import pause_source
from kb_pipeline_tests.support.lines import LineSource


@pytest.fixture
def settings(source: LineSource, dsn: str) -> Settings:
    """Those of the source's runs, with a way to the database."""
    return source.source_run().settings.model_copy(update={"database_dsn": SecretStr(dsn)})


def test_what_a_listing_tells_and_what_is_left_to_do(source: LineSource, settings: Settings) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a="ONE", b=None, c="three")
    taken = intake.take_in(settings, "hr")
    assert taken.reconciled is not None
    assert (taken.reconciled.listed, taken.backlog.hints, taken.backlog.gone) == (2, 2, 1)
    assert taken.backlog.work
    source.sync()
    assert not intake.take_in(settings, "hr").backlog.work


def test_named_keys_are_asked_for_and_nothing_is_listed(source: LineSource, settings: Settings) -> None:
    source.write(a="one", b="two")
    source.sync()
    source.write(a="ONE", b="TWO")
    taken = intake.take_in(settings, "hr", keys=["a.txt"])
    assert taken.reconciled is None
    assert (taken.backlog.hints, taken.backlog.live) == (1, 0), "documents are not counted for it"
    assert source.look().looked_at == 1


def test_a_source_in_step_is_noted_as_checked(source: LineSource, settings: Settings) -> None:
    checked = "SELECT checked_at IS NOT NULL FROM kb.source"
    source.write(a="one")
    source.observe()
    intake.backlog(settings, "hr")
    assert source.connection.execute(checked).fetchone() == (False,), "there is work to do"
    source.run_stages()
    intake.backlog(settings, "hr")
    assert source.connection.execute(checked).fetchone() == (True,)


def test_what_waits_is_due_at_once_when_someone_asks(source: LineSource, settings: Settings) -> None:
    source.write(a="one")
    source.observe()
    pause_source(source.connection, "hr")
    source.connection.execute("UPDATE kb.document SET retry_at = now() + interval '1 hour'")
    assert (waits := intake.take_in(settings, "hr").backlog).paused
    assert (waits.documents, waits.waiting) == (0, 1)
    due = intake.take_in(settings, "hr", now=True).backlog
    assert (due.paused, due.documents, due.waiting) == (False, 1, 0)


def test_a_removed_source_takes_nothing_in(source: LineSource, settings: Settings) -> None:
    source.write(a="one")
    source.observe()
    source.connection.execute("UPDATE kb.source SET removed_at = now()")
    with pytest.raises(NotFound, match="hr was removed"):
        intake.take_in(settings, "hr")
