"""The sensor over all source systems, on a real ledger and a real folder: what it launches, and what it says."""

from __future__ import annotations

import json
import re
import threading
from pathlib import Path

import pytest
from dagster import DagsterRunStatus

from kb_pipeline.core.errors import ObjectStoreUnavailable
from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS
from kb_pipeline.defs.automation.launching import PLANNED
from kb_pipeline.defs.automation.listings import LISTINGS, Listings
from kb_pipeline.defs.automation.ticks import Cursor
from kb_pipeline.defs.automation.watching import find_sources, known_sources, look_at
from kb_pipeline.pipeline import intake
from kb_pipeline.settings import NotificationSettings, Settings
from kb_pipeline.sources.reconciling import Reconciled
from kb_pipeline_tests.defs.conftest import Base

WITH_NEW = NotificationSettings(new_sources=True)
IN_STEP = r"hr: 2 objects listed, nothing changed since \d{4}-\d\d-\d\d \d\d:\d\d UTC"


def test_documents_become_a_run_and_then_there_is_nothing_to_do(base: Base) -> None:
    base.write(leave="# Leave\n\nTwo weeks ahead.", travel="# Travel\n\nBy train.")
    (request,) = base.tick().run_requests or ()
    assert (request.partition_key, request.run_key, request.run_config) == ("hr", None, PLANNED)
    assert request.tags == {
        "kb/why": "2 objects listed, 2 differences; 2 keys to look at; run requested",
        "kb/launched_by": "new_documents",
        "kb/backlog": "2",
        "kb/runs_without_progress": "0",
    }
    assert base.instance.get_dynamic_partitions(SOURCE_SYSTEMS) == ["hr"]
    assert list(json.loads(base.cursor or "")["digests"]) == ["hr"]
    base.run()
    (line,) = base.said()
    assert re.fullmatch(IN_STEP, line)
    base.write(leave=None)
    assert base.launched() == {"hr": "1 object listed, 1 difference; 1 document to delete; run requested"}


def test_a_source_with_a_run_in_progress_waits_for_the_next_tick(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    run = base.dagster_run(DagsterRunStatus.STARTED)
    assert base.said() == [f"hr: run {run.run_id[:8]} is in progress; what came in meanwhile is for the next tick"]
    base.instance.delete_run(run.run_id)
    assert list(base.launched()) == ["hr"]


def test_a_source_whose_run_just_failed_waits(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    run = base.dagster_run(DagsterRunStatus.STARTED)
    base.instance.report_run_failed(run)
    (line,) = base.said()
    assert re.fullmatch(r"hr: .*1 key to look at; the last run failed, next try in \d+ s", line)


def test_what_is_wrong_with_one_source_concerns_no_other(base: Base) -> None:
    base.write(leave="Two weeks ahead.", wiki__page="A page.")
    (base.raw / "wiki" / "line\nbreak.md").write_text("A name that the store refuses.")
    settings = base.settings.model_copy(update={"notifications": WITH_NEW})
    assert list(base.launched(settings)) == ["hr"]
    base.run()
    assert [line for line in base.said(settings) if line.startswith("wiki: ")] == [
        f"wiki: A file name below {base.settings.object_store_url} holds a line break or another control character. "
        "Rename that file, then sync again."
    ]


def test_new_prefixes_become_source_systems_where_that_is_allowed(base: Base) -> None:
    base.write(wiki__page="A page.")
    (base.raw / "Staff Files").mkdir()
    (base.raw / "empty").mkdir()
    said = base.said()
    assert said[0] == "new under raw/: wiki (notifications.new_sources is off)"
    assert said[1] == "1 folder under raw/ with names that no source system can have"
    assert base.instance.get_dynamic_partitions(SOURCE_SYSTEMS) == ["hr"]
    settings = base.settings.model_copy(update={"notifications": WITH_NEW})
    assert list(base.launched(settings)) == ["wiki"]
    assert base.instance.get_dynamic_partitions(SOURCE_SYSTEMS) == ["hr", "wiki"]
    assert "wiki" in find_sources(base.settings).sources, "the ledger knows it now"


def test_a_source_that_was_removed_is_left_alone(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    intake.reconcile(base.settings, "hr")
    with base.connect() as connection:
        connection.execute("UPDATE kb.source SET removed_at = now()")
    assert base.said() == ["hr: removed, not looked at"]
    assert known_sources(base.settings).to_list == set()


def test_a_store_that_is_down_is_said_of_every_source(base: Base, tmp_path: Path) -> None:
    (tmp_path / "objects").write_text("a file where a folder should be")
    said = base.said()
    assert [line.partition(": ")[0] for line in said] == ["new prefixes", "hr"]


def test_deletes_that_wait_for_a_word_launch_nothing_until_they_are_taken_back(base: Base) -> None:
    base.write(**{f"page{n}": f"Page {n}." for n in range(3)})
    base.sync()
    (base.raw / "hr").rename(base.raw.parent / "elsewhere")
    assert list(base.launched()) == ["hr"], "the run is what puts the brake on"
    base.run()
    (line,) = base.said()
    assert line.endswith("3 of 3 documents gone and not deleted without --confirm-deletes")
    assert base.checks == [False]
    assert base.said()[0] == line
    (base.raw.parent / "elsewhere").rename(base.raw / "hr")
    (line,) = base.said()
    assert line.startswith("hr: 3 objects listed, 0 differences")
    assert base.checks == [False, True], "no run was needed to take it back"


def test_a_tick_whose_time_is_over_goes_on_where_it_ended(base: Base) -> None:
    settings = base.settings.model_copy(update={"sources": Settings(sources={"a": {}, "b": {}}).sources})
    cursor = Cursor()
    looks = look_at(
        settings, known_sources(settings), {}, lambda _: pytest.fail("no work, no past"), cursor, seconds=-1
    )
    assert [(look.source_system, look.late) for look in looks] == [("a", True), ("b", True)]
    assert cursor.next == "a"


def test_a_listing_that_takes_long_goes_on_between_ticks_and_is_not_begun_twice() -> None:
    listings, go_on, begun = Listings(), threading.Event(), []

    def slow() -> Reconciled:
        begun.append(True)
        assert go_on.wait(30)
        return Reconciled(1, 0, True, "digest")

    first = listings.begin("hr", slow)
    assert not listings.wait("hr", first, 0)
    assert listings.begin("hr", slow) is first
    go_on.set()
    assert listings.wait("hr", first, 30)
    assert (first.seen, len(begun)) == (Reconciled(1, 0, True, "digest"), 1)
    assert listings.begin("hr", slow) is not first


def test_a_listing_that_fails_says_why_in_our_words_alone() -> None:
    def refused() -> Reconciled:
        raise ObjectStoreUnavailable("It refuses.", "Check it.")

    def defect() -> Reconciled:
        raise ValueError("秘密.docx")

    for work, words in ((refused, "It refuses. Check it."), (defect, "could not be listed: unexpected ValueError")):
        going = LISTINGS.begin(("test", words), work)
        assert LISTINGS.wait(("test", words), going, 30)
        assert going.error == words
