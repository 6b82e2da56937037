"""What people see: `kb status`, `kb history`, `kb quarantine show` and `kb plan` on a knowledge base that works."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import CONTROL, EmbeddingStub

_numbers = itertools.count()
NOTE = "# {name}\n\nWhat {name} is about, said at some length so that it makes a passage of its own.\n"


@pytest.fixture(scope="module")
def notes() -> dict[str, str | bytes]:
    return {f"note {n}.md": NOTE.format(name=f"note {n}") for n in range(30)}


@pytest.fixture
def filled(
    new_workspace: Callable[..., Workspace],
    stub: EmbeddingStub,
    tmp_path: Path,
    notes: dict[str, str | bytes],
) -> tuple[Workspace, Path]:
    """hr: thirty notes and a file that is no PDF; and the folder that they come from."""
    workspace = new_workspace(f"looking_{next(_numbers)}", KB_EMBEDDING_URLS=stub.url)
    folder = write_files(tmp_path / "documents", {**notes, "torn.pdf": b"%PDF-1.7 torn"})
    done = workspace.kb("ingest", str(folder), "--source", "hr")
    assert done.returncode == 0, done.stderr
    return workspace, folder


def test_status_says_that_a_source_is_in_step_and_when_it_is_not(filled: tuple[Workspace, Path]) -> None:
    workspace, folder = filled
    workspace.kb_json("sync", "hr")
    (found,) = workspace.kb_json("status")["sources"]
    assert (found["documents"], found["quarantined"], found["chunks"], found["state"]) == (31, 1, 30, "in step")
    assert found["checked_at"]
    assert found["published_at"]
    for n in range(28):
        (folder / f"note {n}.md").unlink()
    assert workspace.kb("ingest", str(folder), "--source", "hr").returncode == 6
    (found,) = workspace.kb_json("status")["sources"]
    assert (found["documents"], found["gone"], found["state"]) == (31, 28, "braked")
    assert found["brake"]["gone"] == 28
    said = workspace.kb("status").stdout
    assert "deletes wait: 28 of 31 documents are gone" in " ".join(said.split())
    assert "kb sync hr --confirm-deletes" in " ".join(said.split())


def test_history_of_an_edited_document(filled: tuple[Workspace, Path]) -> None:
    workspace, folder = filled
    (folder / "note 1.md").write_text(NOTE.format(name="another matter"))
    workspace.kb_json("ingest", str(folder), "--source", "hr")
    found = workspace.kb_json("history", "note 1.md")
    assert (found["source_system"], found["name"], found["state"], found["chunks"]) == ("hr", "note 1.md", "settled", 1)
    first, second = found["versions"]
    assert first["withdrawn_at"] or first["published_at"]
    assert second["published_at"]
    assert second["content_hash"] == found["content_hash"] != first["content_hash"]
    assert [stage["stage"] for stage in found["stages"]] == ["raw", "parse", "chunk", "mask", "embed", "publish"]
    assert {stage["status"] for stage in found["stages"]} == {"ok"}
    by_id = workspace.kb_json("history", found["document_id"][:10], "--source", "hr")
    assert by_id == found
    said = workspace.kb("history", "hr/note 1.md").stdout
    assert "settled; searches find 1 passages of it" in said
    assert found["content_hash"][:12] in said
    assert workspace.kb("history", "no such note.md").returncode == 3
    assert workspace.kb("history", "note").returncode == 3


def test_quarantine_show_says_why_and_what_to_do(filled: tuple[Workspace, Path]) -> None:
    workspace, folder = filled
    found = workspace.kb_json("quarantine", "show", "torn.pdf")
    document = found["document"]
    assert (document["stage"], document["error_class"], document["searchable"]) == ("parse", "CorruptDocument", 0)
    assert document["media_type"] == "application/pdf"
    assert found["remedy"]
    assert found["retry"] == f"kb quarantine retry {document['document_id'][:12]} && kb sync hr"
    said = workspace.kb("quarantine", "show", document["document_id"][:8]).stdout
    assert "CorruptDocument" in said
    assert "still searchable" in said
    well = workspace.kb("quarantine", "show", "note 1.md")
    assert well.returncode == 3
    assert "is not in quarantine" in well.stderr
    (folder / "note 2.md").write_bytes(b"\x00\x01\x02" * 50)
    workspace.kb_json("ingest", str(folder), "--source", "hr")
    assert workspace.kb_json("quarantine", "show", "note 2.md")["document"]["searchable"] == 1, "the old version stays"


def test_retry_as_quarantine_show_says_it(filled: tuple[Workspace, Path]) -> None:
    workspace, _ = filled
    before = workspace.kb_json("quarantine", "show", "torn.pdf")["document"]
    assert workspace.kb_json("quarantine", "retry", before["document_id"][:12]) == {"retried": 1}
    workspace.kb_json("sync", "hr")
    after = workspace.kb_json("quarantine", "show", "torn.pdf")["document"]
    assert after["attempts"] == before["attempts"] + 1


def test_plan_says_what_the_sync_then_does(filled: tuple[Workspace, Path], stub: EmbeddingStub) -> None:
    workspace, _ = filled
    (plan,) = workspace.kb_json("plan", "hr")["plans"]
    assert [plan[name] for name in ("listed", "live", "add", "change", "move", "delete")] == [31, 31, 0, 0, 0, 0]
    assert (plan["unsettled"], plan["bytes_to_read"]) == ({}, 0)
    raw = workspace.home / "objects" / "raw" / "hr"
    (raw / "note 1.md").write_text(NOTE.format(name="another matter"))
    (raw / "new.md").write_text(NOTE.format(name="something new"))
    (raw / "note 2.md").rename(raw / "renamed.md")
    (raw / "note 3.md").unlink()
    sent = len(stub.texts)
    (plan,) = workspace.kb_json("plan", "hr")["plans"]
    assert [plan[name] for name in ("add", "change", "move", "delete", "brake")] == [1, 1, 1, 1, False]
    assert plan["bytes_to_read"] == sum((raw / name).stat().st_size for name in ("note 1.md", "new.md", "renamed.md"))
    estimate = plan["estimate"]
    assert (estimate["documents"], estimate["chunks"], estimate["basis"]) == (2, 2, {"kind": 2})
    assert estimate["tokens"] > 0
    assert set(stub.texts[sent:]) == {CONTROL}, "a plain word, to see whether its vectors fit"
    said = workspace.kb("plan").stdout
    assert "at most 2 chunks" in " ".join(said.split())
    report = workspace.kb_json("sync", "hr")
    assert report["model_texts"] == 2
    changes = report["stages"]["raw"]["stats"]
    assert [changes.get(name) for name in ("added", "changed", "moved")] == [1, 1, 1]
    (plan,) = workspace.kb_json("plan", "hr")["plans"]
    assert [plan[name] for name in ("add", "change", "move", "delete")] == [0, 0, 0, 0]


def test_plan_tells_of_work_that_other_settings_make_and_of_the_brake(
    filled: tuple[Workspace, Path], tmp_path: Path
) -> None:
    workspace, _ = filled
    config = tmp_path / "other.yaml"
    config.write_text("chunking: {max_tokens: 60}\n")
    (plan,) = workspace.kb_json("--config", str(config), "plan", "hr")["plans"]
    assert plan["unsettled"] == {"chunk": 30}
    assert plan["estimate"]["documents"] == 30
    for n in range(25):
        (workspace.home / "objects" / "raw" / "hr" / f"note {n}.md").unlink()
    (plan,) = workspace.kb_json("plan", "hr")["plans"]
    assert (plan["delete"], plan["brake"]) == (25, True)
    assert "a sync would delete nothing before --confirm-deletes" in " ".join(workspace.kb("plan", "hr").stdout.split())
    assert workspace.kb("plan", "nonexist").returncode == 3


def test_an_ingest_says_in_plain_lines_what_was_done_in_which_turn(filled: tuple[Workspace, Path]) -> None:
    workspace, folder = filled
    lines = workspace.kb("ingest", str(folder), "--source", "again").stderr.splitlines()
    assert [line for line in lines if line.startswith("{")] == []
    assert any(line.startswith("again/parse: 30 reused, 1 quarantined") for line in lines), lines
    (folder / "new.md").write_text(NOTE.format(name="something new"))
    lines = workspace.kb("ingest", str(folder), "--source", "again").stderr.splitlines()
    assert any(line.startswith("again/parse: 1 parsed, 1 chunked, 1 masked") for line in lines), lines
    assert [line for line in lines if line.startswith(("again/chunk", "again/mask"))] == []
