"""One embedded stack and one S3 server for all end-to-end tests; each test uses source systems of its own name."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest
from psycopg import sql

from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local import stack
from kb_pipeline_tests.e2e import workspace as e2e
from kb_pipeline_tests.e2e.workspace import CONFIG, REPOSITORY, SETTINGS_VARIABLES, Workspace
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub, embedding_stub

pytest.register_assert_rewrite("kb_pipeline_tests.e2e.lifecycle")

CORPUS = REPOSITORY.parent / "shared" / "corpus"
REGION = "us-east-1"


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """Nothing of the caller's shell decides where tests write; S3 credentials are those of the test server.

    Worker processes inherit the environment of the moment the first of them starts, so this is set once, early.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in SETTINGS_VARIABLES:
            patch.delenv(name, raising=False)
        patch.setenv("AWS_ACCESS_KEY_ID", "synthetic")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "synthetic")
        patch.setenv("AWS_DEFAULT_REGION", REGION)
        patch.setenv("AWS_EC2_METADATA_DISABLED", "true")
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


@dataclass(frozen=True)
class S3Server:
    """A server that speaks S3 on loopback. `environment` is what kb and boto3 need to use it."""

    endpoint: str
    access_key: str = "synthetic"
    secret_key: str = "synthetic"
    region: str = REGION

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
        }

    def client(self) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
        )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """moto's S3 on a free loopback port."""
    port, log = free_port(), tmp_path_factory.mktemp("s3") / "server.log"
    with log.open("wb") as output:
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
        yield S3Server(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


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
