"""An embedding service that fails: for some texts, only their documents wait or go to quarantine and readers keep their
old versions; as a whole, the run stops with one error. Once it is well, the next sync completes.

A document goes to quarantine when the service answers for its text, and the answer is of no use: it would be the same
again, and a poison text is not to be sent for ever. It waits when nobody answered: nothing is known about the text yet.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import FAULTS, EmbeddingStub, embedding_stub
from kb_pipeline_tests.support.s3 import free_port

pytestmark = pytest.mark.long

NewWorkspace = Callable[..., Workspace]

QUARANTINED = (400, "html", "not json", "wrong shape", "too few", "wrong index", "nan", "zero", "length")
WAITING = (429, 500, 502, 503, 504, "hang", "close")
PASSING = ("500 once", "429 once")
HEALTHY = tuple(f"healthy-{n:02}.md" for n in range(12))
CONFIG = "embedding:\n  timeout_seconds: 3\n  max_retries: 2\n  batch_texts: 8\n"


def name_of(fault: str | int) -> str:
    return f"{str(fault).replace(' ', '-')}.md"


def marker_of(fault: str | int) -> str:
    return f"QQ{str(fault).replace(' ', '')}QQ"


def page(name: str, text: str) -> str:
    return f"# {name}\n\nThis is what {name} says: {text}.\n"


FIRST = {
    name: page(name, "the first version") for name in (*HEALTHY, *map(name_of, (*QUARANTINED, *WAITING, *PASSING)))
}
SECOND = {name: page(name, "the second version") for name in HEALTHY} | {
    name_of(fault): page(name_of(fault), f"the second version {marker_of(fault)}")
    for fault in (*QUARANTINED, *WAITING, *PASSING)
}


def test_every_fault_of_the_stub_is_tried() -> None:
    assert set(FAULTS) <= {*QUARANTINED, *WAITING}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kb.yaml"
    path.write_text(CONFIG)
    return path


def shown(workspace: Workspace) -> dict[str, str]:
    """What readers find of each document: which version."""
    with workspace.database() as connection:
        rows = connection.execute(
            "SELECT d.key, string_agg(c.content, ' ') FROM kb.document d JOIN kb.chunk c USING (document_id) GROUP BY 1"
        ).fetchall()
    return {key: "second" if "the second version" in text else "first" for key, text in rows}


def states(workspace: Workspace) -> dict[str, str]:
    """Documents that are not what they should be: key -> error class."""
    with workspace.database() as connection:
        return dict(
            connection.execute(
                "SELECT d.key, s.error_class FROM kb.stage_state s JOIN kb.document d USING (document_id)"
                " WHERE s.status <> 'ok'"
            ).fetchall()
        )


def expected_states() -> dict[str, str]:
    return {name_of(fault): "TextRejected" for fault in QUARANTINED} | {
        name_of(fault): "TextUnanswered" for fault in WAITING
    }


def test_edits_whose_texts_have_faults_cost_their_documents_alone(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub
) -> None:
    """And readers keep the version before."""
    workspace = new_workspace("provider_edits", config, KB_EMBEDDING_URLS=stub.url)
    folder = tmp_path / "documents"
    well = {*HEALTHY, *map(name_of, PASSING)}
    with workspace.entered() as base:
        base.ingest(write_files(folder, FIRST), "hr")
        assert shown(workspace) == dict.fromkeys(FIRST, "first")
        stub.faults = {marker_of(fault): fault for fault in (*QUARANTINED, *WAITING, *PASSING)}
        began, before = time.monotonic(), stub.requests
        report = base.ingest(write_files(folder, SECOND), "hr").sync
        print(f"{len(stub.faults)} faults: {time.monotonic() - began:.1f} s, {stub.requests - before} requests")
        assert states(workspace) == expected_states()
        assert shown(workspace) == {
            **dict.fromkeys(set(SECOND) - well, "first"),
            **dict.fromkeys(well, "second"),
        }
        assert report.stages["embed"]["quarantined"] == len(QUARANTINED)
        assert report.waiting == len(WAITING)
        (found, *_) = base.search("This is what hang.md says: the first version", "hr")
        assert found.source_file == "hang.md"
        stub.faults = {}
        completes(workspace, base)


def test_new_documents_whose_texts_have_faults_are_named_and_not_quoted(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub
) -> None:
    """The stub quotes the text in what it answers."""
    workspace = new_workspace("provider_new", config, KB_EMBEDDING_URLS=stub.url)
    folder = write_files(tmp_path / "documents", SECOND)
    stub.faults = {marker_of(fault): fault for fault in (*QUARANTINED, *WAITING, *PASSING)}
    done = workspace.kb("ingest", str(folder), "--source", "hr")
    assert done.returncode == 0, done.stderr
    assert states(workspace) == expected_states()
    assert set(shown(workspace)) == {*HEALTHY, *map(name_of, PASSING)}
    listed = workspace.kb("quarantine", "list")
    with workspace.database() as connection:
        messages = str(connection.execute("SELECT error_message FROM kb.stage_state").fetchall())
    assert "TextRejected" in listed.stdout
    assert all("QQ" not in said for said in (done.stdout, done.stderr, listed.stdout, messages))
    stub.faults = {}
    with workspace.entered() as base:
        completes(workspace, base)


def completes(workspace: Workspace, base: KnowledgeBase) -> None:
    """Now that the service is well: the next sync takes up what waits, a retry what is in quarantine, and no more."""
    base.sync("hr")
    assert states(workspace) == {name_of(fault): "TextRejected" for fault in QUARANTINED}
    assert base.retry(source="hr") == len(QUARANTINED)
    base.sync("hr")
    assert states(workspace) == {}
    assert shown(workspace) == dict.fromkeys(SECOND, "second")
    (again,) = base.sync("hr")
    assert (again.object_reads, again.object_writes, again.model_calls) == (0, 0, 0)


def test_a_service_that_goes_down_stops_the_run_and_what_was_embedded_stays(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub
) -> None:
    workspace = new_workspace("provider_down", config, KB_EMBEDDING_URLS=stub.url)
    names = [f"note-{n:03}.md" for n in range(150)]
    folder = write_files(tmp_path / "documents", {name: page(name, "the first version") for name in names})
    stub.down_after = 12  # one to try it, eleven of eight texts: of 150 documents in groups of 64, one group
    done = workspace.kb("ingest", str(folder), "--source", "hr", "--json")
    assert done.returncode == 4, done.stderr
    error = json.loads(done.stdout)
    assert error["error"] == "EmbeddingUnavailable"
    assert "HTTP 503" in error["message"]
    assert done.stderr.count("Error:") == 1
    assert states(workspace) == {}
    (status,) = workspace.kb_json("status")["sources"]
    assert (status["documents"], status["quarantined"]) == (150, 0)

    stub.down_after = None
    before = len(stub.texts)
    with workspace.entered() as base:
        base.sync("hr")
    assert shown(workspace) == dict.fromkeys(names, "first")
    sent = [text for text in stub.texts[before:] if text != "test"]
    assert len(sent) == len(set(sent)) <= 150 - 64


def test_a_service_that_embeds_nothing_but_one_word_is_to_blame_itself(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub
) -> None:
    workspace = new_workspace("provider_useless", config, KB_EMBEDDING_URLS=stub.url)
    folder = write_files(tmp_path / "documents", FIRST)
    stub.faults = {"": 500}
    done = workspace.kb("ingest", str(folder), "--source", "hr", "--json")
    assert done.returncode == 4, done.stderr
    assert "none of the 30 texts of 30 documents" in json.loads(done.stdout)["message"]
    assert states(workspace) == {}
    stub.faults = {}
    with workspace.entered() as base:
        base.sync("hr")
    assert shown(workspace) == dict.fromkeys(FIRST, "first")


def test_a_slow_service_is_waited_for(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub
) -> None:
    """A second a request; the limit is three."""
    workspace = new_workspace("provider_slow", config, KB_EMBEDDING_URLS=stub.url)
    stub.delay = 1.0
    with workspace.entered() as base:
        base.ingest(write_files(tmp_path / "documents", FIRST), "hr")
    assert shown(workspace) == dict.fromkeys(FIRST, "first")


def test_a_service_that_comes_up_while_it_is_waited_for(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path
) -> None:
    port = free_port()
    config.write_text("embedding:\n  max_retries: 10\n")
    workspace = new_workspace("provider_late", config, KB_EMBEDDING_URLS=f"http://127.0.0.1:{port}")
    done = threading.Event()

    def serve_late() -> None:
        time.sleep(5)
        with embedding_stub(port):
            done.wait(120)

    late = threading.Thread(target=serve_late)
    late.start()
    try:
        with workspace.entered() as base:
            base.ingest(write_files(tmp_path / "documents", FIRST), "hr")
    finally:
        done.set()
        late.join()
    assert shown(workspace) == dict.fromkeys(FIRST, "first")
