"""The real Dagster (webserver, daemon, code server), driven over GraphQL as its UI does."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kb_pipeline_tests.e2e.dagster_dev import ASSETS, DagsterDev, dagster_dev
from kb_pipeline_tests.e2e.workspace import Workspace, write_files

FILES: dict[str, str | bytes] = {
    "hr/leave.md": "# Leave\n\nAsk for leave two weeks ahead. Questions: leave@example.com.\n",
    "hr/请假.md": "# 请假\n\n请假须提前两周申请，联系电话13800138000。\n",
    "contracts/lease.html": "<h1>Lease</h1><p>The lease runs for three years and renews by the year.</p>",
    "contracts/broken.pdf": b"%PDF-1.7\n1 0 obj\n<<",
    "wiki/deploy.txt": "Deployments begin at nine and end before noon.\n",
}
DOCUMENTS = {"hr": 2, "contracts": 1, "wiki": 1}  # those that can be read
CHECKS = {
    ("raw_documents", "deletes_confirmed"),
    ("masked_chunks", "no_detectable_personal_data"),
    ("vector_tables", "vectors_finite_and_unit_length"),
    ("vector_tables", "rows_equal_ledger"),
}
TAGS = """query Tags($id: ID!) { runOrError(runId: $id) { ... on Run { tags { key value } } } }"""
NODES = """
query Nodes {
  assetNodes {
    assetKey { path } description kinds groupName partitionKeys
    owners { ... on TeamAssetOwner { team } ... on UserAssetOwner { email } }
    assetChecksOrError { ... on AssetChecks { checks { name
      partitionStatuses { ... on AssetCheckDefaultPartitionStatuses {
        succeededPartitions failedPartitions inProgressPartitions skippedPartitions } } } } }
    assetMaterializations(limit: 1, partitions: ["contracts"]) {
      metadataEntries { __typename label
        ... on IntMetadataEntry { intValue } ... on FloatMetadataEntry { floatValue }
        ... on TableMetadataEntry { table { records schema { columns { name } } } } }
    }
  }
}"""


@dataclass(frozen=True)
class Seen:
    """The one story of this module: a materialization, then a backfill, and what the UI shows after them."""

    dev: DagsterDev
    workspace: Workspace
    run_id: str
    rows_after_run: dict[str, int]
    backfill_runs: list[str]
    nodes: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seen(new_workspace: Callable[..., Workspace], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    workspace = new_workspace("dagster_ui")
    write_files(workspace.home / "objects" / "raw", FILES)
    with dagster_dev(workspace, tmp_path_factory.mktemp("dev") / "dev.log") as dev:
        run_id = dev.materialize(ASSETS, "hr", 120)
        rows = _rows(workspace)
        backfill_runs = dev.backfill(ASSETS, list(DOCUMENTS), 240)
        nodes = {node["assetKey"]["path"][0]: node for node in dev.ask(NODES)["assetNodes"]}
        yield Seen(dev, workspace, run_id, rows, backfill_runs, nodes)


def _rows(workspace: Workspace) -> dict[str, int]:
    """Documents with rows for searchers, by source system."""
    with workspace.database() as connection:
        ((table,),) = connection.execute("SELECT table_name FROM kb.space").fetchall()
        return dict(
            connection.execute(
                "SELECT source_system, count(DISTINCT document_id) FROM kb.chunk JOIN kb.document USING (document_id)"
                f" JOIN kb.{table} USING (chunk_id, source_system) GROUP BY 1"
            ).fetchall()
        )


@pytest.mark.timeout(420)
def test_a_materialization_of_one_partition_fills_the_tables(seen: Seen) -> None:
    assert seen.rows_after_run == {"hr": DOCUMENTS["hr"]}


def test_a_backfill_over_all_partitions_fills_the_tables(seen: Seen) -> None:
    assert len(seen.backfill_runs) == len(DOCUMENTS)
    assert _rows(seen.workspace) == DOCUMENTS


def test_runs_of_a_backfill_are_tagged_with_their_source_system(seen: Seen) -> None:
    """By this tag the queue keeps two runs over one source apart, and sensors go on with its backlog."""
    tags = [seen.dev.ask(TAGS, id=run_id)["runOrError"]["tags"] for run_id in seen.backfill_runs]
    sources = [tag["value"] for of_run in tags for tag in of_run if tag["key"] == "dagster/partition"]
    assert sorted(sources) == sorted(DOCUMENTS)


def test_every_source_system_is_a_partition(seen: Seen) -> None:
    for node in seen.nodes.values():
        assert sorted(node["partitionKeys"]) == sorted(DOCUMENTS)


def test_asset_checks_ran_and_passed_for_each_source_system(seen: Seen) -> None:
    found = {
        (name, check["name"]): check["partitionStatuses"]
        for name, node in seen.nodes.items()
        for check in node["assetChecksOrError"].get("checks", [])
    }
    assert found.keys() == CHECKS
    for statuses in found.values():
        assert sorted(statuses.pop("succeededPartitions")) == sorted(DOCUMENTS)
        assert not any(statuses.values()), statuses


@pytest.mark.parametrize("asset", ASSETS)
def test_the_lineage_page_explains_itself(seen: Seen, asset: str) -> None:
    node = seen.nodes[asset]
    assert len(node["description"]) > 40
    assert node["kinds"]
    assert node["owners"] == [{"team": "knowledge-base"}]
    assert node["groupName"] != "default"


@pytest.mark.parametrize("asset", ASSETS)
def test_a_materialization_says_what_was_done(seen: Seen, asset: str) -> None:
    (materialization,) = seen.nodes[asset]["assetMaterializations"]
    entries = {entry["label"]: entry for entry in materialization["metadataEntries"]}
    said = {"considered", "done", "reused", "quarantined", "rows_written", "seconds"}
    assert {f"kb/{name}" for name in said} <= entries.keys()
    assert ("kb/settings_key" in entries) == (asset != "raw_documents")
    assert ("kb/tokens" in entries) == (asset in ("chunks", "masked_chunks", "embeddings"))
    if asset == "raw_documents":  # the first run: nothing was parsed when it listed the source
        assert "kb/newest_quarantined" not in entries
        return
    quarantined = [json.loads(record) for record in entries["kb/newest_quarantined"]["table"]["records"]]
    assert [(q["document"], q["stage"], q["error_class"]) for q in quarantined] == [
        ("broken.pdf", "parse", "CorruptDocument")
    ]
    assert quarantined[0]["error_message"]


@pytest.mark.parametrize("asset", ASSETS)
def test_text_is_shown_from_masked_chunks_onward_only(seen: Seen, asset: str) -> None:
    (materialization,) = seen.nodes[asset]["assetMaterializations"]
    tables = {e["label"] for e in materialization["metadataEntries"] if e["__typename"] == "TableMetadataEntry"}
    masked = asset in ("masked_chunks", "vector_tables")
    assert ("kb/sample" in tables) == masked
    assert ("renews by the year" in json.dumps(materialization)) == masked
