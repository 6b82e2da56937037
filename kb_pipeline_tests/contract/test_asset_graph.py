"""The whole asset graph over a real embedding service: ours, and a real SGLang (make test-sglang)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from kb_pipeline.embedding.vectors import truncate_and_renormalise
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.pipeline.reports import SyncReport
from kb_pipeline_tests.contract.conftest import Server
from kb_pipeline_tests.e2e.workspace import Workspace, write_files

SERVED = 32  # of the model's 64 or 384: the table holds less than the artifacts do
SETTINGS = """
embedding:
  model: {model}
  revision: tiny
  dimension: {served}
  instruction: Given a question, find the passage that answers it
  batch_texts: 2
"""
FILES: dict[str, str | bytes] = {
    "lamps.md": "# Lamps\n\nThe lamps of the north hall are switched off at nine in the evening.\n\n"
    "# Windows\n\nWindows on the ground floor stay shut at night; call 13800138000 if one is broken.\n",
    "boiler.html": "<h1>Boiler</h1><p>The boiler is inspected in March and again in October.</p>",
    "门禁.txt": "进入机房须刷卡登记，访客由值班员陪同。\n",
}


@pytest.fixture
def place(server: Server, new_database: Callable[[], str], tmp_path: Path) -> Iterator[Workspace]:
    config = tmp_path / "kb.yaml"
    config.write_text(SETTINGS.format(model=server.model, served=SERVED), encoding="utf-8")
    environment = {"KB_DATABASE_DSN": new_database(), "KB_EMBEDDING_URLS": server.url}
    workspace = Workspace(tmp_path / "home", config, environment)
    with workspace.entered():
        yield workspace


def test_documents_become_searchable_vectors(place: Workspace, server: Server, tmp_path: Path) -> None:
    base, folder = place.base, write_files(tmp_path / "documents", FILES)
    report = base.ingest(folder, "house").sync
    assert report.stages["publish"]["done"] == len(FILES)
    assert report.model_calls == -(-report.model_texts // 2)

    (space,) = base.status().spaces
    assert (space.model, space.dimension, space.rows) == (server.model, SERVED, report.model_texts)
    _check_vectors(place, base, server)

    first = base.search("When are the lamps of the north hall switched off?")[0]
    assert (first.rank, first.source_file) == (1, "lamps.md")
    assert "nine in the evening" in first.content
    assert base.search("访客由谁陪同")[0].source_file == "门禁.txt"

    again = base.ingest(folder, "house").sync
    assert _nothing_done(again)


def _check_vectors(place: Workspace, base: KnowledgeBase, server: Server) -> None:
    """Artifacts hold what the service answers, tables the same cut to the dimension served; no mobile number went."""
    masked, embedded = base.frame("masked_chunks", "house"), base.frame("embeddings", "house")
    assert not masked["embed_text"].str.contains("13800138000").any()
    kept = {row.text_hash: np.asarray(row.vector, dtype=np.float32) for row in embedded.itertuples()}
    with place.database() as connection:
        ((table,),) = connection.execute("SELECT table_name FROM kb.space").fetchall()
        rows = connection.execute(f"SELECT text_hash, embedding::text FROM kb.chunk JOIN kb.{table} USING (chunk_id)")
        served = {text_hash: np.fromstring(vector.strip("[]"), sep=",") for text_hash, vector in rows}
    assert kept.keys() == served.keys() == set(masked["text_hash"])
    for chunk in masked.itertuples():
        status, answer = server.post({"model": server.model, "input": chunk.embed_text})
        assert status == 200
        native = np.asarray(answer["data"][0]["embedding"], dtype=np.float32)
        assert native.shape == (server.dimension,)
        assert kept[chunk.text_hash] == pytest.approx(native, abs=1e-3)  # float16
        assert served[chunk.text_hash] == pytest.approx(truncate_and_renormalise(native[None], SERVED)[0], abs=2e-3)


def _nothing_done(report: SyncReport) -> bool:
    return (report.object_reads, report.object_writes, report.model_calls) == (0, 0, 0)
