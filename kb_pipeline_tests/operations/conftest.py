"""A knowledge base of its own for a test, driven in this process: real PostgreSQL, objects in a real folder, an
embedding server that answers at once."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline import cli
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.store.database import Connection, connect
from kb_pipeline_tests.e2e.workspace import SETTINGS_VARIABLES, write_files
from kb_pipeline_tests.support.databases import _template, connection, dsn, new_database, server_dsn
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub, embedding_stub

__all__ = ["_template", "connection", "dsn", "new_database", "server_dsn"]


@dataclass(frozen=True)
class Ended:
    """What a command of `kb` came to."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Place:
    """A knowledge base, and the folder that its source systems' files come from."""

    home: Path
    config: Path
    dsn: str
    stub: EmbeddingStub
    kb: Callable[..., Ended]

    @property
    def base(self) -> KnowledgeBase:
        return KnowledgeBase(self.home, self.config)

    def configure(self, text: str) -> None:
        self.config.write_text(text)

    def folder(self, source: str, **files: str) -> Path:
        """The folder of a source system, with these files (NAME=text makes NAME.md) added."""
        return self.write(source, {f"{name}.md": text for name, text in files.items()})

    def write(self, source: str, files: Mapping[str, str | bytes]) -> Path:
        folder = self.home / "documents" / source
        folder.mkdir(parents=True, exist_ok=True)
        return write_files(folder, files)

    def objects(self, source: str) -> set[str]:
        """Keys of the source's raw objects."""
        raw = self.home / "objects" / "raw" / source
        return {path.relative_to(raw).as_posix() for path in raw.rglob("*") if path.is_file()}

    def names(self, source: str) -> set[str]:
        """Keys of the source's live documents."""
        with self.connect() as connection:
            rows = connection.execute(
                "SELECT key FROM kb.document WHERE source_system = %s AND deleted_at IS NULL", (source,)
            ).fetchall()
        return {key for (key,) in rows}

    def connect(self) -> Connection:
        return connect(self.dsn)


@pytest.fixture
def stub() -> Iterator[EmbeddingStub]:
    with embedding_stub() as running:
        yield running


@pytest.fixture
def place(
    tmp_path: Path,
    dsn: str,
    stub: EmbeddingStub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Place:
    for name in SETTINGS_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "kb.yaml"
    config.write_text("")
    monkeypatch.setenv("KB_DATABASE_DSN", dsn)
    monkeypatch.setenv("KB_EMBEDDING_URLS", stub.url)

    def kb(*arguments: str) -> Ended:
        capsys.readouterr()
        argv = ["kb", "--home", str(tmp_path), "--config", str(config), *arguments]
        monkeypatch.setattr(sys, "argv", argv)
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        return Ended(int(ended.value.code or 0), out, err)

    return Place(tmp_path, config, dsn, stub, kb)
