"""Reports of several runs as one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from kb_pipeline.pipeline.reports import added, no_stages, run_report
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import report_json


def stages(**reports: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Reports of all six stages, of which these did something."""
    return {name: {**report, **reports.get(name, {})} for name, report in no_stages(0).items()}


FIRST = run_report(
    "hr",
    "first",
    1.5,
    stages(
        raw={"considered": 4, "done": 2, "reused": 2, "deleted": 1},
        parse={"done": 2, "seconds": 0.25, "costs": {"object_reads": 2, "object_writes": 3, "peak_worker_bytes": 50}},
        embed={"done": 2, "costs": {"model_calls": 1, "model_texts": 7, "object_writes": 2}, "stats": {"tokens": 30}},
    ),
)
SECOND = run_report(
    "hr",
    "second",
    1.0,
    stages(
        raw={"considered": 1, "done": 1},
        parse={"done": 1, "seconds": 0.5, "costs": {"object_reads": 1, "peak_worker_bytes": 70}},
        embed={"done": 1, "costs": {"model_calls": 1, "model_texts": 2}, "stats": {"tokens": 5}},
        publish={"deleted": 2},
    ),
)


def test_a_run_adds_up_its_stages_and_keeps_the_highest_peak() -> None:
    assert (FIRST.object_reads, FIRST.object_writes, FIRST.model_calls, FIRST.model_texts) == (2, 5, 1, 7)
    assert (FIRST.peak_worker_bytes, FIRST.deleted, FIRST.runs) == (50, 1, 1)


def test_runs_are_added_up_and_peaks_are_not() -> None:
    whole = added(FIRST, SECOND)
    assert (whole.run_id, whole.runs, whole.deleted) == ("second", 2, 3)
    assert (whole.object_reads, whole.object_writes, whole.model_calls, whole.model_texts) == (3, 5, 2, 9)
    assert whole.peak_worker_bytes == 70
    parse, embed = whole.stages["parse"], whole.stages["embed"]
    assert (parse["done"], parse["seconds"]) == (3, 0.75)
    assert parse["costs"] == {"object_reads": 3, "object_writes": 3, "peak_worker_bytes": 70}
    assert (embed["done"], embed["stats"]) == (3, {"tokens": 35})
    assert added(SECOND, FIRST).peak_worker_bytes == 70


def test_what_was_listed_once_is_considered_once() -> None:
    raw = added(replace(FIRST, listed=4), SECOND).stages["raw"]
    assert (raw["considered"], raw["rows"], raw["done"], raw["reused"]) == (4, 4, 3, 1)


def test_stages_that_had_nothing_to_do_have_reports_like_all_others() -> None:
    nothing = no_stages(listed=7)
    assert nothing["raw"] == report_json(StageReport("raw", considered=7, reused=7))
    assert nothing["publish"] == report_json(StageReport("publish"))
