"""kb audit on a real installation: clean where masking works, and not where it is made blind."""

import json
from collections.abc import Callable

import psycopg
import pytest

from kb_pipeline_tests.e2e.workspace import Workspace


@pytest.fixture(scope="module")
def audited(new_workspace: Callable[..., Workspace]) -> Workspace:
    return new_workspace("audit")


def audit(workspace: Workspace, *options: str) -> tuple[int, dict]:  # type: ignore[type-arg]
    done = workspace.kb("audit", "--json", *options)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def test_canaries_go_through_the_pipeline_and_are_gone_afterwards(audited: Workspace) -> None:
    code, report = audit(audited)
    assert (code, report["clean"], report["leaks"]) == (0, True, [])
    assert sum(report["planted"].values()) >= 50
    places = {place["name"]: place["texts"] for place in report["places"]}
    assert places["kb.chunk"] > 10
    assert {"Dagster's storage", "passages of kb-canaries"} <= places.keys()
    assert report["left_out"] == ["kb.document.key", "kb.hint.key"]
    (written,) = (audited.home / "audits").glob("*.json")
    assert json.loads(written.read_text())["planted"] == report["planted"]
    with audited.database() as connection:
        assert connection.execute("SELECT count(*) FROM kb.chunk").fetchone() == (0,)
    assert not list((audited.home / "objects" / "raw" / "kb-canaries").glob("*"))


def test_what_is_published_unmasked_is_found(audited: Workspace) -> None:
    with audited.database() as connection:
        _publish_unmasked(connection)
    code, report = audit(audited, "--no-canaries")
    assert (code, report["clean"]) == (1, False)
    assert report["leaks"] == [{"place": "passages of hr", "how": "recognizer", "entities": {"PHONE_NUMBER": 1}}]


def _publish_unmasked(connection: psycopg.Connection[object]) -> None:
    connection.execute("INSERT INTO kb.source (source_system) VALUES ('hr') ON CONFLICT DO NOTHING")
    connection.execute("INSERT INTO kb.document (document_id, source_system, key) VALUES ('d', 'hr', 'a.md')")
    connection.execute(
        "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, text_hash)"
        " VALUES ('c', 'd', 0, '致电13800138000', '', 'h')"
    )
