"""`kb verify` and `kb doctor` say what is wrong, and that nothing is, in words and in the exit code."""

from __future__ import annotations

import json
from collections.abc import Callable

from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub

NOTE = "# {name}\n\nWhat {name} is about, said at some length so that it makes a passage of its own.\n"


def test_what_is_wrong_is_said_and_mended(new_workspace: Callable[..., Workspace], stub: EmbeddingStub) -> None:
    workspace = new_workspace("verified", KB_EMBEDDING_URLS=stub.url)
    raw = workspace.home / "objects" / "raw" / "hr"
    write_files(raw, {f"{n}.md": NOTE.format(name=f"note {n}") for n in range(3)})
    with workspace.entered() as base:
        base.sync("hr")
        assert workspace.kb_json("verify", "--deep") == {"problems": [], "obstacles": []}
        assert "no problems" in workspace.kb("verify", "hr").stdout
        with workspace.database() as connection:
            connection.execute(
                "DELETE FROM kb.chunk WHERE document_id = (SELECT document_id FROM kb.document WHERE key = '1.md')"
            )
        found = workspace.kb("verify", "hr", "--json")
        assert found.returncode == 1, found.stderr
        problems = json.loads(found.stdout)["problems"]
        assert {problem["document"] for problem in problems} == {"1.md"}
        assert all(problem["repairable"] for problem in problems)
        assert set(problems[0]) == {"check", "source_system", "document", "document_id", "detail", "repairable"}
        said = workspace.kb("verify")
        assert said.returncode == 1
        assert "1.md" in said.stdout
        mended = workspace.kb_json("verify", "--repair")
        assert mended["problems"] == []
        assert mended["mended"] >= 1
        sent = len(stub.texts)
        base.sync("hr")
        assert len(stub.texts) == sent
        assert base.verify("hr", deep=True) == []
        (source,) = [s for s in base.status().sources if s.source_system == "hr"]
        assert source.chunks == 3
    assert workspace.kb("verify", "nonexist").returncode == 3


def test_doctor_ends_as_verify_does_when_something_needs_mending(new_workspace: Callable[..., Workspace]) -> None:
    workspace = new_workspace("to_be_mended", KB_EMBEDDING_URLS="http://127.0.0.1:9")
    found = workspace.kb("doctor", "--json")
    assert found.returncode == 1
    assert [f["name"] for f in json.loads(found.stdout)["findings"] if not f["ok"]] == ["embedding service"]
    assert workspace.kb("doctor", "--help").returncode == 0
