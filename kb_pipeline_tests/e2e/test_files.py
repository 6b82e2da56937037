"""A source system on file://, the embedded default."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from kb_pipeline_tests.e2e.lifecycle import Lifecycle, Source
from kb_pipeline_tests.e2e.workspace import Workspace


class TestOnFiles(Lifecycle):
    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, new_workspace: Callable[..., Workspace]) -> Iterator[Workspace]:
        workspace = new_workspace("files")
        with workspace.entered():
            yield workspace

    def test_artifacts_lie_under_kb_home(self, place: Workspace, source: Source) -> None:
        objects = place.home / "objects"
        assert {path.name for path in objects.iterdir()} == {"raw", "artifacts"}
        assert {path.name for path in (objects / "raw").iterdir()} == {"lifecycle"}

    def test_a_sync_leaves_this_process_as_it_was(self, source: Source) -> None:
        before = dict(os.environ)
        source.ingest()
        assert dict(os.environ) == before
