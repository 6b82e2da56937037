"""Documents that hang their parser, ask for 8 GB or kill their worker: each alone in quarantine with the right reason,
the others published, and the machine spared.

Limits are small here: 5 seconds, 512 MiB, two workers. The whole run stays under two times 512 MiB and 1 GiB for the
run itself, its fork server and what workers share (shared pages counted once).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline.core.errors import QUARANTINE_CLASSES
from kb_pipeline_tests.e2e.hostile import BEHAVIOUR, GIB, HostileJob, Memory
from kb_pipeline_tests.e2e.workspace import KB, Workspace, write_files
from kb_pipeline_tests.support.bombs import BOMBS
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

NewWorkspace = Callable[..., Workspace]
SECONDS, MEMORY_MB, WORKERS = 5, 512, 2
MOST_BYTES = WORKERS * MEMORY_MB * 2**20 + GIB
CONFIG = f"limits:\n  seconds: {SECONDS}\n  memory_mb: {MEMORY_MB}\n  workers: {WORKERS}\n"
HEALTHY = {f"healthy-{n}.md": f"# Healthy {n}\n\nNothing is wrong with document {n}.\n" for n in range(20)}
CORPSE = "WorkerCrashed"
REASONS = {
    "HANG": "TimeLimitExceeded",
    "ALLOCATE": "MemoryLimitExceeded",
    "KILL": CORPSE,
    "SEGFAULT": CORPSE,
    "LEAVE": CORPSE,
    "STOP": "TimeLimitExceeded",
    "CHILDREN": "ok",
}
# What becomes of a bomb depends on which limit it meets first; on a busy machine that may be the time.
SLOW = {"TimeLimitExceeded", "MemoryLimitExceeded"}
BOMB_REASONS = {
    "equal-paragraphs.docx": {"DocumentTooLarge"},
    "many-words.docx": SLOW,
    "nested.docx": {"CorruptDocument"},
    "laughs.docx": {"CorruptDocument"},
    "far-cells.xlsx": {"ok", *SLOW},
    "laughs.pptx": {"CorruptDocument"},
    "nested.html": {"NoText", "CorruptDocument"},
    "cells.html": SLOW,
    "one-line.csv": SLOW,
    "open-quote.csv": {"CorruptDocument", *SLOW},
    "brackets.md": {"ok"},
    "quotes.md": {"ok"},
    "stars.md": {"ok", *SLOW},
    "one-line.txt": {"ok", *SLOW},
    "parts.eml": {"CorruptDocument"},
    "endless-pages.pdf": {"NoText", "CorruptDocument"},
    "itself.pdf": {CORPSE, *SLOW},
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "kb.yaml"
    path.write_text(CONFIG)
    return path


def ends(workspace: Workspace) -> dict[str, str]:
    """What became of each document: "ok" when it is published, else why not."""
    with workspace.database() as connection:
        return dict(
            connection.execute(
                "SELECT d.key, coalesce(q.error_class, CASE WHEN p.status = 'ok' THEN 'ok' END, 'missing')"
                " FROM kb.document d"
                " LEFT JOIN kb.stage_state p ON p.document_id = d.document_id AND p.stage = 'publish'"
                " LEFT JOIN kb.stage_state q ON q.document_id = d.document_id AND q.status <> 'ok'"
            ).fetchall()
        )


def ingest_watched(workspace: Workspace, folder: Path) -> tuple[dict[str, object], Memory]:
    """`kb ingest` in a process of its own, with its memory."""
    with subprocess.Popen(
        [str(KB), "ingest", str(folder), "--source", "hr", "--json"],
        env=workspace.variables(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        with Memory(process.pid) as memory:
            out, err = process.communicate(timeout=800)
        assert process.returncode == 0, err
    assert memory.samples > 10
    return json.loads(out), memory


def test_documents_that_hang_grow_or_die_cost_themselves_alone(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real runner, ledger and workers; only the parser of these documents is told how to behave."""
    monkeypatch.setattr("kb_pipeline.pipeline.source_run.WorkerJob", HostileJob)
    hostile = {f"{word.lower()}.md": f"# Hostile\n\nbehave: {word}\n" for word in BEHAVIOUR}
    folder = write_files(tmp_path / "documents", {**HEALTHY, **hostile})
    workspace = new_workspace("hostile_jobs", config, KB_EMBEDDING_URLS=stub.url)
    with workspace.entered() as base:
        before = Memory(os.getpid())
        with before:
            time.sleep(1)
        began = time.monotonic()
        with Memory(os.getpid()) as memory:
            report = base.ingest(folder, "hr").sync
        seconds = time.monotonic() - began
        expected = {f"{word.lower()}.md": reason for word, reason in REASONS.items()}
        assert ends(workspace) == {**dict.fromkeys(HEALTHY, "ok"), **expected}
        grown = memory.peak - before.peak
        print(f"{seconds:.0f} s, grown by {grown / 1e6:.0f} MB in {memory.samples} samples")
        assert grown < MOST_BYTES
        assert seconds < 200, "two time limits of five seconds, and not the ten minutes that one would hang"
        assert report.stages["parse"]["quarantined"] == len([r for r in REASONS.values() if r != "ok"])
        listed = {item.error_class for item in base.quarantine("hr")}
        assert listed == {*REASONS.values()} - {"ok"}

        write_files(folder, dict.fromkeys(hostile, "# Mended\n\nIt behaves now.\n"))
        base.ingest(folder, "hr")
        assert set(ends(workspace).values()) == {"ok"}


