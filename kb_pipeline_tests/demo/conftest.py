"""One set of demo documents for all tests of this folder: they only read it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kb_pipeline.demo import write_documents


@pytest.fixture(scope="session")
def documents(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_documents(folder)
    return folder
