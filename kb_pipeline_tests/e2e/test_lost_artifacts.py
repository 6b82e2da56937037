"""All artifacts are gone: what is needed is made again, and nothing else is disturbed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from kb_pipeline_tests.e2e.workspace import Workspace, write_files

DOCUMENTS = {
    "lamps.md": "# Lamps\n\nThe lamps in the hall are changed in spring.\n",
    "doors.md": "# Doors\n\nThe door of the store is green.\n",
}


def test_a_sync_after_the_loss_of_all_artifacts(new_workspace: Callable[..., Workspace], tmp_path: Path) -> None:
    workspace = new_workspace("lost")
    with workspace.entered() as base:
        base.ingest(write_files(tmp_path, DOCUMENTS), "house")
        shutil.rmtree(workspace.home / "objects" / "artifacts")
        assert base.sync("house")[0].object_writes == 0  # nothing needs them
        write_files(tmp_path, {"doors.md": DOCUMENTS["doors.md"] + "\nThe key is kept at the gate.\n"})
        stages = base.ingest(tmp_path, "house").sync.stages
        assert {name: (s["done"], s["failed"]) for name, s in stages.items()} == dict.fromkeys(stages, (1, 0))
        assert "gate" in base.search("where is the key kept", limit=1)[0].content
        assert "spring" in base.search("when are the lamps changed", limit=1)[0].content
