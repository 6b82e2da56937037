"""An object store that fails: for one object, only its document waits; as a whole, the run stops with one error. Once
it is well, the next sync completes. A real S3 API behind a proxy with a bad day."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub
from kb_pipeline_tests.support.faulty_proxy import FaultyProxy, faulty_proxy
from kb_pipeline_tests.support.s3 import SERVER, S3Server

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(SERVER != "moto", reason="signatures are made for the proxy's address"),
]

NAMES = ["bad.md", *(f"good-{n}.md" for n in range(8))]
_numbers = itertools.count()
RAW_BAD = "raw/hr/bad.md"


def documents(version: str) -> dict[str, str]:
    return {name: f"# {name}\n\nThis is the {version} version of {name}.\n" for name in NAMES}


@pytest.fixture
def proxy(s3_server: S3Server) -> Iterator[FaultyProxy]:
    with faulty_proxy(s3_server.endpoint) as proxy:
        yield proxy


@pytest.fixture
def place(
    new_workspace: Callable[..., Workspace],
    s3_server: S3Server,
    proxy: FaultyProxy,
    stub: EmbeddingStub,
) -> Workspace:
    name = f"store_faults_{next(_numbers)}"
    bucket = name.replace("_", "-")
    s3_server.client().create_bucket(Bucket=bucket)
    environment = {**s3_server.environment, "AWS_ENDPOINT_URL": proxy.url}
    return new_workspace(name, KB_OBJECT_STORE_URL=f"s3://{bucket}/kb", KB_EMBEDDING_URLS=stub.url, **environment)


def shown(workspace: Workspace) -> dict[str, str]:
    """What readers find of each document: which version."""
    with workspace.database() as connection:
        rows = connection.execute("SELECT d.key, c.content FROM kb.document d JOIN kb.chunk c USING (document_id)")
        return {key: "second" if "second version" in text else "first" for key, text in rows}


def troubles(workspace: Workspace) -> set[tuple[str, str, str]]:
    with workspace.database() as connection:
        return set(
            connection.execute(
                "SELECT d.key, s.status, s.error_class FROM kb.stage_state s JOIN kb.document d USING (document_id)"
                " WHERE s.status <> 'ok'"
            ).fetchall()
        )


def on_pass(number: int, fault: int | str, path: str) -> Callable[[str, str], int | str | None]:
    """Reads of `path` fail from the `number`-th on."""
    passes = 0

    def decide(method: str, asked: str) -> int | str | None:
        nonlocal passes
        if method != "GET" or not asked.endswith(path):
            return None
        passes += 1
        return fault if passes >= number else None

    return decide


@pytest.mark.parametrize(("when", "fault"), [("looked at", 500), ("parsed", 403), ("parsed", "close")])
def test_an_object_that_cannot_be_read_costs_its_document_alone(
    place: Workspace, proxy: FaultyProxy, tmp_path: Path, when: str, fault: int | str
) -> None:
    with place.entered() as base:
        base.ingest(write_files(tmp_path, documents("first")), "hr")
        proxy.fault = on_pass(1 if when == "looked at" else 2, fault, RAW_BAD)
        report = base.ingest(write_files(tmp_path, documents("second")), "hr").sync
        assert troubles(place) == {("bad.md", "failed", "ObjectUnavailable")}
        assert shown(place) == {name: "first" if name == "bad.md" else "second" for name in NAMES}
        assert report.waiting == 1
        proxy.mend()
        (report,) = base.sync("hr")
        assert (report.waiting, troubles(place)) == (0, set())
        assert shown(place) == dict.fromkeys(NAMES, "second")
        (again,) = base.sync("hr")
        assert (again.object_reads, again.object_writes, again.model_calls) == (0, 0, 0)


def test_a_store_that_goes_down_stops_the_run_with_one_error(
    place: Workspace, proxy: FaultyProxy, tmp_path: Path
) -> None:
    """After nine files were mirrored and read, and some were parsed."""
    folder = write_files(tmp_path, documents("first"))
    proxy.fault = lambda method, path: None if len(proxy.requests) < 60 else 503
    done = place.kb("ingest", str(folder), "--source", "hr", "--json")
    assert done.returncode == 4, (len(proxy.requests), done.stderr)
    assert json.loads(done.stdout)["error"] == "ObjectStoreUnavailable"
    assert done.stderr.count("Error:") == 1
    assert not any(status == "quarantined" for _, status, _ in troubles(place))
    proxy.mend()
    with place.entered() as base:
        base.sync("hr")
    assert troubles(place) == set()
    assert shown(place) == dict.fromkeys(NAMES, "first")
