"""The real daemon with nobody at the keyboard: documents that are dropped into a bucket become rows, by the queue of
notifications, by a source's own schedule, and by the run that follows a run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kb_pipeline_tests.e2e.dagster_dev import LOCATION, REPOSITORY_NAME, DagsterDev, dagster_dev
from kb_pipeline_tests.e2e.workspace import REPOSITORY, Workspace
from kb_pipeline_tests.support.embedding_stub import embedding_stub
from kb_pipeline_tests.support.s3 import S3Server

pytestmark = pytest.mark.long

BUCKET, PREFIX = "automation", "kb"
RUNS = """
query Runs($source: String!) {
  runsOrError(filter: {tags: [{key: "dagster/partition", value: $source}]}) {
    ... on Runs { results { runId status tags { key value } } } } }"""
SENSOR = """
query Sensor($selector: SensorSelector!) {
  sensorOrError(sensorSelector: $selector) { ... on Sensor { defaultStatus sensorState {
    status ticks(limit: 200) { status skipReason runIds cursor logEvents { events { message } } } } } } }"""
START = """
mutation Start($selector: SensorSelector!) {
  startSensor(sensorSelector: $selector) { __typename ... on Sensor { sensorState { status } } } }"""
SCHEDULES = """
query Schedules($selector: RepositorySelector!) {
  schedulesOrError(repositorySelector: $selector) { ... on Schedules { results {
    name cronSchedule executionTimezone scheduleState { status } } } } }"""
PLACE = {"repositoryLocationName": LOCATION, "repositoryName": REPOSITORY_NAME}


@dataclass(frozen=True)
class Story:
    """Dagster over a bucket that tells a queue of what happens below raw/hr, and of nothing else."""

    dev: DagsterDev
    workspace: Workspace
    server: S3Server

    def put(self, **files: str) -> None:
        """Put objects into the bucket; a name begins with its source and two underscores."""
        for name, text in files.items():
            key = f"{PREFIX}/raw/{name.replace('__', '/')}.md"
            self.server.client().put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def documents(self, source: str) -> int:
        """Documents of a source that searches find."""
        with self.workspace.database() as connection:
            if connection.execute("SELECT to_regclass('kb.chunk')").fetchone() == (None,):
                return 0
            row = connection.execute(
                "SELECT count(DISTINCT document_id) FROM kb.chunk JOIN kb.document USING (document_id)"
                " WHERE source_system = %s",
                (source,),
            ).fetchone()
        return int(row[0]) if row else 0

    def wait_for(self, source: str, documents: int, seconds: float = 120) -> None:
        self.dev.poll(lambda: True if self.documents(source) == documents else None, seconds)

    def runs(self, source: str) -> list[dict[str, str]]:
        """The tags of a source's runs, the oldest first."""
        found = self.dev.ask(RUNS, source=source)["runsOrError"]["results"]
        return [{tag["key"]: tag["value"] for tag in run["tags"]} for run in reversed(found)]

    def sensor(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = self.dev.ask(SENSOR, selector={**PLACE, "sensorName": name})["sensorOrError"]
        return found

    def said(self, name: str) -> str:
        """All that a sensor's ticks said."""
        ticks = self.sensor(name)["sensorState"]["ticks"]
        logged = [event["message"] for tick in ticks for event in tick["logEvents"]["events"]]
        return "\n".join([*(tick["skipReason"] or "" for tick in ticks), *logged])


@pytest.fixture(scope="module")
def story(
    new_workspace: Callable[..., Workspace], moto_server: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("automation")
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(REPOSITORY / name, folder)
    moto_server.client().create_bucket(Bucket=BUCKET)
    queue = moto_server.client("sqs").create_queue(QueueName=BUCKET)["QueueUrl"]
    asked = moto_server.client("sqs").get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    notify = {
        "QueueArn": asked["Attributes"]["QueueArn"],
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{PREFIX}/raw/hr/"}]}},
    }
    moto_server.client().put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [notify]}
    )
    config = {
        "object_store": {"url": f"s3://{BUCKET}/{PREFIX}", "endpoint": moto_server.endpoint},
        "notifications": {"queue_url": queue},
        "runs": {"documents": 2},
        "automation": {"poll_seconds": 2},
        "sources": {"contracts": {}, "hr": {}, "wiki": {"cron": "* * * * *", "timezone": "Asia/Shanghai"}},
    }
    (folder / "kb.yaml").write_text(json.dumps(config))  # JSON is YAML
    with embedding_stub() as stub:
        workspace = new_workspace("automation", folder / "kb.yaml", KB_EMBEDDING_URLS=stub.url)
        with dagster_dev(workspace, folder / "dev.log") as dev:
            story = Story(dev, workspace, moto_server)
            story.put(contracts__lease="# Lease\n\nThree years.", contracts__nda="# NDA\n\nFive.")
            story.put(contracts__sla="# SLA\n\nOne.", wiki__deploy="Deployments begin at nine.")
            story.put(hr__early="Nobody has looked here yet.")
            yield story


