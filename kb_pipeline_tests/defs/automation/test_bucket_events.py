"""The sensor with a queue: what is put into a bucket or deleted from it is looked at by name, without a listing."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

import pytest

from kb_pipeline.core import faults
from kb_pipeline.settings import NotificationSettings, ObjectStoreSettings
from kb_pipeline_tests.defs.conftest import Base
from kb_pipeline_tests.support.s3 import ENVIRONMENT, S3Server

_numbers = itertools.count()


@dataclass
class Bucket:
    """A bucket that sends its events to a queue, and a knowledge base over both."""

    server: S3Server
    name: str
    base: Base

    def put(self, key: str, text: str) -> None:
        self.server.client().put_object(Bucket=self.name, Key=f"kb/raw/{key}", Body=text.encode())

    def delete(self, key: str) -> None:
        self.server.client().delete_object(Bucket=self.name, Key=f"kb/raw/{key}")

    def rows(self) -> dict[str, str]:
        """Key -> what is published of it."""
        query = "SELECT d.key, c.content FROM kb.chunk c JOIN kb.document d USING (document_id)"
        with self.base.connect() as connection:
            return dict(connection.execute(query).fetchall())


@pytest.fixture
def bucket(base: Base, moto_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    for variable, value in ENVIRONMENT.items():
        monkeypatch.setenv(variable, value)
    name = f"events{next(_numbers)}"
    sqs, s3 = moto_server.client("sqs"), moto_server.client()
    s3.create_bucket(Bucket=name)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    queue = {
        "QueueArn": arn,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "kb/raw/"}]}},
    }
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={"QueueConfigurations": [queue]})
    changes: dict[str, Any] = {
        "object_store": ObjectStoreSettings(url=f"s3://{name}/kb", endpoint=moto_server.endpoint),
        "notifications": NotificationSettings(queue_url=url, new_sources=True),
    }
    return Bucket(moto_server, name, replace(base, settings=base.settings.model_copy(update=changes)))


def points(bucket: Bucket) -> tuple[dict[str, str], set[str]]:
    """What a tick launches, and the durable steps it took."""
    seen: set[str] = set()
    with faults.on_reach(seen.add):
        return bucket.base.launched(), seen


def test_a_put_an_edit_and_a_delete_reach_the_tables_without_a_listing(bucket: Bucket) -> None:
    bucket.put("wiki/员工 手册/leave.md", "# Leave\n\nTwenty days a year.")
    bucket.put("wiki/travel.md", "# Travel\n\nBook by train.")
    assert list(bucket.base.launched()) == ["wiki"], "a prefix nobody named became a source system"
    bucket.base.run("wiki")
    assert set(bucket.rows()) == {"员工 手册/leave.md", "travel.md"}
    bucket.base.said()  # lists it once: what came before the first notification

    bucket.put("wiki/travel.md", "# Travel\n\nBook by plane.")
    launched, steps = points(bucket)
    assert "1 key to look at" in launched["wiki"]
    assert "notifications.before_acknowledge" in steps
    assert "reconcile.hinted" not in steps, "nothing was listed"
    bucket.base.run("wiki")
    assert bucket.rows()["travel.md"].endswith("Book by plane.")

    bucket.delete("wiki/travel.md")
    launched, steps = points(bucket)
    assert list(launched) == ["wiki"]
    assert "reconcile.hinted" not in steps
    bucket.base.run("wiki")
    assert set(bucket.rows()) == {"员工 手册/leave.md"}
    assert bucket.base.said()
