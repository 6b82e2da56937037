"""Events of a real bucket arrive as hints, through a real queue (moto's S3, SQS, SNS and EventBridge)."""

from __future__ import annotations

import itertools
import json
import logging
import socket
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline.core import faults
from kb_pipeline.core.errors import NotificationsUnavailable, SettingsError
from kb_pipeline.operations.doctor import examine
from kb_pipeline.settings import NotificationSettings, ObjectStoreSettings, Settings
from kb_pipeline.sources.notifications import Drained, Notified, check, drain
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.hints import add_hints
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn
from kb_pipeline_tests.support.s3 import ENVIRONMENT, S3Server

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]

PREFIX = "team a/kb"
KNOWN = ("hr", "wiki")
_numbers = itertools.count()


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@dataclass
class Place:
    """A bucket and its queue. What comes out of the queue is in `written`, a list a batch."""

    server: S3Server
    bucket: str
    queue_url: str
    queue_arn: str
    new_sources: bool = False
    written: list[list[Notified]] = field(default_factory=list)

    @property
    def settings(self) -> Settings:
        return Settings(
            object_store=ObjectStoreSettings(url=f"s3://{self.bucket}/{PREFIX}", endpoint=self.server.endpoint),
            notifications=NotificationSettings(queue_url=self.queue_url, new_sources=self.new_sources),
        )

    def put(self, key: str, body: bytes = b"text") -> None:
        self.server.client().put_object(Bucket=self.bucket, Key=f"{PREFIX}/raw/{key}", Body=body)

    def send(self, body: str) -> None:
        self.server.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=body)

    def configure(self, configuration: dict[str, Any]) -> None:
        self.server.client().put_bucket_notification_configuration(
            Bucket=self.bucket, NotificationConfiguration=configuration
        )

    def drain(self, write: Callable[[Sequence[Notified]], object] | None = None, **limits: Any) -> Drained:
        return drain(self.settings, write or (lambda found: self.written.append(list(found))), KNOWN, **limits)

    @property
    def keys(self) -> set[str]:
        return {f"{source}/{key}" for batch in self.written for source, key in batch}


@pytest.fixture
def bare(moto_server: S3Server) -> Place:
    """A bucket and a queue that do not know each other. A message that was not acknowledged is there again at once."""
    number = next(_numbers)
    moto_server.client().create_bucket(Bucket=f"notifying{number}")
    queue = moto_server.client("sqs").create_queue(QueueName=f"queue{number}", Attributes={"VisibilityTimeout": "0"})
    url = queue["QueueUrl"]
    arn = moto_server.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    return Place(moto_server, f"notifying{number}", url, arn["Attributes"]["QueueArn"])


@pytest.fixture
def place(bare: Place) -> Place:
    """The bucket sends all its events to the queue. The first is the test event that S3 sends when this is set up."""
    events = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]
    bare.configure({"QueueConfigurations": [{"QueueArn": bare.queue_arn, "Events": events}]})
    assert bare.drain() == Drained(messages=1)
    return bare


