"""KB_HOMEs that end with whatever was started in them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kb_pipeline.local import postmaster, stack
from kb_pipeline.settings import EmbeddingSettings, Settings

ELSEWHERE = EmbeddingSettings(urls=("http://127.0.0.1:1/v1",))


def database_only(home: Path) -> Settings:
    """Settings under which `up` starts PostgreSQL and no embedding server."""
    return Settings(home=home, embedding=ELSEWHERE)


@pytest.fixture(scope="module")
def new_home() -> Iterator[Callable[[], Path]]:
    """Makes folders that every user can enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="kb-"))
    folder.chmod(0o755)
    homes: list[Path] = []

    def make() -> Path:
        homes.append(folder / f"home{len(homes)}")
        return homes[-1]

    yield make
    for home in homes:
        stack.down(Settings(home=home))
        if (orphan := postmaster.find((home / "postgres").resolve() / "data")) is not None:
            postmaster.stop(orphan)
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def database(new_home: Callable[[], Path]) -> Settings:
    """A KB_HOME whose PostgreSQL runs."""
    settings = database_only(new_home())
    stack.up(settings)
    return settings
