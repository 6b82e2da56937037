"""A source system on an S3 endpoint: the same life as on files, and what lies in the bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline_tests.e2e.lifecycle import FILES, Lifecycle, Source
from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub
from kb_pipeline_tests.support.s3 import SERVER, S3Server

pytestmark = pytest.mark.s3

BUCKET = "documents"
PREFIX = "team a/kb"


class TestOnS3(Lifecycle):
    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, new_workspace: Callable[..., Workspace], s3_server: S3Server) -> Iterator[Workspace]:
        s3_server.client().create_bucket(Bucket=BUCKET)
        url = f"s3://{BUCKET}/{PREFIX}"
        workspace = new_workspace("on_s3", KB_OBJECT_STORE_URL=url, **s3_server.environment)
        with workspace.entered():
            yield workspace

    @pytest.fixture
    def keys(self, s3_server: S3Server, source: Source) -> set[str]:
        """Every key of the bucket, as another S3 client lists them."""
        return {item["Key"] for item in _listed(s3_server)}

    def test_raw_documents_lie_under_one_prefix_a_source(self, keys: set[str]) -> None:
        under = f"{PREFIX}/raw/lifecycle/"
        raw = {key.removeprefix(under) for key in keys if key.startswith(f"{PREFIX}/raw/")}
        assert {name for name in FILES if not name.startswith("to-")} <= raw

    def test_everything_else_lies_under_artifacts(self, keys: set[str]) -> None:
        others = {key for key in keys if not key.startswith(f"{PREFIX}/raw/lifecycle/")}
        assert others
        assert all(key.startswith(f"{PREFIX}/artifacts/") for key in others)

    def test_objects_put_by_another_client_are_found(self, s3_server: S3Server, source: Source) -> None:
        key = "上传/100% #1 a+b.md"
        body = "# Put\n\nThis object came straight into the bucket, past the mirror.\n"
        s3_server.client().put_object(Bucket=BUCKET, Key=f"{PREFIX}/raw/direct/{key}", Body=body.encode())
        (report,) = source.base.sync("direct")
        assert report.stages["publish"]["done"] == 1
        (first, *_) = source.base.search("an object straight into the bucket, past the mirror", "direct")
        assert (first.source_file, first.rank) == (key, 1)

    def test_folders_that_a_console_made_are_no_documents(self, s3_server: S3Server, source: Source) -> None:
        """Such a folder is an empty object whose key ends in a slash."""
        s3, under = s3_server.client(), f"{PREFIX}/raw/folders"
        for key in ("", "empty/", "full/"):
            s3.put_object(Bucket=BUCKET, Key=f"{under}/{key}", Body=b"")
        s3.put_object(Bucket=BUCKET, Key=f"{under}/full/text.md", Body=b"# In a folder\n\nThis is a document.\n")
        s3.put_object(Bucket=BUCKET, Key=f"{under}/empty.md", Body=b"")
        (report,) = source.base.sync("folders")
        assert report.stages["publish"]["done"] == 1
        with source.workspace.database() as connection:
            keys = connection.execute(
                "SELECT key FROM kb.document WHERE source_system = 'folders' ORDER BY key"
            ).fetchall()
            waiting = connection.execute("SELECT key FROM kb.hint WHERE source_system = 'folders'").fetchall()
        assert keys == [("empty.md",), ("full/text.md",)]
        assert waiting == []


@pytest.mark.skipif(SERVER == "moto", reason="moto takes any credentials: make test-swift")
def test_wrong_credentials_are_said_to_be_refused_and_the_right_ones_complete(
    new_workspace: Callable[..., Workspace], s3_server: S3Server, stub: EmbeddingStub, tmp_path: Path
) -> None:
    url = "s3://refusing/kb"
    s3_server.client().create_bucket(Bucket="refusing")
    workspace = new_workspace("refused", KB_OBJECT_STORE_URL=url, KB_EMBEDDING_URLS=stub.url, **s3_server.environment)
    write_files(tmp_path, {"leave.md": "# Leave\n\nTwenty days a year.\n"})
    refused = workspace.kb("ingest", str(tmp_path), "--source", "hr", env={"AWS_SECRET_ACCESS_KEY": "another"})
    assert refused.returncode == 4
    assert "refuses" in refused.stderr
    assert "AWS_SECRET_ACCESS_KEY" in refused.stderr
    assert "another" not in refused.stderr
    assert workspace.kb("ingest", str(tmp_path), "--source", "hr").returncode == 0
    with workspace.database() as connection:
        assert connection.execute("SELECT count(*) FROM kb.document WHERE deleted_at IS NULL").fetchall() == [(1,)]


def _listed(server: S3Server) -> list[dict[str, Any]]:
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [item for page in pages for item in page.get("Contents", [])]