def test_puts_copies_uploads_in_parts_and_deletes_arrive(place: Place) -> None:
    s3 = place.server.client()
    place.put("hr/员工手册/年假 规定+100%.docx")
    s3.copy_object(
        Bucket=place.bucket,
        Key=f"{PREFIX}/raw/wiki/copy.md",
        CopySource={"Bucket": place.bucket, "Key": f"{PREFIX}/raw/hr/员工手册/年假 规定+100%.docx"},
    )
    s3.delete_object(Bucket=place.bucket, Key=f"{PREFIX}/raw/hr/员工手册/年假 规定+100%.docx")
    upload = {"Bucket": place.bucket, "Key": f"{PREFIX}/raw/hr/large.bin"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    part = s3.upload_part(**upload, PartNumber=1, Body=b"x")
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    drained = place.drain()
    assert place.keys == {"hr/员工手册/年假 规定+100%.docx", "wiki/copy.md", "hr/large.bin"}
    assert (drained.ignored, drained.malformed, drained.more) == (0, 0, False)
    assert place.drain() == Drained(), "all was acknowledged"


def test_a_delete_arrives_by_itself(place: Place) -> None:
    place.put("hr/a b.md")
    place.drain()
    place.written.clear()
    place.server.client().delete_object(Bucket=place.bucket, Key=f"{PREFIX}/raw/hr/a b.md")
    assert place.drain() == Drained(messages=1, hints=1)
    assert place.keys == {"hr/a b.md"}


def test_events_come_through_sns(bare: Place) -> None:
    sns = bare.server.client("sns")
    topic = sns.create_topic(Name=f"topic{next(_numbers)}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=bare.queue_arn)
    bare.configure({"TopicConfigurations": [{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}]})
    bare.put("hr/a b.md")
    assert bare.drain() == Drained(messages=2, hints=1)
    assert bare.keys == {"hr/a b.md"}


def test_events_come_through_eventbridge(bare: Place) -> None:
    rule = f"rule{next(_numbers)}"
    events = bare.server.client("events")
    events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.s3"]}))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": bare.queue_arn}])
    bare.configure({"EventBridgeConfiguration": {}})
    try:
        bare.put("hr/100% a+b.md")
        assert bare.drain().messages
        assert bare.keys == {"hr/100% a+b.md"}
        assert bare.drain() == Drained()
    finally:
        events.remove_targets(Rule=rule, Ids=["queue"])
        events.delete_rule(Name=rule)


def test_what_concerns_no_source_system_is_acknowledged_and_counted(place: Place) -> None:
    place.server.client().put_object(Bucket=place.bucket, Key="raw/hr/outside", Body=b"")
    place.put("unknown/a.md")
    place.put("hr/folder/")
    place.put("hr/a.md")
    assert place.drain() == Drained(messages=4, hints=1, ignored=3)
    assert place.keys == {"hr/a.md"}
    assert place.drain() == Drained()


def test_a_new_prefix_counts_when_the_settings_say_so(place: Place) -> None:
    place.new_sources = True
    place.put("brand-new/a.md")
    assert place.drain() == Drained(messages=1, hints=1)
    assert place.keys == {"brand-new/a.md"}