@pytest.mark.timeout(420)
def test_a_run_that_takes_on_a_part_is_followed_by_the_next(story: Story) -> None:
    story.dev.poll(lambda: True if story.sensor("continue_backlog")["sensorState"]["ticks"] else None, 60)
    story.dev.launch("contracts")
    story.wait_for("contracts", 3)
    by_hand, followed = story.runs("contracts")
    assert "kb/launched_by" not in by_hand
    assert (followed["kb/launched_by"], followed["kb/backlog"]) == ("continue_backlog", "1")
    assert followed["kb/why"] == "1 key to look at; run requested"


def test_a_schedule_syncs_its_source_alone(story: Story) -> None:
    assert story.sensor("new_documents")["defaultStatus"] == "STOPPED"
    story.wait_for("wiki", 1)
    assert story.documents("hr") == 0
    (run,) = story.runs("wiki")
    assert (run["kb/launched_by"], run["dagster/schedule_name"]) == ("sync_wiki", "sync_wiki")
    assert run["kb/why"] == "1 object listed, 1 difference; 1 key to look at; run requested"


def test_schedules_are_shown_with_their_time_zone(story: Story) -> None:
    found = story.dev.ask(SCHEDULES, selector=PLACE)["schedulesOrError"]["results"]
    shown = {s["name"]: (s["cronSchedule"], s["executionTimezone"], s["scheduleState"]["status"]) for s in found}
    assert shown == {
        "sync_wiki": ("* * * * *", "Asia/Shanghai", "RUNNING"),
        "reconcile_sources": ("30 2 * * *", "UTC", "STOPPED"),
        "collect_garbage": ("0 4 * * 0", "UTC", "STOPPED"),
    }


@pytest.mark.timeout(420)
def test_documents_that_are_dropped_into_the_bucket_become_rows(story: Story) -> None:
    started = story.dev.ask(START, selector={**PLACE, "sensorName": "new_documents"})["startSensor"]
    assert started["sensorState"]["status"] == "RUNNING"
    story.wait_for("hr", 1)
    story.put(hr__leave="# 请假\n\n提前两周申请，电话13800138000。")
    story.wait_for("hr", 2)
    assert {run["kb/launched_by"] for run in story.runs("hr")} == {"new_documents"}
    story.server.client().delete_object(Bucket=BUCKET, Key=f"{PREFIX}/raw/hr/early.md")
    story.wait_for("hr", 1)


def test_ticks_say_what_they_saw_and_why_they_launched_nothing(story: Story) -> None:
    story.dev.poll(lambda: True if "hr: nothing to do" in story.said("new_documents") else None, 60)
    said = story.said("new_documents")
    assert "queue: 1 message, 1 key to look at" in said
    assert "queue: empty" in said
    assert "hr: 1 key to look at; run requested" in said
    assert "contracts: nothing to do" in said
    assert "13800138000" not in said
    assert "leave" not in said
