"""The demo's documents through the whole pipeline, as a person sees them: API, command line, searches, data frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from kb_pipeline.demo import DAMAGED, SEARCHES, Search, write_documents
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.pipeline.reports import IngestReport
from kb_pipeline_tests.e2e.workspace import REPOSITORY, Workspace

SOURCES = ("contracts", "hr", "wiki")
STAGES = ["raw", "parse", "chunk", "mask", "embed", "publish"]
COUNTS = {"considered", "done", "reused", "quarantined", "seconds"}
TOTALS = ("object_reads", "object_writes", "model_calls", "model_texts")
RESULT = {
    "rank",
    "score",
    "chunk_id",
    "content",
    "source_system",
    "source_file",
    "page_start",
    "page_end",
    "section_path",
}


@dataclass(frozen=True)
class Demo:
    """The demo after its first load."""

    workspace: Workspace
    base: KnowledgeBase
    folder: Path
    files: dict[str, int]
    reports: dict[str, IngestReport]


@pytest.fixture(scope="module")
def demo(new_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("documents")
    files = write_documents(folder)
    workspace = new_workspace("demo")
    with workspace.entered() as base:
        reports = {name: base.ingest(folder / name, name) for name in SOURCES}
        yield Demo(workspace, base, folder, files, reports)


def test_every_document_is_accounted_for(demo: Demo) -> None:
    assert sum(demo.files.values()) >= 30
    for name, report in demo.reports.items():
        raw, parse = report.sync.stages["raw"], report.sync.stages["parse"]
        assert report.mirror.uploaded == raw["considered"] == demo.files[name]
        assert parse["done"] + parse["quarantined"] == demo.files[name]
        assert report.sync.stages["publish"]["rows"] > demo.files[name]


def test_the_damaged_contract_alone_is_in_quarantine(demo: Demo) -> None:
    (only,) = demo.base.quarantine()
    assert f"{only.source_system}/{only.name}" == DAMAGED
    assert (only.stage, only.error_class, only.media_type) == ("parse", "CorruptDocument", "application/pdf")


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.expect_source)
def test_a_search_finds_its_passage_first(demo: Demo, search: Search) -> None:
    first = demo.base.search(search.text)[0]
    assert first.rank == 1
    assert (first.source_system, first.source_file) == (search.expect_source, search.expect_file)
    assert first.page_start == search.expect_page
    assert all(word in first.content for word in search.expect_words)


def test_a_second_ingest_does_nothing(demo: Demo) -> None:
    before = _objects(demo)
    for name in SOURCES:
        report = demo.base.ingest(demo.folder / name, name)
        assert (report.mirror.uploaded, report.mirror.deleted) == (0, 0)
        assert {total: getattr(report.sync, total) for total in TOTALS} == dict.fromkeys(TOTALS, 0)
        assert {stage: report.sync.stages[stage]["done"] for stage in STAGES} == dict.fromkeys(STAGES, 0)
    assert _objects(demo) == before


def test_masking_leaves_labels_where_the_policy_says_so(demo: Demo) -> None:
    wiki, contracts = demo.base.frame("masked_chunks", "wiki"), demo.base.frame("masked_chunks", "contracts")
    assert demo.base.masked_spans("contracts") > 0
    assert wiki["masked"].map(lambda spans: "MONEY" in dict(spans)).sum() == 0  # kb.yaml keeps the public prices
    assert contracts["masked"].map(lambda spans: dict(spans).get("MONEY", 0)).sum() > 0


def test_frames_show_what_is_inside_an_asset(demo: Demo) -> None:
    frames = {name: demo.base.frame(name, "hr") for name in ("cleaned_elements", "chunks", "masked_chunks")}
    for frame in frames.values():
        assert list(frame.columns[:2]) == ["document_id", "source_file"]
        assert frame["document_id"].nunique() == demo.files["hr"]
    assert {"text", "kind", "level", "page"} <= set(frames["cleaned_elements"])
    assert len(frames["chunks"]) == len(frames["masked_chunks"]) == demo.reports["hr"].sync.stages["publish"]["rows"]
    vectors = np.stack(demo.base.frame("embeddings", "hr")["vector"].to_list()).astype(np.float64)
    assert vectors.shape[1] == 384
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=2e-3)  # float16


def test_a_stage_and_its_asset_give_the_same_frame(demo: Demo) -> None:
    by_stage, by_asset = demo.base.frame("mask", "hr", limit=2), demo.base.frame("masked_chunks", "hr", limit=2)
    assert by_stage["content"].to_list() == by_asset["content"].to_list()
    assert by_stage["document_id"].nunique() == 2


def test_the_notebook_looks_inside_each_stage(demo: Demo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(REPOSITORY)  # and back afterwards: the notebook goes to the project's folder itself
    monkeypatch.setenv("KB_HOME", str(demo.workspace.home))
    notebook = json.loads((REPOSITORY / "notebooks" / "look_inside.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    names: dict[str, object] = {}
    for cell in cells:
        exec(cell, names)
    assert len(names["elements"]) > len(names["chunks"]) == len(names["masked"]) > 50  # type: ignore[arg-type]


def test_status_as_json(demo: Demo) -> None:
    shown = demo.workspace.kb_json("status")
    assert [s["source_system"] for s in shown["sources"]] == list(SOURCES)
    for source in shown["sources"]:
        assert set(source) >= {"source_system", "documents", "quarantined", "deleted", "chunks", "lag_seconds"}
        assert source["state"] == "in step"
        assert source["documents"] == demo.files[source["source_system"]]
        assert source["quarantined"] == (1 if source["source_system"] == "contracts" else 0)
    (space,) = shown["spaces"]
    assert space["rows"] == sum(source["chunks"] for source in shown["sources"])
    assert {**space, "rows": 0} == {
        "space_id": "all-minilm-l6-v2@384",
        "model": "all-MiniLM-L6-v2",
        "dimension": 384,
        "status": "active",
        "rows": 0,
    }


def test_sync_as_json(demo: Demo) -> None:
    shown = demo.workspace.kb_json("sync", "wiki")
    assert shown["source_system"] == "wiki"
    assert shown["seconds"] > 0
    assert list(shown["stages"]) == STAGES
    assert all(set(stage) >= COUNTS for stage in shown["stages"].values())
    assert {total: shown[total] for total in TOTALS} == dict.fromkeys(TOTALS, 0)
    assert (shown["run_id"], shown["runs"], shown["listed"]) == ("", 0, demo.files["wiki"]), "no work, no run"


def test_search_as_json(demo: Demo) -> None:
    search = SEARCHES[1]
    shown = demo.workspace.kb_json("search", search.text, "--source", search.expect_source, "--limit", "3")
    assert [result["rank"] for result in shown["results"]] == [1, 2, 3]
    assert all(set(result) == RESULT for result in shown["results"])
    assert {result["source_system"] for result in shown["results"]} == {search.expect_source}
    assert (shown["results"][0]["source_file"], shown["results"][0]["page_start"]) == (search.expect_file, 2)
    scores = [result["score"] for result in shown["results"]]
    assert scores == sorted(scores, reverse=True)


def test_quarantine_as_json(demo: Demo) -> None:
    (only,) = demo.workspace.kb_json("quarantine", "list")["quarantined"]
    assert only["error_class"] == "CorruptDocument"
    assert only["error_message"]
    assert f"{only['source_system']}/{only['name']}" == DAMAGED
    assert demo.workspace.kb_json("quarantine", "list", "--source", "hr") == {"quarantined": []}


def test_doctor_as_json(demo: Demo) -> None:
    done = demo.workspace.kb("doctor", "--json")
    shown = json.loads(done.stdout)
    assert all(set(finding) == {"name", "ok", "detail", "remedy"} for finding in shown["findings"])
    assert shown["ok"], [finding for finding in shown["findings"] if not finding["ok"]]
    assert done.returncode == 0


def test_tables_for_people(demo: Demo) -> None:
    search = SEARCHES[0]
    done = demo.workspace.kb("search", search.text)
    assert done.returncode == 0
    assert done.stdout.startswith(f"1. {search.expect_source}/{search.expect_file}")


def test_the_demo_again_says_that_nothing_changed(demo: Demo) -> None:
    done = demo.workspace.kb("demo")
    assert done.returncode == 0, done.stderr
    assert "Nothing changed since the last run" in done.stdout
    assert all(name in done.stdout for name in SOURCES)
    assert all(search.expect_file in done.stdout for search in SEARCHES)


def _objects(demo: Demo) -> dict[str, tuple[int, int]]:
    """Every file of the object store: inode and time."""
    files = (path for path in (demo.workspace.home / "objects").rglob("*") if path.is_file())
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in files}
