"""Asset checks by source system, and that those of the tables look at the tables."""

from __future__ import annotations

from dagster import AssetCheckResult
from psycopg import sql

from kb_pipeline.defs.assets.checks import (
    DELETES_CONFIRMED,
    ROWS_EQUAL_LEDGER,
    UNIT_VECTORS,
    check_published,
    check_raw,
    deletes_evaluation,
)
from kb_pipeline.defs.assets.graph import STAGE_OF_ASSET
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import SourceRun, run_one, source_run
from kb_pipeline.store.published.spaces import active_space
from kb_pipeline_tests.defs.conftest import Base


def published(run: SourceRun) -> StageReport:
    """All six stages; what the last one did."""
    *_, report = [run_one(run, stage) for stage in STAGE_OF_ASSET.values()]
    return report


def vector_table(run: SourceRun) -> sql.Composed:
    space = active_space(run.connection)
    assert space
    return sql.SQL("kb.{}").format(sql.Identifier(space.table_name))


def by_name(results: list[AssetCheckResult]) -> dict[str | None, bool]:
    return {result.check_name: result.passed for result in results}


def test_a_vector_row_that_is_missing_is_found(base: Base) -> None:
    base.write(leave="# Leave\n\nTwo weeks ahead.", travel="# Travel\n\nBy train.")
    with source_run(base.settings, "hr", "run", last=True) as run:
        report = published(run)
        assert by_name(check_published(run, report, [])) == {UNIT_VECTORS: True, ROWS_EQUAL_LEDGER: True}
        table = vector_table(run)
        chosen = sql.SQL("DELETE FROM {0} WHERE chunk_id = (SELECT min(chunk_id) FROM {0})").format(table)
        run.connection.execute(chosen)
        rows = next(r for r in check_published(run, report, []) if r.check_name == ROWS_EQUAL_LEDGER)
        assert not rows.passed
        assert {name: value.value for name, value in rows.metadata.items()} == {
            "kb/ledger": 2,
            "kb/chunk_rows": 2,
            "kb/vector_rows": 1,
        }


def test_a_vector_of_another_length_is_found(base: Base) -> None:
    base.write(leave="# Leave\n\nTwo weeks ahead.")
    with source_run(base.settings, "hr", "run", last=True) as run:
        report = published(run)
        double = sql.SQL("UPDATE {} SET embedding = embedding + embedding").format(vector_table(run))
        run.connection.execute(double)
        assert by_name(check_published(run, report, [])) == {UNIT_VECTORS: False, ROWS_EQUAL_LEDGER: True}


def test_a_run_that_wrote_nothing_looks_at_nothing_and_one_without_a_scope_at_all(base: Base) -> None:
    base.write(leave="# Leave\n\nTwo weeks ahead.")
    base.sync()
    with source_run(base.settings, "hr", "again", last=True) as run:
        report = published(run)
        run.connection.execute(sql.SQL("DELETE FROM {}").format(vector_table(run)))
        assert all(by_name(check_published(run, report, [])).values()), "the run took nothing on"
        run.state.scope = None  # a single asset, materialised by hand
        assert by_name(check_published(run, report, []))[ROWS_EQUAL_LEDGER] is False


def test_deletes_that_wait_are_red_for_their_source_and_for_no_other(base: Base) -> None:
    base.write(page="A page.", other="Another.", wiki__page="A page of the wiki.")
    base.sync("wiki")
    base.sync()
    for name in ("page", "other"):
        base.write(**{name: None})
    base.sync()
    with base.connect() as connection:
        seen = {source: deletes_evaluation(connection, source) for source in ("hr", "wiki")}
    assert {source: (one.partition, one.passed) for source, one in seen.items()} == {
        "hr": ("hr", False),
        "wiki": ("wiki", True),
    }
    assert seen["hr"].description == (
        "2 of 2 documents of hr are gone from the source. None was deleted. "
        "If that is right: kb sync hr --confirm-deletes"
    )
    for source, passed in (("hr", False), ("wiki", True)):
        with source_run(base.settings, source, "look", last=True) as run:
            assert by_name(check_raw(run, StageReport("raw"), [])) == {DELETES_CONFIRMED: passed}
