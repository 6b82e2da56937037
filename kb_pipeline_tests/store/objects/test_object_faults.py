"""A store that fails for one object alone, told apart from one that is down: S3 behind a proxy with a bad day."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb_pipeline.core.errors import ArtifactDamaged, ObjectStoreUnavailable, ObjectUnavailable, TransientError
from kb_pipeline.sources.folder import Rules
from kb_pipeline.sources.mirror import mirror
from kb_pipeline.store.objects import object_store
from kb_pipeline.store.objects.artifacts import ArtifactRef, read_table
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig
from kb_pipeline_tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from kb_pipeline_tests.support.s3 import SERVER, S3Server

pytestmark = pytest.mark.skipif(SERVER != "moto", reason="signatures are made for the proxy's address")

_numbers = itertools.count()
SECRET = "zebra-crossing"


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def store(s3_server: S3Server, proxy: FaultyProxy) -> ObjectStore:
    bucket = f"faults{next(_numbers)}"
    s3_server.client().create_bucket(Bucket=bucket)
    store = ObjectStore(ObjectStoreConfig(f"s3://{bucket}/kb", proxy.url, "us-east-1"))
    for name in (SECRET, "other"):
        store.put(f"raw/hr/{name}", b"text " * 1000)
    return store


VERBS: dict[str, Callable[[ObjectStore], object]] = {
    "get": lambda store: store.get(f"raw/hr/{SECRET}"),
    "stream": lambda store: list(store.stream(f"raw/hr/{SECRET}")),
    "put": lambda store: store.put(f"raw/hr/{SECRET}", b"new"),
    "head": lambda store: store.head("raw/hr", SECRET),
    "delete": lambda store: store.delete(f"raw/hr/{SECRET}"),
}


@pytest.mark.parametrize("fault", [500, 503, 403, 429, "close"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_fault_of_one_object_is_its_own(store: ObjectStore, proxy: FaultyProxy, verb: str, fault: int | str) -> None:
    proxy.fail(fault, SECRET)
    with pytest.raises(ObjectUnavailable) as error:
        VERBS[verb](store)
    assert SECRET not in str(error.value)
    assert error.value.remedy
    assert isinstance(error.value, TransientError)
    assert store.get("raw/hr/other")
    assert [item.key for item in store.list("artifacts")] == [], "the probe is gone"
    proxy.mend()
    VERBS[verb](store)


@pytest.mark.parametrize("fault", [500, 403, "close"])
@pytest.mark.parametrize("verb", VERBS)
def test_a_store_that_is_down_is_not_the_objects_fault(
    store: ObjectStore, proxy: FaultyProxy, verb: str, fault: int | str
) -> None:
    proxy.fail(fault, "/")
    with pytest.raises(ObjectStoreUnavailable):
        VERBS[verb](store)


def test_a_store_that_takes_nothing_in_is_down(store: ObjectStore, proxy: FaultyProxy) -> None:
    """It reads and lists, so that only writing another object shows it."""
    proxy.fail(507, "/", methods=("PUT",))
    with pytest.raises(ObjectStoreUnavailable):
        store.put(f"raw/hr/{SECRET}", b"new")


def test_an_object_that_hangs_is_given_up(
    store: ObjectStore, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_store, "STALL_SECONDS", 1)
    proxy.fail("hang", SECRET)
    impatient = ObjectStore(store.config)
    began = time.monotonic()
    with pytest.raises(ObjectUnavailable):
        impatient.get(f"raw/hr/{SECRET}")
    assert time.monotonic() - began < 20
    assert impatient.get("raw/hr/other")


def test_a_store_that_hangs_again_and_again_is_taken_as_down(
    store: ObjectStore, proxy: FaultyProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a run would wait a time limit for each of a million objects."""
    monkeypatch.setattr(object_store, "STALL_SECONDS", 1)
    monkeypatch.setattr(object_store, "SLOW_SECONDS", 0.5)
    proxy.fail("hang", "raw/hr/")
    impatient = ObjectStore(store.config)
    for _ in range(object_store.SLOW_FAILURES - 1):
        with pytest.raises(ObjectUnavailable):
            impatient.get(f"raw/hr/{SECRET}")
    with pytest.raises(ObjectStoreUnavailable):
        impatient.get(f"raw/hr/{SECRET}")


def test_half_an_answer_is_not_taken_for_the_whole(store: ObjectStore, proxy: FaultyProxy) -> None:
    proxy.fail("cut", SECRET)
    for read in (VERBS["get"], VERBS["stream"]):
        with pytest.raises(ObjectUnavailable):
            read(store)


def test_an_artifact_that_the_store_does_not_give_out_is_made_again(store: ObjectStore, proxy: FaultyProxy) -> None:
    proxy.fail(500, SECRET)
    with pytest.raises(ArtifactDamaged):
        read_table(store, ArtifactRef(f"raw/hr/{SECRET}", 5000, "0" * 64))


def test_a_file_that_cannot_be_stored_does_not_keep_the_others_from_it(
    store: ObjectStore, proxy: FaultyProxy, tmp_path: Path
) -> None:
    for name in ("bad.md", "good.md"):
        (tmp_path / name).write_text(name)
    proxy.fail(500, "bad.md")
    report = mirror(store, tmp_path, "raw/wiki", Rules(known={}))
    assert (report.uploaded, report.failed) == (1, ["bad.md"])
