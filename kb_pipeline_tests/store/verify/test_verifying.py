"""Verifying and repairing a whole knowledge base by its settings, leases and rounds included."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from kb_pipeline.core.errors import NotFound, SourceBusy
from kb_pipeline.operations.verifying import repair, verify
from kb_pipeline.settings import LeaseSettings, ObjectStoreSettings, RetentionSettings, Settings
from kb_pipeline.store.ledger.lease import Lease, release
from kb_pipeline_tests.store.verify.test_verify import name_all
from kb_pipeline_tests.support.lines import KEEPING, LineSource


@pytest.fixture
def settings(source: LineSource, dsn: str) -> Settings:
    """Those of the sources of lines, as if read from kb.yaml and the environment."""
    return KEEPING.model_copy(
        update={
            "database_dsn": SecretStr(dsn),
            "object_store": ObjectStoreSettings(url=source.store.config.url),
            "retention": RetentionSettings(grace_hours=0),
            "lease": LeaseSettings(wait_seconds=0),
        }
    )


@pytest.fixture
def two(source: LineSource, take: Callable[..., Lease]) -> tuple[LineSource, LineSource]:
    other = LineSource(source.connection, source.store, take(source="wiki"))
    for lines in (source, other):
        lines.write(a="one\ntwo", b="three")
        lines.sync()
        name_all(lines)
    return source, other


def test_everything_is_verified_and_mended(two: tuple[LineSource, LineSource], settings: Settings, dsn: str) -> None:
    hr = two[0]
    assert verify(settings, deep=True) == []
    hr.connection.execute("UPDATE kb.chunk SET lexemes = ''")
    hr.connection.execute("DELETE FROM kb.vector_m_8 WHERE source_system = 'wiki'")
    hr.store.put("artifacts/masked/embed/ab/orphan", b"12345")
    found = verify(settings, deep=True)
    assert sorted({(p.check, p.source_system) for p in found}) == [
        ("empty-lexemes", "hr"), ("empty-lexemes", "wiki"), ("missing-vectors", "wiki"), ("orphaned-objects", ""),
    ]  # fmt: skip
    assert {p.source_system for p in verify(settings, "hr", deep=True)} == {"hr"}
    with pytest.raises(SourceBusy):
        repair(settings)
    for lines in two:
        release(dsn, lines.lease)
    repaired = repair(settings, deep=True)
    assert (repaired.mended, repaired.problems) == (len(found), [])


def test_what_a_sync_has_to_do_is_left_until_then(
    two: tuple[LineSource, LineSource], settings: Settings, dsn: str
) -> None:
    """Rows masked under a policy that was tightened: repairing gives them to the next sync, and says so until then."""
    hr = two[0]
    release(dsn, hr.lease)
    hr.connection.execute("UPDATE kb.stage_state SET stage_key = 'old' WHERE stage = 'publish' AND run_id = 'run'")
    repaired = repair(settings, "hr")
    assert [p.check for p in repaired.problems] == ["outdated-rows"] * 2
    assert repaired.mended == 4, "and those documents were noted as settled"
    assert all("kb sync hr" in p.detail for p in repaired.problems)


def test_an_unknown_source(settings: Settings) -> None:
    with pytest.raises(NotFound, match="no source system nobody"):
        verify(settings, "nobody")
