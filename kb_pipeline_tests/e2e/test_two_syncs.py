"""Two syncs of one source system at once, and one that is killed: nothing interleaves, nothing is lost or doubled."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kb_pipeline_tests.e2e.workspace import KB, Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub

DOCUMENTS = 40
NewWorkspace = Callable[..., Workspace]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {f"note {n}.md": f"# Note {n}\n\nWhat is to be done on day {n}.\n" for n in range(DOCUMENTS)}
    return write_files(tmp_path / "documents", texts)


@pytest.fixture
def configured(tmp_path: Path) -> Callable[[float], Path]:
    """A kb.yaml with this many seconds of patience; one text a request, so that a slow server makes a slow sync."""

    def write(wait_seconds: float) -> Path:
        path = tmp_path / f"wait{wait_seconds:g}.yaml"
        path.write_text(
            f"lease: {{wait_seconds: {wait_seconds}}}\nembedding: {{batch_texts: 1, concurrency: 1, max_retries: 0}}\n"
        )
        return path

    return write


def started(workspace: Workspace, *arguments: str, config: Path | None = None) -> subprocess.Popen[str]:
    variables = {**workspace.variables(), **({"KB_CONFIG": str(config)} if config else {})}
    return subprocess.Popen(
        [str(KB), *arguments, "--json"], env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def is_whole(workspace: Workspace) -> None:
    """Every document is there once, with one vector a chunk."""
    (found,) = workspace.kb_json("status")["sources"]
    assert (found["documents"], found["quarantined"], found["chunks"]) == (DOCUMENTS, 0, DOCUMENTS)
    with workspace.database() as connection:
        contents = connection.execute("SELECT content FROM kb.knowledge_chunks").fetchall()
        lost = connection.execute(
            "SELECT count(*) FROM kb.chunk c WHERE NOT EXISTS (SELECT FROM kb.knowledge_chunks k"
            " WHERE k.chunk_id = c.chunk_id)"
        ).fetchone()
    assert sorted(contents) == sorted((f"What is to be done on day {n}.",) for n in range(DOCUMENTS))
    assert lost == (0,)


def test_the_second_waits_with_a_message_then_gives_up_with_its_own_exit_code(
    new_workspace: NewWorkspace, folder: Path, stub: EmbeddingStub, configured: Callable[[float], Path]
) -> None:
    workspace = new_workspace("second_gives_up", configured(60), KB_EMBEDDING_URLS=stub.url)
    stub.delay = 0.5
    first = started(workspace, "ingest", str(folder), "--source", "hr")
    assert stub.asked.wait(60), "the first sync has come to its embeddings"
    second = started(workspace, "sync", "hr", config=configured(1))
    said, heard = second.communicate(timeout=60)
    assert first.poll() is None, "the first one still runs"
    assert second.returncode == 5, heard
    assert "is being synced by run" in heard
    assert "waiting" in heard
    error = json.loads(said)
    assert error["error"] == "SourceBusy"
    assert "lease.wait_seconds" in error["remedy"]
    assert "Traceback" not in heard
    stub.delay = 0
    report, _ = first.communicate(timeout=120)
    assert first.returncode == 0
    assert json.loads(report)["stages"]["publish"]["done"] == DOCUMENTS
    is_whole(workspace)


def test_with_more_patience_the_second_completes_after_the_first(
    new_workspace: NewWorkspace, folder: Path, stub: EmbeddingStub, configured: Callable[[float], Path]
) -> None:
    workspace = new_workspace("second_waits", configured(120), KB_EMBEDDING_URLS=stub.url)
    stub.delay = 0.3
    first = started(workspace, "ingest", str(folder), "--source", "hr")
    assert stub.asked.wait(60)
    second = started(workspace, "sync", "hr")
    first_report, _ = first.communicate(timeout=120)
    second_report, heard = second.communicate(timeout=120)
    assert (first.returncode, second.returncode) == (0, 0), heard
    assert "is being synced by run" in heard
    assert json.loads(first_report)["model_texts"] == DOCUMENTS
    totals = json.loads(second_report)
    assert [totals[name] for name in ("object_reads", "object_writes", "model_calls")] == [0, 0, 0]
    assert len(stub.texts) == len(set(stub.texts)) + probes(stub), "no text was embedded twice"
    is_whole(workspace)


def probes(stub: EmbeddingStub) -> int:
    """Requests that only ask what the server is: the same word each time."""
    return sum(stub.texts.count(text) - 1 for text in set(stub.texts) if "day" not in text)


def kill_when(process: subprocess.Popen[str], ready: Callable[[], bool]) -> None:
    while not ready():
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        raise AssertionError("it ended before it could be killed")
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("stage", ["parse", "embed", "publish"])
def test_after_a_kill_the_next_sync_completes_with_everything_once(
    new_workspace: NewWorkspace, folder: Path, stub: EmbeddingStub, configured: Callable[[float], Path], stage: str
) -> None:
    """kill -9 as soon as the stage has committed something, the lease still held by the dead run."""
    workspace = new_workspace(f"killed_{stage}", configured(60), KB_EMBEDDING_URLS=stub.url)
    workspace.kb_json("status")  # makes the schema
    with workspace.database() as connection:

        def committed() -> bool:
            try:
                found = connection.execute("SELECT 1 FROM kb.stage_state WHERE stage = %s LIMIT 1", (stage,))
            except psycopg.errors.UndefinedTable:
                return False
            return found.fetchone() is not None

        kill_when(started(workspace, "ingest", str(folder), "--source", "hr"), committed)
    with workspace.entered() as base:
        (report,) = base.sync("hr")
        (again,) = base.sync("hr")
    # The kill may come after the run has written down that it is through.
    assert report.stages["publish"]["considered"] in ((DOCUMENTS, 0) if stage == "publish" else (DOCUMENTS,))
    assert (again.object_reads, again.object_writes, again.model_calls) == (0, 0, 0)
    is_whole(workspace)
