"""What follows a run: the next one while a backlog is left, an alert, and the end of one whose process is gone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterRun,
    DagsterRunStatus,
    ExecuteInProcessResult,
    RunRequest,
    SkipReason,
    build_run_status_sensor_context,
    build_sensor_context,
    job,
    op,
)
from dagster._core.test_utils import create_run_for_test

from kb_pipeline.definitions import build_definitions
from kb_pipeline.defs.automation.alerts import alert_braked, alert_failed, braked_in
from kb_pipeline.defs.automation.dagster_runs import PARTITION, Suspects
from kb_pipeline.defs.automation.sensors import continue_backlog, lost_runs
from kb_pipeline.defs.automation.upkeep import COLLECT, RECONCILE
from kb_pipeline.defs.resources import KnowledgeBaseResource
from kb_pipeline.defs.tags import COMMAND_LINE, LAUNCHED_BY
from kb_pipeline.pipeline import intake
from kb_pipeline.store.ledger.lease import acquire, release
from kb_pipeline.store.ledger.sources import Brake
from kb_pipeline_tests.defs.conftest import Base
from kb_pipeline_tests.operations.test_alerts import Webhook, hook

__all__ = ["hook"]

SECRET = "秘密 13800138000"


def after(base: Base, sensor: Any, run: DagsterRun) -> Any:
    """What a sensor says of a run that came to its end."""
    failed = sensor is alert_failed
    event_type = DagsterEventType.RUN_FAILURE if failed else DagsterEventType.RUN_SUCCESS
    event = DagsterEvent(event_type_value=event_type.value, job_name=run.job_name)
    resources = {"knowledge_base": KnowledgeBaseResource()}
    context = build_run_status_sensor_context(sensor.name, event, base.instance, run, resources=resources)
    return sensor(context.for_run_failure() if failed else context)


def words(answer: Any) -> str:
    assert isinstance(answer, SkipReason)
    assert answer.skip_message
    return answer.skip_message


def test_the_next_run_follows_while_a_backlog_is_left(base: Base) -> None:
    base.write(leave="Two weeks ahead.", travel="By train.")
    intake.reconcile(base.settings, "hr")
    run = base.dagster_run(DagsterRunStatus.SUCCESS, **{"kb/backlog": "3"})
    (request,) = after(base, continue_backlog, run)
    assert isinstance(request, RunRequest)
    assert (request.partition_key, request.run_key) == ("hr", f"{run.run_id}-hr")
    assert request.tags["kb/launched_by"] == "continue_backlog"
    assert (request.tags["kb/backlog"], request.tags["kb/runs_without_progress"]) == ("2", "0")
    base.dagster_run(DagsterRunStatus.STARTED)
    assert "is in progress" in words(after(base, continue_backlog, run))


def test_runs_that_get_nowhere_come_to_an_end(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    intake.reconcile(base.settings, "hr")
    tags = {"kb/backlog": "1", "kb/runs_without_progress": "3"}
    (request,) = after(base, continue_backlog, base.dagster_run(DagsterRunStatus.SUCCESS, **tags))
    assert request.tags["kb/runs_without_progress"] == "4"
    last = base.dagster_run(DagsterRunStatus.SUCCESS, **request.tags)
    assert words(after(base, continue_backlog, last)) == (
        "hr: 5 runs in a row left as much to do as they found; stopped"
    )


def test_nothing_follows_a_run_of_the_command_line_of_one_stage_or_that_left_nothing(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    base.sync()
    by_hand = base.dagster_run(DagsterRunStatus.SUCCESS)
    assert words(after(base, continue_backlog, by_hand)) == "hr: nothing to do"
    base.write(leave="Three weeks ahead.")
    intake.reconcile(base.settings, "hr")
    assert after(base, continue_backlog, by_hand)
    command = base.dagster_run(DagsterRunStatus.SUCCESS, **{LAUNCHED_BY: COMMAND_LINE})
    stage = create_run_for_test(
        base.instance, job_name="__ASSET_JOB", tags={PARTITION: "hr"}, status=DagsterRunStatus.SUCCESS
    )
    for run in (command, stage):
        assert words(after(base, continue_backlog, run)) == f"run {run.run_id[:8]} is none that is continued"


def upkeep(base: Base, name: str, **options: Any) -> ExecuteInProcessResult:
    job = build_definitions(base.settings).resolve_job_def(name)
    return job.execute_in_process(instance=base.instance, **options)


def test_a_full_reconciliation_finds_what_an_equal_digest_hides_and_runs_follow(base: Base) -> None:
    base.write(leave="Two weeks ahead.", travel="By train.")
    base.sync()
    with base.connect() as connection:
        connection.execute("UPDATE kb.document SET etag = 'another' WHERE key = 'leave.md'")
    assert intake.reconcile(base.settings, "hr").unchanged
    (request,) = after(base, continue_backlog, upkeep(base, RECONCILE).dagster_run)
    assert (request.partition_key, request.tags["kb/backlog"]) == ("hr", "1")


def test_collecting_says_first_what_goes(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    base.sync()
    with base.connect() as connection:
        connection.execute("DELETE FROM kb.stage_state WHERE stage <> 'raw'")
    result = upkeep(base, COLLECT)
    (said,) = [event.step_output_data.metadata for event in result.all_events if event.is_successful_output]
    assert said["foreseen"].value == (
        f"4 artifacts and 0 objects without a row, {said['bytes'].value:,} bytes; 0 documents past the retention"
    )
    assert said["artifacts"].value == 4
    with base.connect() as connection:
        assert connection.execute("SELECT count(*) FROM kb.artifact").fetchone() == (0,)


def test_collecting_applies_the_retention_of_clear_text(base: Base) -> None:
    base.write(leave="Two weeks ahead.")
    base.sync()
    assert base.settings.config_path
    base.settings.config_path.write_text("sources: {hr: {}}\nretention: {clear_days: 0}\n")
    result = upkeep(base, COLLECT)
    (said,) = [event.step_output_data.metadata for event in result.all_events if event.is_successful_output]
    assert said["foreseen"].value.startswith("0 artifacts, clear text of 2 artifacts and 0 objects")
    assert said["clear text past its retention"].value == 2
    assert not [path for path in (base.raw.parent / "artifacts" / "clear").rglob("*") if path.is_file()]


def test_an_alert_has_the_words_of_our_errors_and_no_word_of_others(base: Base, hook: Webhook) -> None:
    @op
    def breaks() -> None:
        raise ValueError(SECRET)

    @job
    def broken() -> None:
        breaks()

    base.post_alerts_to(hook.url)
    (base.settings.home / "objects").write_text("a file where a folder should be")
    down = upkeep(base, RECONCILE, raise_on_error=False)
    defect = broken.execute_in_process(instance=base.instance, raise_on_error=False)
    died = base.dagster_run(DagsterRunStatus.FAILURE)
    for failed in (down.dagster_run, defect.dagster_run, died):
        assert words(after(base, alert_failed, failed)).endswith("failed; posted")
    ours, theirs, nobodys = hook.received
    assert (ours["kind"], ours["source_system"], ours["run_id"]) == ("failed", "every source", down.run_id)
    assert "object_store.url" in ours["message"]
    assert (theirs["error_class"], theirs["message"]) == ("ValueError", "Unexpected ValueError in breaks.")
    assert (nobodys["source_system"], nobodys["message"]) == ("hr", "The run's process died, or someone ended it.")
    assert SECRET not in str(hook.received)


def test_a_brake_is_told_by_the_run_that_put_it_on_and_by_no_later_one(base: Base, hook: Webhook) -> None:
    base.post_alerts_to(hook.url)
    base.write(**{f"page{n}": f"Page {n}." for n in range(3)})
    base.sync()
    run = base.started_run(datetime.now(UTC))
    assert words(after(base, alert_braked, run)) == "hr: no deletes wait for a word"
    (base.raw / "hr").rename(base.raw.parent / "elsewhere")
    base.sync()
    assert words(after(base, alert_braked, run)) == f"hr: run {run.run_id[:8]} braked; posted"
    later = base.started_run(datetime.now(UTC))
    assert "since before run" in words(after(base, alert_braked, later))
    (alert,) = hook.received
    assert (alert["kind"], alert["error_class"], alert["run_id"]) == ("braked", "DeletesUnconfirmed", run.run_id)
    assert (alert["numbers"]["gone"], alert["numbers"]["live"]) == (3, 3)


def test_a_brake_that_is_older_than_a_run_is_not_that_runs_doing() -> None:
    brake = Brake(gone=40, live=100, moved=0, since="2026-11-21", seconds=30)
    assert braked_in(brake, run_seconds=31)
    assert not braked_in(brake, run_seconds=29)


def lost(base: Base, cursor: str | None) -> tuple[str, str]:
    """What the sensor for lost runs says, and its cursor."""
    resources = {"knowledge_base": KnowledgeBaseResource()}
    result: Any = lost_runs(build_sensor_context(instance=base.instance, cursor=cursor, resources=resources))
    return words(result.skip_reason), result.cursor


def test_runs_whose_process_is_gone_are_ended_and_told(base: Base, hook: Webhook) -> None:
    base.post_alerts_to(hook.url)
    assert lost(base, None) == ("no run is in progress", "{}")
    long_ago = datetime.now(UTC) - timedelta(hours=3)
    works = base.started_run(long_ago)
    gone = base.started_run(long_ago, "wiki", **{LAUNCHED_BY: COMMAND_LINE})
    lease = acquire(base.dsn, "hr", works.run_id, wait_seconds=0, ttl_seconds=60, on_wait=print)
    said, cursor = lost(base, None)
    assert said == "2 in progress, 1 without a lease, 0 ended"
    assert list(Suspects.read(cursor).since) == [gone.run_id]
    said, cursor = lost(base, str(Suspects({gone.run_id: long_ago})))
    assert (said, cursor) == ("2 in progress, 0 without a lease, 1 ended", "{}")
    release(base.dsn, lease)
    assert [base.instance.get_run_by_id(run.run_id).status for run in (works, gone)] == [  # type: ignore[union-attr]
        DagsterRunStatus.STARTED,
        DagsterRunStatus.FAILURE,
    ]
    (alert,) = hook.received
    assert (alert["source_system"], alert["run_id"]) == ("wiki", gone.run_id)
