"""One embedded stack for all end-to-end tests; each test uses source systems of its own name."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local import stack
from kb_pipeline_tests.e2e import workspace as e2e
from kb_pipeline_tests.e2e.workspace import CONFIG, REPOSITORY, SETTINGS_VARIABLES, Workspace
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub, embedding_stub
from kb_pipeline_tests.support.preloaded import preloaded_kb
from kb_pipeline_tests.support.s3 import ENVIRONMENT

pytest.register_assert_rewrite("kb_pipeline_tests.e2e.lifecycle")

CORPUS = REPOSITORY.parent / "shared" / "corpus"


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """Nothing of the caller's shell decides where tests write; S3 credentials are those of the test server.

    Worker processes inherit the environment of the moment the first of them starts, so this is set once, early.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS_VARIABLES:
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session", autouse=True)
def _kb_without_imports(_own_environment: None) -> Iterator[None]:
    """Commands start in processes that have the libraries already (support/preloaded.py)."""
    with (
        tempfile.TemporaryDirectory(prefix="kb-preloaded-") as folder,
        preloaded_kb(Path(folder)) as server,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(e2e, "run_script", server.run)
        yield


@pytest.fixture(scope="session")
def home_folder() -> Iterator[Path]:
    """A folder that the account of PostgreSQL can enter, as pytest's own are not."""
    folder = Path(tempfile.mkdtemp(prefix="kb-e2e-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="session")
def stack_home(home_folder: Path) -> Iterator[Path]:
    """KB_HOME of the shared stack: PostgreSQL and the MiniLM server are up."""
    home = home_folder / "shared"
    base = KnowledgeBase(home=home, config=CONFIG)
    try:
        base.up()
        yield home
    finally:
        base.down()


@pytest.fixture(scope="session")
def workspace(stack_home: Path) -> Workspace:
    """The shared stack, with its own database and object store."""
    return Workspace(stack_home)


@pytest.fixture
def base(workspace: Workspace) -> Iterator[KnowledgeBase]:
    with workspace.entered() as base:
        yield base


@pytest.fixture
def run_kb(workspace: Workspace) -> Callable[..., subprocess.CompletedProcess[str]]:
    """The `kb` command on the shared stack: run_kb(*arguments, env=None, cwd=None, timeout=120)."""
    return workspace.kb


@pytest.fixture
def database(workspace: Workspace) -> Iterator[psycopg.Connection[Any]]:
    """An autocommit connection to the shared stack's database."""
    with workspace.database() as connection:
        yield connection


@pytest.fixture
def write_files() -> Callable[[Path, Mapping[str, str | bytes]], Path]:
    return e2e.write_files


@pytest.fixture(scope="session")
def new_workspace(workspace: Workspace, home_folder: Path) -> Callable[..., Workspace]:
    """Makes a knowledge base of its own (database, KB_HOME) on the shared servers: new_workspace(name, **environment).

    For tests that change the object store or the model, or that look at everything a database holds.
    """

    def make(name: str, config: Path = CONFIG, **environment: str) -> Workspace:
        home = home_folder / name
        home.mkdir()
        with workspace.database() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            dsn = psycopg.conninfo.make_conninfo(workspace.dsn, dbname=name)
        urls = ",".join(stack.embedding_urls(workspace.base.settings))
        return Workspace(home, config, {"KB_DATABASE_DSN": dsn, "KB_EMBEDDING_URLS": urls, **environment})

    return make


@pytest.fixture(scope="session")
def corpus() -> Path:
    """The shared corpus of real documents. With KB_REQUIRE_CORPUS=1 its absence is a failure, not a skip."""
    if not CORPUS.is_dir():
        reason = f"needs the corpus of real documents in {CORPUS.relative_to(REPOSITORY.parent)} beside the repository"
        if os.environ.get("KB_REQUIRE_CORPUS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return CORPUS


@pytest.fixture
def stub() -> Iterator[EmbeddingStub]:
    """An embedding server that answers at once, for tests whose subject is not the model."""
    with embedding_stub() as stub:
        yield stub
