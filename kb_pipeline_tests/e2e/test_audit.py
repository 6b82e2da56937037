"""kb audit on a real installation: clean where masking works, and not where it is made blind."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing

import psycopg
import pytest
from psycopg.types.json import Jsonb

from kb_pipeline.core.contracts import MaskedChunk, MaskedText
from kb_pipeline.defs.assets.partitions import SOURCE_SYSTEMS
from kb_pipeline.defs.running.in_process import dagster_instance
from kb_pipeline.pipeline.opening import object_store
from kb_pipeline.settings import Settings
from kb_pipeline.store.objects.artifacts import records_to_table, write_table
from kb_pipeline_tests.e2e.workspace import Workspace, write_files


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
    assert {"Dagster's storage", "run records", "passages of kb-canaries"} <= places.keys()
    assert places["masked artifacts of kb-canaries"] == places["kb.chunk"]
    assert report["left_out"] == ["kb.document.key", "kb.hint.key", "logs: IP_ADDRESS"]
    (written,) = (audited.home / "audits").glob("*.json")
    assert json.loads(written.read_text())["planted"] == report["planted"]
    with audited.database() as connection:
        assert connection.execute("SELECT count(*) FROM kb.chunk").fetchone() == (0,)
    assert not list((audited.home / "objects" / "raw" / "kb-canaries").glob("*"))
    with dagster_instance(audited.base.settings) as instance:
        assert instance.get_dynamic_partitions(SOURCE_SYSTEMS) == []


def test_what_is_unmasked_is_found_wherever_it_stands(
    audited: Workspace, new_workspace: Callable[..., Workspace]
) -> None:
    """A later table too; and what one source keeps is no leak where it is not said whose a text is."""
    with audited.database() as connection:
        _publish_unmasked(connection)
        connection.execute("CREATE TABLE kb.feedback (words jsonb, attachment bytea)")
        connection.execute("INSERT INTO kb.feedback VALUES (%s, %s)", (Jsonb({"said": CALL}), b"from a.b@example.com"))
    with audited.entered() as base:
        _leave_unmasked_artifact(audited, base.settings)
    write_files(audited.home, {"logs/server.log": CALL, "dagster/storage/run/0.err": CALL})
    with closing(sqlite3.connect(audited.home / "dagster" / "later.db")) as database, database:
        database.execute("CREATE TABLE event_logs (event TEXT)")
        database.execute("INSERT INTO event_logs VALUES (?)", (json.dumps({"took": 1699.083959996642, "words": CALL}),))
    dagster = new_workspace("audit_dagster")
    with dagster.database() as connection:
        connection.execute("CREATE TABLE event_logs (event text)")
        connection.execute("INSERT INTO event_logs VALUES (%s)", (json.dumps({"words": MAIL}),))
    done = audited.kb("audit", "--no-canaries", "--json", env={"KB_DAGSTER_POSTGRES_URL": dagster.dsn})
    report = json.loads(done.stdout)
    assert (done.returncode, report["clean"]) == (1, False)
    assert {leak["place"]: leak["entities"] for leak in report["leaks"]} == {
        "kb.chunk": {"PHONE_NUMBER": 2},
        "kb.feedback": {"EMAIL_ADDRESS": 1, "PHONE_NUMBER": 1},
        "passages of hr": {"MONEY": 1, "PHONE_NUMBER": 1},
        "masked artifacts of hr": {"PHONE_NUMBER": 2},
        "logs": {"PHONE_NUMBER": 1},
        "Dagster's storage": {"PHONE_NUMBER": 1},
        "run records": {"EMAIL_ADDRESS": 1, "PHONE_NUMBER": 1},
    }


CALL, MAIL = "手机13800138000", "邮箱zhang.wei@example.com"


def _publish_unmasked(connection: psycopg.Connection[object]) -> None:
    """In the text, and once more in the words alone; an amount, which wiki keeps, in a document of either source."""
    for source in ("hr", "wiki"):
        connection.execute("INSERT INTO kb.source (source_system) VALUES (%s) ON CONFLICT DO NOTHING", (source,))
        connection.execute(
            "INSERT INTO kb.document (document_id, source_system, key) VALUES (%s, %s, 'a.md')", (source, source)
        )
    for of, content, words in (("hr", f"{CALL}，费用¥1,234", ""), ("wiki", "费用¥1,234", "13800138000")):
        connection.execute(
            "INSERT INTO kb.chunk (chunk_id, document_id, ordinal, content, lexemes, text_hash)"
            " VALUES (%s, %s, 0, %s, to_tsvector('simple', %s), 'h')",
            (of, of, content, words),
        )


def _leave_unmasked_artifact(workspace: Workspace, settings: Settings) -> None:
    """One that masking would have made of a chunk with a number in its heading and in its text."""
    text = MaskedText(CALL)
    chunk = MaskedChunk(0, text, MaskedText(f"{CALL}\n{CALL}"), "h", section_path=(text,))
    ref = write_table(object_store(settings), "mask", "f" * 64, records_to_table([chunk], MaskedChunk)[0])
    with workspace.database() as connection:
        connection.execute(
            "INSERT INTO kb.artifact (fingerprint, stage, uri, size, sha256, output_hash, rows)"
            " VALUES (%s, 'mask', %s, %s, %s, 'o', 1)",
            ("f" * 64, ref.uri, ref.size, ref.sha256),
        )
        connection.execute(
            "INSERT INTO kb.stage_state (document_id, stage, stage_key, fingerprint, status)"
            " VALUES ('hr', 'mask', 'k', %s, 'ok')",
            ("f" * 64,),
        )
