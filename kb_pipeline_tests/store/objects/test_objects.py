"""One API over folders and S3: the same behaviour on both, and what is said when either is not there."""

from __future__ import annotations

import itertools
import os
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from kb_pipeline.core.contracts import Element, MaskedChunk
from kb_pipeline.core.errors import DiskFull, ObjectChanged, ObjectStoreUnavailable, UnusableKey
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.artifacts import read_table, records_to_table, table_to_records, write_table
from kb_pipeline.store.objects.object_store import STREAM_BYTES, Encryption, ObjectStore, ObjectStoreConfig, open_store
from kb_pipeline.store.views.overview import quarantined
from kb_pipeline_tests.support.lines import LineSource
from kb_pipeline_tests.support.s3 import SERVER, S3Server, make_bucket

_numbers = itertools.count()
ODD_KEYS = [
    "plain.txt",
    "员工手册/年假 规定.docx",
    "with space, comma & ampersand.txt",
    "per%20cent.txt",
    "plus+hash#question?.txt",
    "emoji 😀.md",
    "deep/er/est/file.pdf",
    "UPPER and lower.TXT",
    "nfc é and nfd é.txt",
    "full\u3000width\u3000space.txt",
    "quote'\"quote.txt",
    "back\\slash.txt",
    "star*[x]{y}~^|.txt",
    "..hidden/.dot",
]
# moto takes no key with an empty segment or a line break, Swift lists none with an escape.
UNUSABLE_KEYS = ["b\tc.txt", *(["n/\x1bescape.txt"] if SERVER == "moto" else ["c//double.txt", "line\nbreak.txt"])]


