"""A sync's memory does not grow with the number of documents: the peak of `kb sync`'s own process, small against large.

benchmarks/memory.py does the same with 200 against 2,000 documents.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline_tests.e2e.workspace import KB, Workspace
from kb_pipeline_tests.support.embedding_stub import embedding_stub

SMALL, LARGE = 100, 600
GROWTH = 0.15


def peak_bytes(workspace: Workspace, *arguments: str) -> int:
    """Peak resident memory of the command's main process; its workers have limits of their own."""
    process = subprocess.Popen(
        [str(KB), *arguments, "--json"], env=workspace.variables(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss * 1024


def write_notes(folder: Path, count: int) -> Path:
    """Small Markdown documents, every one with a text of its own."""
    folder.mkdir()
    for number in range(count):
        text = "\n\n".join(f"## Part {part}\n\nNote {number}, part {part}: {'some words ' * 40}" for part in range(4))
        (folder / f"note{number}.md").write_text(f"# Note {number}\n\n{text}\n")
    return folder


@pytest.mark.timeout(600)
def test_six_times_the_documents_take_no_more_memory(new_workspace: Callable[..., Workspace], tmp_path: Path) -> None:
    peaks = {}
    with embedding_stub() as stub:
        for count in (SMALL, LARGE):
            workspace = new_workspace(f"memory{count}", KB_EMBEDDING_URLS=stub.url)
            folder = write_notes(tmp_path / str(count), count)
            peaks[count] = peak_bytes(workspace, "ingest", str(folder), "--source", "notes")
            (found,) = workspace.kb_json("status")["sources"]
            assert (found["documents"], found["quarantined"]) == (count, 0)
    print({count: f"{peak / 1e6:.0f} MB" for count, peak in peaks.items()})
    assert peaks[LARGE] < peaks[SMALL] * (1 + GROWTH)
