"""What the messages of S3, SNS, EventBridge, MinIO and Ceph name, and which of it concerns a source system."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kb_pipeline.settings import SOURCE_NAME
from kb_pipeline.sources.notifications import Malformed, Named, Notified, named_in, notified, region_in

STORE = "s3://documents/team a/kb"


def record(key: str, bucket: str = "documents", event: str = "ObjectCreated:Put") -> dict[str, Any]:
    s3 = {"bucket": {"name": bucket}, "object": {"key": quote_plus(key), "size": 3, "eTag": "x"}}
    return {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": event, "s3": s3}


def s3(*keys: str, event: str = "ObjectCreated:Put") -> str:
    return json.dumps({"Records": [record(key, event=event) for key in keys]})


def through_sns(body: str) -> str:
    return json.dumps({"Type": "Notification", "TopicArn": "arn:aws:sns:eu-central-1:1:kb", "Message": body})


def through_eventbridge(key: str) -> str:
    detail = {"version": "0", "bucket": {"name": "documents"}, "object": {"key": key, "size": 3}, "reason": "PutObject"}
    return json.dumps({"version": "0", "detail-type": "Object Created", "source": "aws.s3", "detail": detail})


KEYS = [
    "team a/kb/raw/hr/a.md",
    "raw/hr/员工手册/年假 规定.docx",
    "raw/hr/100% #1 a+b&c=d?",
    "raw/hr/a%20b",
    "plain",
]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    "wrap",
    [s3, lambda key: through_sns(s3(key)), through_eventbridge, lambda key: through_sns(through_eventbridge(key))],
    ids=["s3", "sns", "eventbridge", "eventbridge-sns"],
)
def test_a_key_is_the_same_whichever_way_it_came(wrap: Any, key: str) -> None:
    assert named_in(wrap(key)) == [Named("documents", key)]


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_any_key_comes_through(key: str) -> None:
    assert named_in(s3(key)) == named_in(through_sns(s3(key))) == named_in(through_eventbridge(key))
    assert named_in(s3(key)) == [Named("documents", key)]


@pytest.mark.parametrize(
    "event",
    ["ObjectCreated:CompleteMultipartUpload", "ObjectCreated:Copy", "ObjectRemoved:Delete", "ObjectAcl:Put",
     "ObjectRemoved:DeleteMarkerCreated", "LifecycleExpiration:Delete", "ObjectRestore:Completed", "not known yet"],
)  # fmt: skip
def test_whatever_is_said_to_have_happened_the_key_is_named(event: str) -> None:
    assert named_in(s3("a", "b", event=event)) == [Named("documents", "a"), Named("documents", "b")]


def test_the_forms_of_minio_and_ceph() -> None:
    minio = {"EventName": "s3:ObjectCreated:Put", "Key": "documents/raw/hr/a b", "Records": [record("raw/hr/a b")]}
    ceph = {
        "Records": [{**record("raw/hr/a b", event="ObjectCreated:Put"), "eventSource": "ceph:s3", "opaqueData": ""}]
    }
    assert named_in(json.dumps(minio)) == named_in(json.dumps(ceph)) == [Named("documents", "raw/hr/a b")]


def test_the_message_of_the_set_up_names_nothing() -> None:
    message = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "documents", "RequestId": "1"})
    assert named_in(message) == named_in(through_sns(message)) == []


@pytest.mark.parametrize(
    "body",
    [
        "",
        "hello",
        "3",
        "null",
        "[]",
        "{}",
        '{"Records": 3}',
        '{"Records": [{}]}',
        '{"Records": [{"s3": {"bucket": {"name": "b"}, "object": {"key": null}}}]}',
        '{"Records": [{"s3": {"bucket": "b", "object": "k"}}]}',
        '{"detail": "secret"}',
        '{"Message": "secret"}',
        '{"Message": 3}',
        "[" * 100_000,
        through_sns(through_sns(through_sns(through_sns(s3("secret"))))),
    ],
    ids=lambda body: body[:30],
)
def test_what_is_not_understood_is_said_without_its_text(body: str) -> None:
    result = named_in(body)
    assert isinstance(result, Malformed)
    assert result.reason in {"not JSON", "not a JSON object", "no object named", "too many envelopes"}


@given(st.text())
def test_no_text_breaks_the_reading(body: str) -> None:
    assert isinstance(named_in(body), (list, Malformed))
    assert isinstance(named_in(through_sns(body)), (list, Malformed))


def asked(key: str, *, bucket: str = "documents", store: str = STORE, new_sources: bool = False) -> Notified | None:
    return notified(Named(bucket, key), store, {"hr"}, new_sources)


def test_a_document_of_a_source_system_is_named_below_its_prefix() -> None:
    assert asked("team a/kb/raw/hr/a/b c.md") == Notified("hr", "a/b c.md")
    assert asked("raw/hr/a", store="s3://documents") == asked("raw/hr/a", store="s3://documents/") == ("hr", "a")


@pytest.mark.parametrize(
    "key",
    [
        "raw/hr/outside the prefix",
        "team a/kb/artifacts/clear/parse/ab/x.arrow",
        "team a/kb/raw/hr",
        "team a/kb/raw/hr/",
        "team a/kb/raw/hr/folder/",
        "team a/kb/raw//a",
        "team a/kb/raw/a",
        "team a/kb/raw/Human Resources/a",
        "team a/kb/raw/unknown/a",
        "team a/kb/rawhr/a",
        "another/team a/kb/raw/hr/a",
        "team a/kb/raw/hr/a//b",
        "team a/kb/raw/hr/../wiki/a",
        "team a/kb/raw/hr/./a",
        "team a/kb/raw/hr/a\nb",
        "team a/kb/raw/hr/a\x00b",
        "team a/kb/raw/hr/half \ud800",
        "",
    ],
)
def test_what_is_no_document_here_is_left_alone(key: str) -> None:
    assert asked(key) is None


def test_another_bucket_is_left_alone() -> None:
    assert asked("team a/kb/raw/hr/a", bucket="documents-old") is None


def test_a_prefix_nobody_named_counts_when_the_settings_say_so() -> None:
    assert asked("team a/kb/raw/new-one/a", new_sources=True) == Notified("new-one", "a")
    assert asked("team a/kb/raw/New One/a", new_sources=True) is None


@given(st.text())
def test_what_is_named_can_be_stored_and_asked_for(rest: str) -> None:
    found = asked(f"team a/kb/raw/{rest}", new_sources=True)
    if found:
        assert SOURCE_NAME.fullmatch(found.source_system)
        assert f"{found.source_system}/{found.key}" == rest
        assert "\x00" not in found.key
        found.key.encode()


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-central-1.amazonaws.com/123456789012/kb", "eu-central-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/kb", "us-gov-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/kb", "cn-north-1"),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/kb", "eu-west-1"),
        ("http://127.0.0.1:5000/123456789012/kb", None),
        ("http://sqs/1/kb", None),
    ],
)
def test_the_region_is_read_from_the_address(url: str, region: str | None) -> None:
    assert region_in(url) == region