def test_a_message_not_understood_is_dropped_and_logged_without_its_text(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.send("13812345678")
    place.send('{"note": "13812345678"}')
    place.put("hr/a.md")
    with caplog.at_level(logging.WARNING, "kb_pipeline"):
        assert place.drain() == Drained(messages=3, hints=1, malformed=2)
    assert [r.name for r in caplog.records] == ["kb_pipeline.sources.notifications"] * 2
    assert "13812345678" not in caplog.text
    assert place.drain() == Drained()


def test_a_key_named_twice_in_a_batch_is_written_once(place: Place) -> None:
    for body in (b"one", b"two", b"three"):
        place.put("hr/a.md", body)
    assert place.drain().messages == 3
    assert all(len(set(batch)) == len(batch) for batch in place.written)
    assert place.keys == {"hr/a.md"}


def test_a_call_is_bounded_and_says_that_more_may_wait(place: Place) -> None:
    for number in range(25):
        place.put(f"hr/{number}.md")
    first = place.drain(messages=10)
    assert first.more
    assert first.messages == first.hints == 10
    assert max(map(len, place.written)) <= 10
    assert place.drain(seconds=0.0) == Drained(more=True)
    rest = place.drain()
    assert (rest.messages, rest.more) == (15, False)
    assert len(place.keys) == 25


class Died(BaseException):
    pass


def die(*_: object) -> None:
    raise Died


def test_a_run_that_dies_before_it_acknowledges_reads_the_message_again(place: Place, connection: Connection) -> None:
    def write(found: Sequence[Notified]) -> None:
        add_hints(connection, found)

    def hints() -> list[Any]:
        return connection.execute("SELECT source_system, key FROM kb.hint ORDER BY 1, 2").fetchall()

    def die_between(point: str) -> None:
        if point == "notifications.before_acknowledge":
            raise Died

    place.put("hr/a.md")
    with pytest.raises(Died), faults.on_reach(die_between):
        place.drain(write)
    assert hints() == [("hr", "a.md")], "the ledger knew before the queue forgot"
    assert place.drain(write) == Drained(messages=1, hints=1)
    assert hints() == [("hr", "a.md")]
    assert place.drain(write) == Drained()


def test_what_could_not_be_written_is_not_acknowledged(place: Place) -> None:
    place.put("hr/a.md")
    with pytest.raises(Died):
        place.drain(die)
    assert place.drain() == Drained(messages=1, hints=1)
    assert place.keys == {"hr/a.md"}


def unavailable(settings: Settings) -> NotificationsUnavailable:
    """What both calls say of a queue that cannot be used."""
    with pytest.raises(NotificationsUnavailable) as drained:
        drain(settings, die, KNOWN)
    with pytest.raises(NotificationsUnavailable) as checked:
        check(settings)
    assert str(drained.value) == str(checked.value)
    return drained.value


def with_queue(settings: Settings, **changes: Any) -> Settings:
    return settings.model_copy(update={"notifications": settings.notifications.model_copy(update=changes)})


def test_a_queue_that_can_be_used_passes_the_check(place: Place) -> None:
    check(place.settings)


@pytest.mark.parametrize(("suffix", "ok"), [("", True), ("-other", False)])
def test_the_doctor_looks_at_the_queue(place: Place, tmp_path: Path, suffix: str, ok: bool) -> None:
    settings = with_queue(place.settings, queue_url=f"{place.queue_url}{suffix}")
    config = tmp_path / "kb.yaml"
    config.write_text(json.dumps(settings.model_dump(mode="json", include={"object_store", "notifications"})))
    found = {finding.name: finding for finding in examine(config, tmp_path)}
    assert found["object store"].ok
    assert found["notifications"].ok is ok
    assert str(settings.notifications.queue_url) in found["notifications"].detail


def test_the_doctor_says_nothing_of_a_queue_that_is_not_set(place: Place, tmp_path: Path) -> None:
    config = tmp_path / "kb.yaml"
    config.write_text(json.dumps(place.settings.model_dump(mode="json", include={"object_store"})))
    assert "notifications" not in {finding.name for finding in examine(config, tmp_path)}


def test_a_missing_queue_is_named_with_the_setting(place: Place) -> None:
    error = unavailable(with_queue(place.settings, queue_url=f"{place.queue_url}-other"))
    assert f"{place.queue_url}-other does not exist" in error.message
    assert "notifications.queue_url" in error.remedy


def test_a_service_that_does_not_answer_is_named_with_the_setting(place: Place) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    error = unavailable(with_queue(place.settings, endpoint=endpoint))
    assert "does not answer" in error.message
    assert "notifications.endpoint" in error.remedy


def test_missing_credentials_are_named(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert "AWS_ACCESS_KEY_ID" in unavailable(place.settings).remedy


def test_a_region_that_nobody_named_is_asked_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert "notifications.region" in unavailable(place.settings).remedy
    check(with_queue(place.settings, region="us-east-1"))


@pytest.fixture
def refusing(moto_server: S3Server) -> Iterator[None]:
    """moto checks who asks, from the next request on."""

    def allow(requests: float) -> None:
        url, body = f"{moto_server.endpoint}/moto-api/reset-auth", str(requests).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "text/plain"}, method="POST")
        urllib.request.urlopen(request, timeout=10).close()

    yield allow(0)
    allow(float("inf"))


def test_a_queue_that_refuses_is_told_from_one_that_is_missing(place: Place, refusing: None) -> None:
    error = unavailable(place.settings)
    assert "refuses to be read" in error.message
    assert "AWS_SECRET_ACCESS_KEY" in error.remedy
    assert ENVIRONMENT["AWS_SECRET_ACCESS_KEY"] not in str(error)


def test_a_queue_needs_a_bucket(place: Place) -> None:
    settings = place.settings.model_copy(update={"object_store": ObjectStoreSettings(url="file:///nowhere")})
    with pytest.raises(SettingsError, match=r"no bucket.*object_store\.url"):
        drain(settings, die, KNOWN)
    with pytest.raises(SettingsError, match=r"notifications\.queue_url"):
        drain(Settings(), die, KNOWN)
