"""Elements and unmasked chunks are gone after their retention: only what changes makes them again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub
from kb_pipeline_tests.support.s3 import S3Server

DOCUMENTS = {
    "lamps.md": "# Lamps\n\nThe lamps in the hall cost $ 40 each.\n\n## Spare\n\nSpare ones lie in the cellar.\n",
    "doors.md": "# Doors\n\nThe door of the store is green.\n",
}
RETENTION = "retention: {clear_days: 0, grace_hours: 0}\n"
FREE = {"object_reads": 0, "object_writes": 0, "model_calls": 0}


def clear_text(workspace: Workspace) -> list[Path]:
    return [path for path in (workspace.home / "objects" / "artifacts" / "clear").rglob("*") if path.is_file()]


def test_what_is_gone_is_made_again_when_it_is_needed(
    new_workspace: Callable[..., Workspace], stub: EmbeddingStub, tmp_path: Path
) -> None:
    config, folder = tmp_path / "kb.yaml", write_files(tmp_path / "drop", DOCUMENTS)
    config.write_text(RETENTION + "sources: {house: {masking: {MONEY: keep}}}\n")
    workspace = new_workspace("clear_retention", config, KB_EMBEDDING_URLS=stub.url)
    with workspace.entered() as base:
        base.ingest(folder, "house")
        assert len(clear_text(workspace)) == 4
        foreseen = base.collect(dry_run=True)
        assert (foreseen.cleared, len(clear_text(workspace))) == (4, 4)
        assert base.collect(dry_run=False) == foreseen
        assert clear_text(workspace) == []
        assert base.frame("cleaned_elements", "house").empty
        assert base.verify(deep=True) == []
        assert base.plan("house")[0].empty
        (report,) = base.sync("house")
        assert {name: getattr(report, name) for name in FREE} == FREE

        shutil.move(folder / "doors.md", folder / "gates.md")
        renamed = base.ingest(folder, "house").sync
        assert (renamed.stages["parse"]["done"], renamed.model_calls) == (0, 0)

    config.write_text(RETENTION)
    with workspace.entered() as base:
        assert base.plan("house")[0].unsettled == {"parse": 2}
        (report,) = base.sync("house")
        done = {name: report.stages[name]["done"] for name in ("parse", "chunk", "mask", "publish")}
        assert done == {"parse": 2, "chunk": 2, "mask": 2, "publish": 2}
        assert report.model_texts == 1, "the one that holds an amount"
        (first,) = base.search("what do the lamps cost", limit=1)
        assert "<MONEY>" in first.content
        assert base.verify(deep=True) == []
        base.collect(dry_run=False)
        assert clear_text(workspace) == []

        write_files(folder, {"gates.md": DOCUMENTS["doors.md"] + "\nThe key is kept at the gate.\n"})
        stages = base.ingest(folder, "house").sync.stages
        assert {name: (s["done"], s["failed"]) for name, s in stages.items()} == dict.fromkeys(stages, (1, 0))
        assert "gate" in base.search("where is the key kept", limit=1)[0].content
        assert base.verify(deep=True) == []


@pytest.mark.s3
def test_every_process_asks_for_the_encryption_of_clear_text(
    new_workspace: Callable[..., Workspace], moto_server: S3Server, stub: EmbeddingStub, tmp_path: Path
) -> None:
    s3, config = moto_server.client(), tmp_path / "kb.yaml"
    s3.create_bucket(Bucket="encrypted")
    config.write_text("object_store: {clear_encryption: {algorithm: aws:kms, kms_key_id: kb-clear}}\n")
    variables = {"KB_OBJECT_STORE_URL": "s3://encrypted/kb", **moto_server.environment}
    workspace = new_workspace("encrypted", config, KB_EMBEDDING_URLS=stub.url, **variables)
    done = workspace.kb("ingest", str(write_files(tmp_path / "drop", DOCUMENTS)), "--source", "house")
    assert done.returncode == 0, done.stderr
    keys = [item["Key"] for item in s3.list_objects_v2(Bucket="encrypted")["Contents"]]
    asked = {key: s3.head_object(Bucket="encrypted", Key=key).get("SSEKMSKeyId") for key in keys}
    clear = {key for key in keys if key.startswith("kb/artifacts/clear/")}
    assert len(clear) == 4
    assert asked == {key: "kb-clear" if key in clear else None for key in keys}