def test_bombs_cost_themselves_alone(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub
) -> None:
    """Real files through `kb ingest`, whatever their parsers make of them."""
    assert set(BOMB_REASONS) == set(BOMBS)
    folder = write_files(tmp_path / "documents", {**HEALTHY, **{name: make() for name, make in BOMBS.items()}})
    workspace = new_workspace("bombs", config, KB_EMBEDDING_URLS=stub.url)
    report, memory = ingest_watched(workspace, folder)
    found = ends(workspace)
    print(f"{report['seconds']:.0f} s, peak {memory.peak / 1e6:.0f} MB", {name: found[name] for name in BOMBS})
    assert {name: found[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, "ok")
    assert {name: end for name, end in found.items() if name in BOMBS and end not in BOMB_REASONS[name]} == {}
    assert memory.peak < MOST_BYTES


@pytest.mark.corpus
def test_the_corpus_of_messy_documents(
    new_workspace: NewWorkspace, config: Path, tmp_path: Path, stub: EmbeddingStub, corpus: Path
) -> None:
    """Encrypted, cut short, empty, bombs, and files under a wrong name: some are published, none takes others along."""
    folder = tmp_path / "documents"
    shutil.copytree(corpus / "docs" / "messy", folder / "messy")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    write_files(folder, HEALTHY)
    workspace = new_workspace("messy", config, KB_EMBEDDING_URLS=stub.url)
    report, memory = ingest_watched(workspace, folder)
    found = ends(workspace)
    messy = {name: end for name, end in found.items() if name.startswith("messy/")}
    print(f"{report['seconds']:.0f} s, peak {memory.peak / 1e6:.0f} MB")
    for name, end in sorted(messy.items()):
        print(end, name)
    assert len(messy) == sum(path.is_file() for path in (folder / "messy").rglob("*"))
    assert {name: found[name] for name in HEALTHY} == dict.fromkeys(HEALTHY, "ok")
    assert set(messy.values()) <= {"ok", *QUARANTINE_CLASSES} - {"UnexpectedError"}
    assert {end for name, end in messy.items() if "zero_bytes" in name} == {"NoText"}
    assert all(end != "ok" for name, end in messy.items() if "user-password" in name or "truncated.docx" in name)
    assert memory.peak < MOST_BYTES
