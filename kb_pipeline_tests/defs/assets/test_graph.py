"""The six assets as Dagster sees them."""

from __future__ import annotations

from typing import Any

import pytest
from dagster import AssetsDefinition, Definitions, asset

from kb_pipeline.defs.assets.graph import ALL_ASSETS, STAGE_OF_ASSET
from kb_pipeline.defs.automation.dagster_runs import PARTITION
from kb_pipeline.defs.jobs import SYNC, sync_job
from kb_pipeline.defs.resources import GivenSettings, KnowledgeBaseResource
from kb_pipeline.pipeline.catalogue import catalogue, stage_versions
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import Connection
from kb_pipeline.store.published.spaces import ensure_space
from kb_pipeline_tests.defs.conftest import Base


def test_a_sync_is_the_six_assets_whatever_comes_to_stand_beside_them() -> None:
    @asset
    def another() -> None: ...

    resources = {"knowledge_base": KnowledgeBaseResource()}
    both = Definitions(assets=[*ALL_ASSETS, another], jobs=[sync_job], resources=resources)
    keys = both.resolve_job_def(SYNC).asset_layer.executable_asset_keys
    assert {key.to_user_string() for key in keys} == set(STAGE_OF_ASSET)


@pytest.mark.parametrize("one", ALL_ASSETS, ids=list(STAGE_OF_ASSET))
def test_an_asset_says_which_code_it_is_and_where_to_read_on(one: AssetsDefinition) -> None:
    (spec,) = one.specs
    assert spec.code_version == str(stage_versions()[STAGE_OF_ASSET[spec.key.to_user_string()]])
    assert "`docs/" in (spec.description or "")
    assert {check.partitions_def for check in one.check_specs} <= {one.partitions_def}


def test_versions_are_those_that_the_stages_go_by() -> None:
    stages = catalogue(Settings(), "hr")
    assert {name: stage.version for name, stage in stages.items()}.items() <= stage_versions().items()


def test_the_table_named_has_the_columns_named(connection: Connection) -> None:
    vector_tables = next(one for one in ALL_ASSETS if one.key.to_user_string() == "vector_tables")
    metadata: dict[str, Any] = dict(vector_tables.specs_by_key[vector_tables.key].metadata)
    ensure_space(connection, model="m", revision="r", instruction="", native_dimension=8, dimension=8)
    schema, _, view = str(metadata["dagster/table_name"]).partition(".")
    rows = connection.execute(
        "SELECT attname::text, format_type(atttypid, atttypmod) FROM pg_attribute JOIN pg_class ON oid = attrelid"
        " WHERE relname = %s AND relnamespace = %s::regnamespace AND attnum > 0 ORDER BY attnum",
        (view, schema),
    )
    assert rows.fetchall() == [(c.name, c.type) for c in metadata["dagster/column_schema"].schema.columns]


@pytest.mark.parametrize("partition", ["typo", "../../etc", "", None])
def test_a_run_of_no_source_system_leaves_nothing_in_the_ledger(base: Base, partition: str | None) -> None:
    """As the launchpad and GraphQL start one: the partition is a tag, and any text will do."""
    resources = {"knowledge_base": GivenSettings(base.settings)}
    job = Definitions(assets=ALL_ASSETS, jobs=[sync_job], resources=resources).resolve_job_def(SYNC)
    tags = {} if partition is None else {PARTITION: partition}
    ended = job.execute_in_process(instance=base.instance, tags=tags, raise_on_error=False)
    assert not ended.success
    with base.connect() as connection:
        assert connection.execute("SELECT source_system FROM kb.source").fetchall() == []
        assert connection.execute("SELECT source_system FROM kb.source_lease").fetchall() == []
