"""`kb gc`, `kb forget` and `kb source` through the command: what goes, what is said, and who is asked first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS
from kb_pipeline.defs.running.in_process import dagster_instance
from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub

NOTE = "# {name}\n\nWhat {name} is about, said at some length so that it makes a passage of its own.\n"


@pytest.fixture
def workspace_of(
    new_workspace: Callable[..., Workspace], stub: EmbeddingStub, tmp_path: Path
) -> Callable[[str], Workspace]:
    """A knowledge base with source system hr of three notes."""

    def make(name: str) -> Workspace:
        workspace = new_workspace(name, KB_EMBEDDING_URLS=stub.url)
        folder = write_files(tmp_path / "documents", {f"{n}.md": NOTE.format(name=n) for n in ("one", "two", "three")})
        workspace.kb_json("ingest", str(folder), "--source", "hr")
        return workspace

    return make


def artifacts(workspace: Workspace) -> list[Path]:
    return [path for path in (workspace.home / "objects" / "artifacts").rglob("*") if path.is_file()]


def shown(workspace: Workspace) -> list[str]:
    with workspace.database() as connection:
        rows = connection.execute("SELECT source_file FROM kb.knowledge_chunks ORDER BY 1").fetchall()
    return [name for (name,) in rows]


def test_forget_asks_erases_and_keeps_it_out(workspace_of: Callable[[str], Workspace]) -> None:
    workspace = workspace_of("forgetting")
    asked = workspace.kb("forget", "two.md")
    assert asked.returncode == 2
    assert "--yes" in asked.stderr
    assert shown(workspace) == ["one.md", "three.md", "two.md"]
    done = workspace.kb_json("forget", "hr/two.md", "--yes")
    assert done["source_system"] == "hr"
    assert done["erased"]["rows"]["chunk"] == 1
    assert done["erased"]["objects"] == {"clear": 2, "masked": 2}
    assert shown(workspace) == ["one.md", "three.md"]
    assert len(artifacts(workspace)) == 8
    assert (workspace.home / "objects" / "raw" / "hr" / "two.md").is_file()
    report = workspace.kb_json("sync", "hr", "--full")
    assert (report["object_reads"], report["model_texts"]) == (0, 0)
    assert shown(workspace) == ["one.md", "three.md"]
    assert workspace.kb_json("history", done["document_id"])["state"] == "forgotten"
    said = workspace.kb("forget", "one.md", "--yes").stdout
    assert "kb.chunk" in said
    assert "artifacts/masked/" in said
    assert workspace.kb("forget", "no such document", "--yes").returncode == 3


def partitions(workspace: Workspace) -> list[str]:
    """Source systems that Dagster's UI offers."""
    with dagster_instance(workspace.base.settings) as instance:
        return list(instance.get_dynamic_partitions(SOURCE_SYSTEMS))


def test_gc_says_what_would_go_before_it_goes(
    workspace_of: Callable[[str], Workspace], tmp_path: Path, stub: EmbeddingStub
) -> None:
    workspace = workspace_of("collecting")
    (tmp_path / "documents" / "two.md").unlink()
    workspace.kb_json("ingest", str(tmp_path / "documents"), "--source", "hr")
    config = tmp_path / "at once.yaml"
    config.write_text("retention: {days: 0, grace_hours: 0}\n")
    assert workspace.kb_json("gc")["artifacts"] == 0, "it is kept for a while"
    at_once = {"KB_CONFIG": str(config)}
    dry = workspace.kb_json("gc", env=at_once)
    assert (dry["applied"], dry["artifacts"], dry["documents_expired"]) == (False, 4, 1)
    assert len(artifacts(workspace)) == 12
    said = workspace.kb("gc", env=at_once)
    assert "would be collected" in said.stdout
    assert "kb gc --apply" in said.stdout
    done = workspace.kb_json("gc", "--apply", env=at_once)
    assert {**done, "applied": False} == dry
    assert len(artifacts(workspace)) == 8
    assert workspace.kb_json("gc", env=at_once)["artifacts"] == 0


def test_a_source_is_removed_and_comes_back(
    workspace_of: Callable[[str], Workspace], tmp_path: Path, stub: EmbeddingStub
) -> None:
    workspace = workspace_of("removing")
    config = tmp_path / "sources.yaml"
    config.write_text("sources: {wiki: {description: Of engineers}}\n")
    known = workspace.kb_json("source", "list", env={"KB_CONFIG": str(config)})["sources"]
    assert [(s["source_system"], s["configured"], s["in_ledger"]) for s in known] == [
        ("hr", False, True),
        ("wiki", True, False),
    ]
    assert "Of engineers" in workspace.kb("source", "list", env={"KB_CONFIG": str(config)}).stdout
    assert workspace.kb("source", "remove", "hr").returncode == 2
    done = workspace.kb_json("source", "remove", "hr", "--yes")
    assert done["erased"]["documents"] == 3
    assert partitions(workspace) == []
    assert shown(workspace) == []
    assert artifacts(workspace) == []
    (removed,) = workspace.kb_json("source", "list", env={"KB_CONFIG": ""})["sources"]
    assert removed["removed"]
    refused = workspace.kb("sync", removed["source_system"], env={"KB_CONFIG": ""})
    assert refused.returncode == 3
    assert "was removed" in refused.stderr
    assert workspace.kb_json("status")["sources"] == []
    added = workspace.kb_json("source", "add", "hr")
    assert not added["removed"]
    workspace.kb_json("sync", "hr")
    assert shown(workspace) == ["one.md", "three.md", "two.md"]
    assert workspace.kb("source", "remove", "nonexist", "--yes").returncode == 3
    assert workspace.kb("source", "add", "No Name").returncode == 3
