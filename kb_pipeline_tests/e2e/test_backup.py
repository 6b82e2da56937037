"""Backup and restore, by the very commands of docs/operations.md: a database older or newer than the object store comes
in step by syncing."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from kb_pipeline_tests.e2e.workspace import KB, REPOSITORY, Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub

NOTE = "# {name}\n\nWhat {name} is about, said at some length so that it makes a passage of its own.\n"
SECTION = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8").partition("## Backup and restore")[2]
CONNECT, BACK_UP, RESTORE = re.findall(r"^```bash\n(.*?)^```", SECTION.partition("\n## ")[0], re.M | re.S)
Rows = list[tuple[object, ...]]


@pytest.fixture
def shell(workspace: Workspace, tmp_path: Path) -> Callable[[Workspace, str], None]:
    """Runs commands of the documentation for a knowledge base whose database is on the shared embedded server."""

    def run(on: Workspace, commands: str) -> None:
        name = psycopg.conninfo.conninfo_to_dict(on.dsn)["dbname"]
        script = f"set -eu\n{CONNECT}\nexport PGDATABASE={name}\n{on_workspace(on)}\n{commands}"
        environment = {**workspace.variables(), "PATH": f"{KB.parent}:/usr/bin:/bin"}
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def on_workspace(on: Workspace) -> str:
    """The shared server was asked for its port: from here on `kb` is the workspace's."""
    return "\n".join(f"export {name}='{value}'" for name, value in {**on.environment, "KB_HOME": on.home}.items())


def rows(workspace: Workspace) -> Rows:
    """What readers see, with the vectors."""
    with workspace.database() as connection:
        (table,) = connection.execute("SELECT table_name FROM kb.space WHERE status = 'active'").fetchone() or ("",)
        found: Rows = connection.execute(
            "SELECT c.chunk_id, k.source_file, k.ordinal, k.content, k.section_path, v.embedding::text"
            " FROM kb.knowledge_chunks k JOIN kb.chunk c USING (chunk_id)"
            f" JOIN kb.{table} v USING (chunk_id) ORDER BY 1"
        ).fetchall()
        return found


def raw(workspace: Workspace) -> Path:
    return workspace.home / "objects" / "raw" / "hr"


def write_first(workspace: Workspace) -> Rows:
    write_files(raw(workspace), {f"{n}.md": NOTE.format(name=f"note {n}") for n in range(12)})
    with workspace.entered() as base:
        base.sync("hr")
    return rows(workspace)


def change(workspace: Workspace) -> Rows:
    """Edits, additions, a rename, deletes."""
    folder = raw(workspace)
    write_files(folder, {"1.md": NOTE.format(name="another matter"), "new.md": NOTE.format(name="something new")})
    (folder / "2.md").rename(folder / "renamed.md")
    (folder / "3.md").unlink()
    with workspace.entered() as base:
        base.sync("hr")
    return rows(workspace)


def is_well(workspace: Workspace) -> None:
    """Nothing is wrong, and nothing is left to do."""
    with workspace.entered() as base:
        assert base.verify(deep=True) == []
        (report,) = base.sync("hr", full=True)
        assert (report.runs, report.object_reads, report.model_texts) == (0, 0, 0)
        assert [found.state for found in base.status().sources if found.source_system == "hr"] == ["in step"]


def test_a_database_older_than_the_store_comes_in_step(
    new_workspace: Callable[..., Workspace], shell: Callable[[Workspace, str], None], stub: EmbeddingStub
) -> None:
    workspace = new_workspace("older_database", KB_EMBEDDING_URLS=stub.url)
    first = write_first(workspace)
    shell(workspace, BACK_UP)
    second = change(workspace)
    assert first != second
    sent = len(stub.texts)
    shell(workspace, RESTORE)
    assert rows(workspace) == second
    assert [text for text in stub.texts[sent:] if "note" in text] == [], "the dump has their vectors"
    is_well(workspace)


@pytest.mark.parametrize("artifacts", ["older", "none"])
def test_a_database_newer_than_the_store_comes_in_step(
    new_workspace: Callable[..., Workspace],
    shell: Callable[[Workspace, str], None],
    stub: EmbeddingStub,
    artifacts: str,
) -> None:
    workspace = new_workspace(f"newer_database_{artifacts}", KB_EMBEDDING_URLS=stub.url)
    first = write_first(workspace)
    objects, kept = workspace.home / "objects", workspace.home / "kept"
    shutil.copytree(objects, kept)
    change(workspace)
    shell(workspace, BACK_UP)
    shutil.rmtree(objects)
    if artifacts == "none":
        shutil.rmtree(kept / "artifacts")
    kept.rename(objects)
    shell(workspace, RESTORE)
    assert rows(workspace) == first
    is_well(workspace)


def test_a_database_that_is_lost_is_made_again_from_the_documents(
    new_workspace: Callable[..., Workspace], shell: Callable[[Workspace, str], None], stub: EmbeddingStub
) -> None:
    workspace = new_workspace("lost_database", KB_EMBEDDING_URLS=stub.url)
    first = write_first(workspace)
    shell(workspace, "psql --quiet --command='DROP SCHEMA kb CASCADE' 2>&1")
    with workspace.entered() as base:
        base.sync("hr")
    assert rows(workspace) == first
