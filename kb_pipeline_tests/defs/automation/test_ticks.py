"""What a tick decides of a source system, and the words it says."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterRunStatus

from kb_pipeline.defs.automation.dagster_runs import Suspects, past_of_statuses, suspect
from kb_pipeline.defs.automation.schedules import schedule_names
from kb_pipeline.defs.automation.ticks import (
    BACKLOG,
    IDLE,
    Cursor,
    Look,
    Past,
    decide,
    idle_runs,
    in_words,
    said_of_prefixes,
    said_of_queue,
)
from kb_pipeline.sources.notifications import Drained
from kb_pipeline.sources.reconciling import Reconciled
from kb_pipeline.store.ledger.backlog import Backlog

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
TWO = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
SAME = Reconciled(listed=1204, hinted=0, unchanged=True, digest="a")
MORE = Reconciled(listed=1205, hinted=1, unchanged=False, digest="b")
WORK = Backlog(hints=1, documents=3, live=1204)
BRAKED = {"gone": 40, "live": 100, "since": "2026-11-21"}

CASES = {
    "nothing changed": (
        Look("hr", listed_at=TWO, seen=SAME, backlog=Backlog(live=1204)),
        "1,204 objects listed, nothing changed since 2026-11-21 02:00 UTC",
    ),
    "found nothing": (Look("hr", backlog=Backlog(live=3)), "nothing to do"),
    "all wait": (
        Look("hr", listed_at=TWO, seen=SAME, backlog=Backlog(waiting=5)),
        "1,204 objects listed, nothing changed since 2026-11-21 02:00 UTC; 5 waiting for another try",
    ),
    "deletes wait": (
        Look("hr", seen=MORE, backlog=Backlog(gone=40, live=100, brake=BRAKED)),
        "1,205 objects listed, 1 difference; 40 of 100 documents gone and not deleted without --confirm-deletes",
    ),
    "someone is at it": (
        Look("hr", seen=MORE, backlog=WORK, run_id="1a2b3c4d-5e6f"),
        "run 1a2b3c4d is in progress; what came in meanwhile is for the next tick",
    ),
    "the last runs failed": (
        Look("hr", backlog=WORK, past=Past(3, NOW - timedelta(seconds=30))),
        "1 key to look at, 3 documents not finished; the last 3 runs failed, next try in 90 s",
    ),
    "a service failed the last run": (
        Look("hr", backlog=Backlog(documents=1, paused=True)),
        "1 document not finished; paused after a run that a service failed",
    ),
    "cannot be listed": (Look("hr", error="The store refuses."), "The store refuses."),
    "still being listed": (Look("hr", listing_seconds=125), "still being listed after 2 min"),
    "not reached": (Look("hr", late=True), "not reached in this tick, the next one begins here"),
    "removed": (Look("hr", removed=True, backlog=WORK), "removed, not looked at"),
}


@pytest.mark.parametrize(("look", "words"), CASES.values(), ids=CASES)
def test_a_tick_that_launches_nothing_says_why(look: Look, words: str) -> None:
    verdict = decide(look, NOW)
    assert (verdict.launch, str(verdict)) == (False, f"hr: {words}")


@pytest.mark.parametrize(
    ("backlog", "words"),
    [
        (WORK, "1 key to look at, 3 documents not finished; run requested"),
        (Backlog(gone=2, live=100), "2 documents to delete; run requested"),
        (Backlog(regroup=True, live=1), "access rules changed; run requested"),
        (Backlog(hints=1, waiting=2), "1 key to look at; 2 waiting for another try; run requested"),
        (
            Backlog(gone=39, live=100, brake=BRAKED),
            "39 documents gone, another number than before; 40 of 100 documents gone and not deleted without "
            "--confirm-deletes; run requested",
        ),
        (
            Backlog(hints=1, gone=40, live=100, brake=BRAKED),
            "1 key to look at; 40 of 100 documents gone and not deleted without --confirm-deletes; run requested",
        ),
    ],
)
def test_a_tick_that_launches_says_what_there_is_to_do(backlog: Backlog, words: str) -> None:
    verdict = decide(Look("hr", backlog=backlog, past=Past(3, NOW - timedelta(seconds=120))), NOW)
    assert (verdict.launch, verdict.words) == (True, words)


def test_a_source_whose_runs_fail_is_left_alone_longer_each_time_up_to_an_hour() -> None:
    waits = [Past(failures, NOW).seconds_left(NOW) for failures in range(10)]
    assert waits == [0, 30, 60, 120, 240, 480, 960, 1920, 3600, 3600]


def test_runs_that_failed_are_counted_from_the_newest_and_those_in_progress_are_not() -> None:
    failed, ok = DagsterRunStatus.FAILURE, DagsterRunStatus.SUCCESS
    queued, canceled = DagsterRunStatus.QUEUED, DagsterRunStatus.CANCELED
    ends = [(queued, None), (failed, 50.0), (canceled, 40.0), (ok, 30.0), (failed, 20.0)]
    assert past_of_statuses(ends) == Past(2, datetime.fromtimestamp(50, UTC))
    assert past_of_statuses([(ok, 1.0), (failed, 0.0)]) == past_of_statuses([]) == Past()


def test_what_the_queue_held() -> None:
    assert said_of_queue(Drained()) == "queue: empty"
    drained = Drained(messages=12, hints=11, ignored=1, malformed=2, more=True)
    assert said_of_queue(drained) == (
        "queue: 12 messages, 11 keys to look at, 1 of no source system here, 2 not understood, more to come"
    )


def test_new_prefixes_are_named_and_unusable_names_only_counted() -> None:
    assert said_of_prefixes([], allowed=True, unusable=0) == []
    assert said_of_prefixes(["b", "a"], allowed=True, unusable=0) == ["new under raw/: a, b"]
    assert said_of_prefixes(["a"], allowed=False, unusable=1) == [
        "new under raw/: a (notifications.new_sources is off)",
        "1 folder under raw/ with names that no source system can have",
    ]


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0 s"), (99, "99 s"), (100, "2 min"), (7300, "2 h")])
def test_durations(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


def test_a_cursor_says_which_listing_was_seen_and_who_is_next() -> None:
    cursor = Cursor({"hr": "digest"}, next="hr", braked=["wiki"])
    assert Cursor.read(str(cursor)) == cursor
    assert cursor.in_turn(["wiki", "contracts", "hr"]) == ["hr", "wiki", "contracts"]
    assert Cursor(next="zzz").in_turn(["b", "a"]) == Cursor().in_turn(["b", "a"]) == ["a", "b"]


@pytest.mark.parametrize("text", [None, "", "nonsense", "[]", '{"digests": 1, "next": ""}', '{"hr": "digest"}'])
def test_what_is_no_cursor_is_an_empty_one(text: str | None) -> None:
    assert Cursor.read(text) == Cursor()


def test_runs_that_leave_as_much_as_they_found_are_counted() -> None:
    assert idle_runs({}, 10) == 0
    assert idle_runs({BACKLOG: "11", IDLE: "4"}, 10) == 0
    assert idle_runs({BACKLOG: "10"}, 10) == 1
    assert idle_runs({BACKLOG: "10", IDLE: "4"}, 12) == 5
    assert idle_runs({BACKLOG: "?", IDLE: "?"}, 10) == 0


def test_a_run_without_its_lease_is_dead_when_it_is_seen_so_twice_a_minute_apart() -> None:
    started = {"starting": ("hr", 100.0), "works": ("wiki", 9000.0), "died": ("contracts", 9000.0)}
    holders = {"wiki": "works", "contracts": "another"}
    first, dead = suspect(Suspects({"ended long ago": NOW}), started, holders, 60.0, NOW)
    assert (first, dead) == (Suspects({"died": NOW}), [])
    soon, dead = suspect(first, started, holders, 60.0, NOW + timedelta(seconds=59))
    assert (soon, dead) == (first, [])
    assert suspect(soon, started, holders, 60.0, NOW + timedelta(seconds=60)) == (Suspects({}), ["died"])
    back = {"wiki": "works", "contracts": "died"}
    assert suspect(soon, started, back, 60.0, NOW + timedelta(seconds=60)) == (Suspects({}), [])


def test_suspects_pass_from_tick_to_tick() -> None:
    suspects = Suspects({"run": NOW})
    assert Suspects.read(str(suspects)) == suspects
    assert Suspects.read(None) == Suspects.read("nonsense") == Suspects.read("[1]") == Suspects({})


def test_every_source_has_a_schedule_of_its_own_name() -> None:
    assert schedule_names(["hr", "a-b", "a_b", "a-b_2"]) == {
        "hr": "sync_hr",
        "a-b": "sync_a_b",
        "a-b_2": "sync_a_b_2",
        "a_b": "sync_a_b_3",
    }
