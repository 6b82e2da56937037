"""The main job needs no name outside this machine, and asks for none."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline.demo.writing import contents, render
from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.offline import asked_for, offline

FORMATS = (".docx", ".eml", ".html", ".md", ".pdf", ".xlsx")


def _one_of_each_format() -> dict[str, str | bytes]:
    by_format = {Path(path).suffix: (path, text) for path, text in contents().items()}
    assert set(by_format) == set(FORMATS)
    mail = "see www.example.com, mail jane.doe@example.com, from https://example.org/a?b=c\n"
    return {path: render(path, text) for path, text in by_format.values()} | {
        "links.txt": mail,
        "links.csv": f"a,b\n1,{mail}",
    }


@pytest.mark.parametrize(
    "ask",
    ["socket.getaddrinfo('example.com', 443)", "socket.gethostbyname('example.com')"],
)
def test_the_outside_is_switched_off(tmp_path: Path, ask: str) -> None:
    """Else the next test could not fail."""
    log = tmp_path / "asked"
    command = [sys.executable, "-c", f"import socket; socket.getaddrinfo('localhost', 80); {ask}"]
    done = subprocess.run(command, env=offline(log), capture_output=True, text=True, check=False)
    assert "gaierror" in done.stderr
    assert [line.split()[1] for line in asked_for(log)] == ["'example.com'"]


def test_the_main_job_asks_for_no_name(new_workspace: Callable[..., Workspace], tmp_path: Path) -> None:
    """With an embedding server of its own: models like to be looked for on the network."""
    folder, log = write_files(tmp_path / "documents", _one_of_each_format()), tmp_path / "asked"
    shared = new_workspace("offline")
    own = {"KB_DATABASE_DSN": shared.environment["KB_DATABASE_DSN"], **offline(log)}
    workspace = Workspace(shared.home, shared.config, own)
    try:
        workspace.kb_json("up")
        report = workspace.kb_json("ingest", str(folder), "--source", "offline")
        found = workspace.kb_json("search", "annual leave")["results"]
        workspace.kb_json("doctor")
    finally:
        workspace.kb_json("down")
    assert report["stages"]["publish"]["done"] == len(FORMATS) + 2
    assert found
    assert asked_for(log) == []
