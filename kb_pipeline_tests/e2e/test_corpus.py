"""Real documents of every format, hostile ones among them: each ends as searchable or in quarantine with a reason.

A part of the corpus by default, all of it with KB_FULL_CORPUS=1 (a quarter of an hour on two cores).
"""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline.core.errors import QUARANTINE_CLASSES
from kb_pipeline_tests.e2e.workspace import Workspace
from kb_pipeline_tests.support.embedding_stub import embedding_stub

pytestmark = [pytest.mark.corpus, pytest.mark.timeout(1800)]

EACH_FOLDER = 5
HOSTILE = "messy"
THROUGH_LIBREOFFICE = ("doc", "ppt")


@dataclass(frozen=True)
class Loaded:
    """The corpus after its first sync: the files, what the sync said, and where to ask."""

    workspace: Workspace
    files: list[str]
    report: dict[str, Any]


def chosen(documents: Path) -> list[Path]:
    """All files, or the hostile ones and a few of every other folder, spread over it."""
    files = sorted(path for path in documents.rglob("*") if path.is_file())
    if os.environ.get("KB_FULL_CORPUS") == "1":
        return files
    folders: dict[str, list[Path]] = {}
    for path in files:
        folders.setdefault(path.relative_to(documents).parts[0], []).append(path)
    return [
        path
        for name, inside in folders.items()
        for path in (inside if name == HOSTILE else inside[:: max(1, -(-len(inside) // EACH_FOLDER))])
    ]


@pytest.fixture(scope="module")
def loaded(
    new_workspace: Callable[..., Workspace], corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Loaded]:
    folder = tmp_path_factory.mktemp("corpus")
    files = []
    for path in chosen(corpus / "docs"):
        name = path.relative_to(corpus / "docs")
        (folder / name.parent).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)
        files.append(name.as_posix())
    with embedding_stub() as stub:
        workspace = new_workspace("corpus", KB_EMBEDDING_URLS=stub.url)
        report = workspace.kb_json("ingest", str(folder), "--source", "corpus", timeout=1500)
        yield Loaded(workspace, files, report)
    shutil.rmtree(folder)


def test_every_file_ends_as_searchable_or_in_quarantine_with_a_reason_of_the_closed_list(loaded: Loaded) -> None:
    with loaded.workspace.database() as connection:
        states = connection.execute(
            "SELECT d.key, coalesce(q.error_class, CASE WHEN p.status = 'ok' THEN 'ok' END, 'missing'), d.media_type"
            " FROM kb.document d"
            " LEFT JOIN kb.stage_state p ON p.document_id = d.document_id AND p.stage = 'publish'"
            " LEFT JOIN kb.stage_state q ON q.document_id = d.document_id AND q.status = 'quarantined'"
        ).fetchall()
    ends = {key: end for key, end, _ in states}
    print(f"{len(ends)} files:", Counter(ends.values()))
    for media_type, count in Counter((media_type, end) for _, end, media_type in states).most_common():
        print(count, *media_type)
    assert sorted(ends) == sorted(loaded.files)
    assert {end for end in ends.values() if end != "ok"} <= set(QUARANTINE_CLASSES)
    sound = [end for key, end in ends.items() if key.partition("/")[0] not in (HOSTILE, *THROUGH_LIBREOFFICE)]
    assert sound.count("ok") > 0.85 * len(sound), Counter(sound)  # some pictures and blank pages have no text
    assert "UnexpectedError" not in ends.values(), [key for key, end in ends.items() if end == "UnexpectedError"]


def test_the_report_adds_up(loaded: Loaded) -> None:
    stages = loaded.report["stages"]
    assert stages["raw"]["considered"] == len(loaded.files)
    for stage in ("parse", "chunk", "mask", "embed", "publish"):
        counts = stages[stage]
        assert counts["considered"] == counts["done"] + counts["reused"] + counts["quarantined"] + counts["failed"]
        assert counts["failed"] == 0
    assert loaded.report["mirror"]["failed"] == []
    assert loaded.report["mirror"]["uploaded"] == len(loaded.files)


def test_the_quarantine_names_each_with_a_reason_and_no_more(loaded: Loaded) -> None:
    listed = loaded.workspace.kb_json("quarantine", "list")["quarantined"]
    (status,) = loaded.workspace.kb_json("status")["sources"]
    assert len({q["document_id"] for q in listed}) == status["quarantined"] > 0
    assert all(q["error_class"] in QUARANTINE_CLASSES and q["error_message"] and q["stage"] for q in listed)


def test_no_worker_was_let_grow_without_bound(loaded: Loaded) -> None:
    peak = loaded.report["peak_worker_bytes"]
    print(f"largest worker: {peak / 1e6:.0f} MB; {loaded.report['seconds']:.0f} s")
    assert 0 < peak < 3 * 2**30


def test_a_second_sync_reads_writes_and_asks_nothing(loaded: Loaded) -> None:
    report = loaded.workspace.kb_json("sync", "corpus")
    assert [report[name] for name in ("object_reads", "object_writes", "model_calls", "model_texts")] == [0, 0, 0, 0]
    assert [stage["done"] for stage in report["stages"].values()] == [0] * 6


def test_the_tables_hold_what_the_ledger_says(loaded: Loaded) -> None:
    (status,) = loaded.workspace.kb_json("status")["sources"]
    (space,) = loaded.workspace.kb_json("status")["spaces"]
    published = loaded.report["stages"]["publish"]["rows"]
    assert status["chunks"] == space["rows"] == published > 0