@pytest.fixture(params=["file", pytest.param("s3", marks=pytest.mark.s3)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "file":
        return ObjectStore(ObjectStoreConfig((tmp_path / "a folder 文件夹").as_uri()))
    return _in_a_bucket(request)


def _in_a_bucket(request: pytest.FixtureRequest) -> ObjectStore:
    endpoint = request.getfixturevalue("s3_endpoint")
    name = f"bucket{next(_numbers)}"
    make_bucket(endpoint, name)
    return ObjectStore(ObjectStoreConfig(f"s3://{name}/some/prefix", endpoint, "us-east-1"))


def keys(store: ObjectStore, prefix: str) -> list[str]:
    return sorted(item.key for item in store.list(prefix))


def test_folders_are_named_without_what_is_in_them(store: ObjectStore) -> None:
    assert list(store.folders("raw")) == []
    for path in ("raw/hr/a.md", "raw/hr/deep/er/b.md", "raw/人 事%/c.md", "raw/file.md", "rawer/other/d.md"):
        store.put(path, b"x")
    assert sorted(store.folders("raw")) == ["hr", "人 事%"]
    assert list(store.folders("raw/hr")) == ["deep"]


@pytest.mark.parametrize("key", ODD_KEYS)
def test_any_key_comes_back_as_it_was_written(store: ObjectStore, key: str) -> None:
    store.put(f"raw/hr/{key}", key.encode())
    assert keys(store, "raw/hr") == [key]
    assert store.get(f"raw/hr/{key}") == key.encode()
    assert b"".join(store.stream(f"raw/hr/{key}")) == key.encode()
    store.delete(f"raw/hr/{key}")
    assert keys(store, "raw/hr") == []


@pytest.mark.s3
def test_a_key_that_no_client_can_ask_for_costs_itself_alone(
    request: pytest.FixtureRequest, connection: Connection, lease: Lease
) -> None:
    store, client = _in_a_bucket(request), request.getfixturevalue("s3_server").client()
    bucket = urlsplit(store.config.url).netloc
    for key in UNUSABLE_KEYS:
        client.put_object(Bucket=bucket, Key=f"some/prefix/raw/hr/{key}", Body=key.encode())
    client.put_object(Bucket=bucket, Key="some/prefix/raw/no\twhere/a.txt", Body=b"x")
    source = LineSource(connection, store, lease)
    source.write(**{name: f"text of {name}" for name in ("a", "m", "z")})
    assert keys(store, "raw/hr") == sorted([*UNUSABLE_KEYS, "a.txt", "m.txt", "z.txt"])
    assert sorted(store.folders("raw")) == ["hr", "no\twhere"]
    for key in UNUSABLE_KEYS:
        with pytest.raises(UnusableKey, match=r"Copy the object to another key\."):
            store.get(f"raw/hr/{key}")
        with pytest.raises(UnusableKey):
            store.head("raw/hr", key)
    source.sync()
    assert source.published() == {name: [f"text of {name}"] for name in ("a", "m", "z")}
    found = quarantined(connection, "hr")
    assert [(one.stage, one.error_class) for one in found] == [("raw", "UnusableKey")] * len(UNUSABLE_KEYS)
    assert source.reconcile().hinted == 0, "listed the same way every time"
    client.delete_object(Bucket=bucket, Key=f"some/prefix/raw/hr/{UNUSABLE_KEYS[0]}")
    source.sync()
    assert len(quarantined(connection, "hr")) == len(UNUSABLE_KEYS) - 1


def test_a_listing_says_size_time_and_a_tag_that_changes_with_the_bytes(store: ObjectStore) -> None:
    store.put("raw/hr/a", b"one")
    (first,) = store.list("raw/hr")
    assert (first.key, first.size) == ("a", 3)
    assert abs(datetime.now(UTC) - first.modified_at) < timedelta(minutes=5)
    store.put("raw/hr/a", b"two and more")
    (second,) = store.list("raw/hr")
    assert second.size == 12
    assert first.etag
    assert second.etag
    assert first.etag != second.etag


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(store: ObjectStore) -> None:
    store.put("raw/hr/a", b"1")
    store.put("raw/hr-old/b", b"2")
    assert keys(store, "raw/hr") == ["a"]
    assert keys(store, "raw/nothing") == []


def test_more_objects_than_a_page_of_the_listing(store: ObjectStore) -> None:
    count = 1100 if store.config.url.startswith("s3") else 3000
    for number in range(count):
        store.put(f"raw/hr/{number:05}", b"")
    assert keys(store, "raw/hr") == [f"{number:05}" for number in range(count)]


def test_a_large_object_comes_in_pieces_and_a_file_is_sent_from_disk(store: ObjectStore, tmp_path: Path) -> None:
    body = os.urandom(3 * STREAM_BYTES + 17)
    (tmp_path / "large.bin").write_bytes(body)
    store.put("raw/hr/large", tmp_path / "large.bin")
    pieces = list(store.stream("raw/hr/large"))
    assert b"".join(pieces) == body
    assert len(pieces) > 1
    assert max(map(len, pieces)) < 4 * STREAM_BYTES


def test_an_object_that_is_gone_is_changed_not_a_broken_store(store: ObjectStore) -> None:
    store.put("raw/hr/other", b"")
    with pytest.raises(ObjectChanged):
        store.get("raw/hr/gone")
    with pytest.raises(ObjectChanged):
        list(store.stream("raw/hr/gone"))
    store.delete("raw/hr/gone")


def test_bodies_are_counted_and_listings_are_not(store: ObjectStore) -> None:
    store.put("raw/hr/a", b"1")
    list(store.list("raw/hr"))
    store.get("raw/hr/a")
    list(store.stream("raw/hr/a"))
    store.delete("raw/hr/a")
    assert (store.counter.reads, store.counter.writes, store.counter.deletes) == (2, 1, 1)


def test_a_check_leaves_nothing_behind(store: ObjectStore) -> None:
    store.check()
    assert keys(store, "artifacts") == []


def test_a_process_opens_each_place_once(tmp_path: Path) -> None:
    config = ObjectStoreConfig((tmp_path / "x").as_uri())
    assert open_store(config) is open_store(ObjectStoreConfig((tmp_path / "x").as_uri()))


@pytest.mark.s3
def test_a_missing_bucket_is_named_with_the_setting(s3_endpoint: str) -> None:
    store = ObjectStore(ObjectStoreConfig("s3://no-such-bucket/x", s3_endpoint, "us-east-1"))
    for act in (lambda: list(store.list("raw/hr")), lambda: store.put("a", b""), lambda: store.get("a"), store.check):
        with pytest.raises(ObjectStoreUnavailable, match=r"s3://no-such-bucket/x does not exist.*object_store\.url"):
            act()


def test_a_server_that_does_not_run_is_named_with_the_setting() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    store = ObjectStore(ObjectStoreConfig("s3://bucket", f"http://127.0.0.1:{port}", "us-east-1"))
    with pytest.raises(ObjectStoreUnavailable, match=r"does not answer.*object_store\.endpoint"):
        list(store.list("raw/hr"))


@pytest.mark.s3
@pytest.mark.skipif(SERVER == "moto", reason="moto takes any credentials: make test-swift")
@pytest.mark.parametrize("variable", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_refused(s3_endpoint: str, variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"bucket{next(_numbers)}"
    make_bucket(s3_endpoint, name)
    right = ObjectStore(ObjectStoreConfig(f"s3://{name}/x", s3_endpoint, "us-east-1"))
    right.put("a", b"there")
    monkeypatch.setenv(variable, "kb:nobody")
    wrong = ObjectStore(ObjectStoreConfig(f"s3://{name}/x", s3_endpoint, "us-east-1"))
    acts = (lambda: list(wrong.list("raw/hr")), lambda: wrong.put("b", b""), lambda: wrong.get("a"), wrong.check)
    for act in acts:
        with pytest.raises(ObjectStoreUnavailable, match=r"refuses to .*AWS_SECRET_ACCESS_KEY") as caught:
            act()
        assert "nobody" not in str(caught.value)
    assert [item.size for item in right.list("")] == [5]


def test_missing_credentials_are_named(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without keys the client asks the metadata service of a cloud, which is not there."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    store = ObjectStore(ObjectStoreConfig("s3://bucket", s3_endpoint, "us-east-1"))
    with pytest.raises(ObjectStoreUnavailable, match="AWS_ACCESS_KEY_ID"):
        list(store.list("raw/hr"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 256 KiB. Skipped where this user may not mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small tmpfs (root)")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_told_from_a_broken_store_and_leaves_no_half_object(full_disk: Path) -> None:
    store = ObjectStore(ObjectStoreConfig(full_disk.as_uri()))
    store.put("raw/hr/small", b"fits")
    with pytest.raises(DiskFull, match="No space left on the disk that holds file://"):
        store.put("raw/hr/large", os.urandom(1024 * 1024))
    assert keys(store, "raw/hr") == ["small"]
    store.put("raw/hr/next", b"fits again")
    assert store.get("raw/hr/next") == b"fits again"


def test_a_folder_that_cannot_be_made_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    store = ObjectStore(ObjectStoreConfig((tmp_path / "file" / "objects").as_uri()))
    with pytest.raises(ObjectStoreUnavailable, match=r"object_store\.url"):
        list(store.list("raw/hr"))


@pytest.mark.s3
@pytest.mark.parametrize(
    ("encryption", "answered"),
    [
        (Encryption("AES256"), {"ServerSideEncryption": "AES256"}),
        (Encryption("aws:kms", "kb-clear"), {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "kb-clear"}),
    ],
    ids=["keys of the store", "a key of the key service"],
)
def test_what_lies_below_clear_alone_is_encrypted_as_asked(
    moto_server: S3Server, encryption: Encryption, answered: dict[str, str]
) -> None:
    name = f"bucket{next(_numbers)}"
    make_bucket(moto_server.endpoint, name)
    store = ObjectStore(ObjectStoreConfig(f"s3://{name}/kb", moto_server.endpoint, "us-east-1", encryption))
    written = write_table(store, "parse", "ab12", records_to_table([Element("lamps", "paragraph")], Element)[0])
    masked = write_table(store, "mask", "ab12", records_to_table([], MaskedChunk)[0])
    store.put("raw/hr/a.txt", b"lamps")
    for path, wanted in ((written.uri, answered), (masked.uri, {}), ("raw/hr/a.txt", {})):
        head = moto_server.client().head_object(Bucket=name, Key=f"kb/{path}")
        assert {field: head[field] for field in ("ServerSideEncryption", "SSEKMSKeyId") if field in head} == wanted
    assert table_to_records(read_table(store, written), Element)[0].text == "lamps"
    store.delete(written.uri)
    assert keys(store, "artifacts/clear") == []
