"""Nine true states of a folder of real documents, one after the other through the S3 API and the sensor: after each one
the tables hold what a fresh load of it gives, and nothing was read or embedded that had not changed.

Three of the states are loaded afresh by default, all nine with KB_FULL_CORPUS=1.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kb_pipeline.defs.running.in_process import dagster_instance
from kb_pipeline_tests.e2e.replay import (
    SOURCE,
    Files,
    Follower,
    Steps,
    expected_changes,
    hashes,
    published,
)
from kb_pipeline_tests.e2e.workspace import Workspace, write_files
from kb_pipeline_tests.support.embedding_stub import embedding_stub
from kb_pipeline_tests.support.s3 import S3Server

pytestmark = [pytest.mark.long, pytest.mark.s3, pytest.mark.corpus, pytest.mark.timeout(1800)]

SNAPSHOTS = 9
LOADED_AFRESH = range(SNAPSHOTS) if os.environ.get("KB_FULL_CORPUS") == "1" else (0, 4, 8)
BUCKET = "history"
TEXT_HASH = -3  # in a row of `published`
COLUMNS = (
    "step | files | git: add / modify / rename / rename, edited / delete | report: added / changed / moved / copied /"
    " deleted | chunks | new texts | embedded | sent again | object reads"
)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("history") / "kb.yaml"
    path.write_text(f"sources:\n  {SOURCE}: {{}}\n")
    return path


@pytest.fixture(scope="module")
def follower(new_workspace: Callable[..., Workspace], s3_server: S3Server, config: Path) -> Iterator[Follower]:
    s3 = s3_server.client()
    s3.create_bucket(Bucket=BUCKET)
    with embedding_stub() as stub:
        made = new_workspace(
            "replayed",
            config,
            KB_OBJECT_STORE_URL=f"s3://{BUCKET}",
            KB_EMBEDDING_URLS=stub.url,
            KB_CONFIG=str(config),
            **s3_server.environment,
        )
        workspace = replace(made, environment={**made.environment, "KB_HOME": str(made.home)})
        with workspace.entered() as base, dagster_instance(base.settings) as instance:
            yield Follower(workspace, s3, BUCKET, stub, instance)


@pytest.fixture(scope="module")
def load_afresh(
    new_workspace: Callable[..., Workspace], config: Path
) -> Iterator[Callable[[int, Files], dict[str, tuple[Any, ...]]]]:
    """Loads a snapshot into an empty knowledge base, and gives what it published."""
    with embedding_stub() as stub:

        def load(number: int, files: Files) -> dict[str, tuple[Any, ...]]:
            workspace = new_workspace(f"fresh{number}", config, KB_EMBEDDING_URLS=stub.url)
            write_files(workspace.home / "objects" / "raw" / SOURCE, files)
            with workspace.entered() as base:
                base.sync(SOURCE)
            return published(workspace)

        yield load


def test_a_real_history_leads_to_what_fresh_loads_of_its_states_give(
    corpus: Path, follower: Follower, load_afresh: Callable[[int, Files], dict[str, tuple[Any, ...]]]
) -> None:
    steps = Steps(corpus / "history" / "dolphinscheduler-docs")
    old: Files = {}
    known: set[str] = set()
    lines = [COLUMNS]
    for number in range(SNAPSHOTS):
        files = steps.snapshot(number)
        follower.put(files)
        (report,), _ = follower.tick()
        changes = _changes(report.stages)
        rows = published(follower.workspace)
        texts = {row[TEXT_HASH] for row in rows.values()}
        embedded = hashes(follower.embedded())

        git = steps.recorded(number)
        assert changes == expected_changes(old, files), f"step {number}"
        if number:
            assert changes["changed"] == git["modify"]
            assert changes["moved"] == git["rename"]
            assert changes["added"] == git["add"] + git["rename, edited"]
            assert changes["deleted"] == git["delete"] + git["rename"] + git["rename, edited"]
        assert embedded == Counter(texts - known), f"step {number}: exactly the new texts, each once"
        nothing, said = follower.tick()
        assert nothing == []
        assert f"{len(files)} objects listed, nothing changed" in said
        if number in LOADED_AFRESH:
            assert rows == load_afresh(number, files), f"step {number}"

        lines.append(
            f"{number} | {len(files)}"
            f" | {' / '.join(str(git[n]) for n in ('add', 'modify', 'rename', 'rename, edited', 'delete'))}"
            f" | {' / '.join(str(changes[n]) for n in ('added', 'changed', 'moved', 'copied', 'deleted'))}"
            f" | {len(rows)} | {len(texts - known)} | {embedded.total()} | {len(embedded.keys() & known)}"
            f" | {report.object_reads}"
        )
        known |= texts
        old = files
    print("\n".join(lines))


def _changes(stages: dict[str, dict[str, Any]]) -> Counter[str]:
    """What the runs' reports say that changed."""
    counts = Counter({name: n for name, n in stages["raw"]["stats"].items() if name != "regrouped"})
    counts["deleted"] = stages["raw"]["deleted"] + stages["publish"]["deleted"]
    return +counts
