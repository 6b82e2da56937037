"""What is wrong is said in words that name the setting and the remedy; once it is mended, the next sync completes."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from kb_pipeline_tests.e2e.workspace import CONFIG, Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub
from kb_pipeline_tests.support.s3 import S3Server

DOCUMENTS = {"leave.md": "# Leave\n\nTwenty days a year.\n", "travel.md": "# Travel\n\nBook by train.\n"}
NewWorkspace = Callable[..., Workspace]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_files(tmp_path / "documents", DOCUMENTS)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def fails(
    workspace: Workspace, *arguments: str, code: int, says: tuple[str, ...], env: Mapping[str, str] | None = None
) -> None:
    """The command ends with this exit code; a person reads a message, a program one JSON object."""
    done = workspace.kb(*arguments, "--json", env=env)
    shown = done.stdout + done.stderr
    assert done.returncode == code, shown
    assert "Traceback" not in shown
    assert "hunter2" not in shown
    error = json.loads(done.stdout)
    assert set(error) == {"error", "message", "remedy"}
    for words in says:
        assert words in f"{error['message']} {error['remedy']}", error
    assert f"Error: {error['message']}" in done.stderr
    assert error["remedy"]
    assert error["remedy"] in done.stderr


def completes(workspace: Workspace, env: Mapping[str, str] | None = None, ingest: Path | None = None) -> None:
    """The next sync does all that was left; the one after it finds nothing to do. Through the Python API, as it is
    quicker here and calls the same."""
    with replace(workspace, environment={**workspace.environment, **(env or {})}).entered() as base:
        if ingest:
            base.ingest(ingest, "hr")
        else:
            base.sync("hr")
        (found,) = base.status().sources
        (report,) = base.sync("hr")
    assert (found.documents, found.quarantined, found.deleted, found.chunks) == (2, 0, 0, 2)
    assert (report.object_reads, report.object_writes, report.model_calls) == (0, 0, 0)


def test_without_the_embedded_stack(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    workspace = Workspace(home)
    for arguments in (
        ("ingest", str(folder), "--source", "hr"),
        ("sync",),
        ("search", "leave"),
        ("quarantine", "list"),
    ):
        fails(workspace, *arguments, code=4, says=("embedded PostgreSQL is not running", "kb up", "KB_DATABASE_DSN"))


def test_without_the_embedding_server(new_workspace: NewWorkspace, tmp_path: Path, folder: Path, stub: EmbeddingStub):
    config = tmp_path / "kb.yaml"
    config.write_text("embedding:\n  max_retries: 1\n  timeout_seconds: 5\n")
    address = f"http://127.0.0.1:{closed_port()}"
    workspace = new_workspace("no_embedding", config, KB_EMBEDDING_URLS=address)
    fails(workspace, "ingest", str(folder), "--source", "hr", code=4, says=(address, "embedding.urls"))
    (found,) = workspace.kb_json("status")["sources"]
    assert (found["documents"], found["chunks"]) == (2, 0), "the stages before kept what they did"
    completes(workspace, env={"KB_EMBEDDING_URLS": stub.url})
    answer = workspace.kb_json("search", "leave")
    assert answer["answered_by"] == "words"
    assert answer["results"]
    assert address in answer["reason"]


def test_a_wrong_port_password_database_or_no_dsn_at_all(
    new_workspace: NewWorkspace, folder: Path, stub: EmbeddingStub
):
    workspace = new_workspace("wrong_dsn", KB_EMBEDDING_URLS=stub.url)
    right = workspace.environment["KB_DATABASE_DSN"]

    def changed(**parts: Any) -> dict[str, str]:
        return {"KB_DATABASE_DSN": psycopg.conninfo.make_conninfo(right, **parts)}

    ingest = ("ingest", str(folder), "--source", "hr")
    port = closed_port()
    setting = "KB_DATABASE_DSN"
    refuses = (setting, f"127.0.0.1:{port}", "no server listens there")
    fails(workspace, *ingest, code=4, env=changed(port=port), says=refuses)
    fails(workspace, *ingest, code=4, env=changed(password="hunter2"), says=(setting, "refuses the user or password"))
    fails(workspace, *ingest, code=4, env=changed(dbname="elsewhere"), says=(setting, "no such database"))
    garbage = {"KB_DATABASE_DSN": "hunter2 is not a dsn"}
    fails(workspace, *ingest, code=3, env=garbage, says=(setting, "not a valid connection string"))
    fails(workspace, "status", code=3, env=garbage, says=(setting, "not a valid connection string"))
    completes(workspace, ingest=folder)


@pytest.mark.s3
def test_a_missing_bucket(new_workspace: NewWorkspace, s3_server: S3Server, folder: Path, stub: EmbeddingStub) -> None:
    url = "s3://not-made-yet/kb"
    workspace = new_workspace("no_bucket", KB_OBJECT_STORE_URL=url, KB_EMBEDDING_URLS=stub.url, **s3_server.environment)
    says = (url, "does not exist", "object_store.url")
    fails(workspace, "ingest", str(folder), "--source", "hr", code=4, says=says)
    s3_server.client().create_bucket(Bucket="not-made-yet")
    completes(workspace, ingest=folder)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("chunking:\n  max_tokens: many\n", ("chunking.max_tokens", "valid integer")),
        ("chunkin: {}\n", ("chunkin", "did you mean chunking")),
        ("sources:\n  Human Resources: {}\n", ("sources", "lower-case letters")),
        ("sources: [\n", ("not valid YAML", "line 2")),
        ("database_dsn: postgresql://kb:hunter2@db.example/kb\n", ("database_dsn", "environment alone", "Remove it")),
    ],
)
def test_an_invalid_settings_file(tmp_path: Path, text: str, says: tuple[str, ...]) -> None:
    config = tmp_path / "kb.yaml"
    config.write_text(text)
    workspace = Workspace(tmp_path, config)
    fails(workspace, "sync", code=3, says=(str(config), *says))


def test_names_that_do_not_exist(new_workspace: NewWorkspace, stub: EmbeddingStub, folder: Path) -> None:
    workspace = new_workspace("no_names", KB_EMBEDDING_URLS=stub.url)
    fails(workspace, "sync", "nowhere", code=3, says=("no source system nowhere", "kb ingest"))
    fails(workspace, "ingest", str(folder), "--source", "Human Resources", code=3, says=("lower-case", "--source"))
    missing = workspace.kb("ingest", str(folder / "nothing"), "--source", "hr")
    assert missing.returncode == 2
    assert "does not exist" in missing.stderr


def test_another_model_than_the_one_the_space_was_filled_with(
    new_workspace: NewWorkspace, stub: EmbeddingStub, folder: Path, tmp_path: Path
) -> None:
    workspace = new_workspace("other_model", KB_EMBEDDING_URLS=stub.url)
    completes(workspace, ingest=folder)
    config = tmp_path / "kb.yaml"
    config.write_text("embedding:\n  dimension: 16\n")
    fails(workspace, "sync", "hr", code=3, env={"KB_CONFIG": str(config)}, says=("embedding.dimension", "@32", "@16"))
    completes(workspace)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB; skipped where this user may not mount one."""
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs (root)")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk(new_workspace: NewWorkspace, stub: EmbeddingStub, folder: Path, small_disk: Path) -> None:
    url = small_disk.as_uri()
    workspace = new_workspace("full_disk", KB_OBJECT_STORE_URL=url, KB_EMBEDDING_URLS=stub.url)
    ballast = small_disk / "ballast"
    ingest = ("ingest", str(folder), "--source", "hr")
    says = ("No space left", url, "object_store.url")
    fill(ballast)
    fails(workspace, *ingest, code=4, says=says)  # while the files are mirrored
    ballast.unlink()
    completes(workspace, ingest=folder)
    (small_disk / "raw" / "hr" / "travel.md").write_text("# Travel\n\nBook by plane.\n")
    fill(ballast)
    fails(workspace, "sync", "hr", code=4, says=says)  # while artifacts are written
    ballast.unlink()
    completes(workspace)
    texts = [result["content"] for result in workspace.kb_json("search", "book")["results"]]
    assert sorted(texts) == ["Book by plane.", "Twenty days a year."]


def fill(ballast: Path) -> None:
    """Write until the disk is full."""
    descriptor = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(descriptor, b"x" * 512)
    os.close(descriptor)


def test_debug_shows_where_it_happened(tmp_path: Path) -> None:
    done = Workspace(tmp_path, CONFIG).kb("--debug", "sync")
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    assert "DatabaseUnavailable" in done.stderr
