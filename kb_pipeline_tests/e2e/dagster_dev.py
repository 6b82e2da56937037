"""A real `kb dev` (webserver, daemon, code server) as a process group, and its GraphQL API."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import psutil

from kb_pipeline_tests.e2e.workspace import KB, REPOSITORY, Workspace

LOCATION, REPOSITORY_NAME = "kb_pipeline", "__repository__"
ASSETS = ("raw_documents", "cleaned_elements", "chunks", "masked_chunks", "embeddings", "vector_tables")
Found = TypeVar("Found")

# The mutations are those that the UI sends from "Materialize" and from its backfill dialog.
LAUNCH = """
mutation Launch($executionParams: ExecutionParams!) {
  launchPipelineExecution(executionParams: $executionParams) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}"""
BACKFILL = """
mutation Backfill($backfillParams: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $backfillParams) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}"""
RUN = """query Run($id: ID!) { runOrError(runId: $id) { __typename ... on Run { status } } }"""
BACKFILL_STATUS = """
query Status($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    __typename
    ... on PartitionBackfill { status numPartitions runs(limit: 100) { runId status } }
  }
}"""
LOCATIONS = """
{ workspaceOrError { ... on Workspace { locationEntries { loadStatus locationOrLoadError { __typename } } } } }"""
FINISHED = {"SUCCESS", "FAILURE", "CANCELED"}
BACKFILL_FINISHED = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "COMPLETED", "FAILED", "CANCELED"}


@dataclass(frozen=True)
class DagsterDev:
    """A running instance."""

    port: int
    process: subprocess.Popen[bytes]
    log: Path

    def ask(self, query: str, **variables: Any) -> Any:
        """One GraphQL request; its data, which holds no errors."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                answer = json.load(response)
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read().decode()) from None
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def poll(self, look: Callable[[], Found | None], seconds: float) -> Found:
        """What `look` gives, once it gives something."""
        deadline = time.monotonic() + seconds
        while (found := look()) is None:
            assert self.process.poll() is None, self.end_of_log()
            assert time.monotonic() < deadline, self.end_of_log()
            time.sleep(0.5)
        return found

    def end_of_log(self) -> str:
        return self.log.read_text(errors="replace")[-6000:]

    def launch(self, partition: str, job: str = "sync", assets: Sequence[str] | None = None) -> str:
        """Launch a run over one partition, and give its id."""
        selector: dict[str, Any] = {
            "pipelineName": job,
            "repositoryLocationName": LOCATION,
            "repositoryName": REPOSITORY_NAME,
        }
        if assets is not None:
            selector["assetSelection"] = [{"path": [name]} for name in assets]
        parameters = {
            "selector": selector,
            "mode": "default",
            "runConfigData": "{}",
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": partition}]},
        }
        launched = self.ask(LAUNCH, executionParams=parameters)["launchPipelineExecution"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id: str = launched["run"]["runId"]
        return run_id

    def materialize(self, assets: Sequence[str], partition: str, seconds: float) -> str:
        """Launch a run over one partition, wait for its end, and give its id. It must succeed."""
        run_id = self.launch(partition, "__ASSET_JOB", assets)

        def status() -> str | None:
            now: str = self.ask(RUN, id=run_id)["runOrError"]["status"]
            return now if now in FINISHED else None

        assert self.poll(status, seconds) == "SUCCESS", self.end_of_log()
        return run_id

    def backfill(self, assets: Sequence[str], partitions: Sequence[str], seconds: float) -> list[str]:
        """Launch a backfill, wait for its end, and give the ids of its runs. All must succeed."""
        parameters = {"assetSelection": [{"path": [name]} for name in assets], "partitionNames": list(partitions)}
        launched = self.ask(BACKFILL, backfillParams=parameters)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        identity = launched["backfillId"]

        def ended() -> dict[str, Any] | None:
            now = self.ask(BACKFILL_STATUS, id=identity)["partitionBackfillOrError"]
            return now if now["status"] in BACKFILL_FINISHED else None

        backfill = self.poll(ended, seconds)
        assert backfill["status"] == "COMPLETED_SUCCESS", (backfill, self.end_of_log())
        assert {run["status"] for run in backfill["runs"]} == {"SUCCESS"}
        return [run["runId"] for run in backfill["runs"]]


@contextmanager
def dagster_dev(workspace: Workspace, log: Path) -> Iterator[DagsterDev]:
    """Run `kb dev` until the context ends; then nothing of it is left."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(KB), "dev", "--port", str(port)],
            env=workspace.variables(),
            cwd=REPOSITORY,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    started = DagsterDev(port, process, log)
    try:
        started.poll(lambda: _ready(started), 150)
        yield started
    finally:
        _end_session(process)


def _ready(dev: DagsterDev) -> bool | None:
    """Whether the webserver answers and the code location is loaded."""
    try:
        entries = dev.ask(LOCATIONS)["workspaceOrError"]["locationEntries"]
    except OSError:
        return None
    loaded = [(e["loadStatus"], (e["locationOrLoadError"] or {}).get("__typename")) for e in entries]
    assert ("LOADED", "PythonError") not in loaded, dev.end_of_log()
    return True if loaded == [("LOADED", "RepositoryLocation")] else None


def _end_session(leader: subprocess.Popen[bytes]) -> None:
    """End every process of the session that `leader` began: Dagster's can ignore SIGINT and SIGTERM."""
    members = [p for p in psutil.process_iter() if _session(p.pid) == leader.pid]
    for member in members:
        try:
            os.kill(member.pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    leader.wait(timeout=30)
    _, alive = psutil.wait_procs(members, timeout=30)
    assert not alive


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except (ProcessLookupError, PermissionError):
        return None
