"""Verbs of the pipeline in processes that may die: `python -m kb_pipeline_tests.support.fault_server`.

Each line of standard input is a request in JSON; it is done by a copy of this process, which has everything imported
and nothing opened, so that a process costs a fork. The answer is the copy's exit code. Dagster is left out: the job's
loop over the stages is written out here, and worker stages run in the copy itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

from kb_pipeline.core import faults
from kb_pipeline.core.contracts import StageName
from kb_pipeline.defs.running import syncing
from kb_pipeline.defs.running.syncing import SyncOptions
from kb_pipeline.embedding import client
from kb_pipeline.masking import mask_name
from kb_pipeline.operations import maintenance
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.pipeline.opening import connected, object_store
from kb_pipeline.pipeline.reports import SyncReport, run_report
from kb_pipeline.pipeline.source_run import report_json, run_one, source_run
from kb_pipeline.settings import Settings, load_settings
from kb_pipeline.sources.folder import Rules
from kb_pipeline.sources.mirror import mirror
from kb_pipeline.store.ledger.documents import known_versions
from kb_pipeline_tests.e2e.workspace import SETTINGS_VARIABLES
from kb_pipeline_tests.support.inline import InlineExecutors

WARM = (client, mask_name)
FAILED = 1


class FaultServer:
    """Asks a server process of its own; close it by leaving the block."""

    def __enter__(self) -> FaultServer:
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS_VARIABLES}
        command = [sys.executable, "-m", "kb_pipeline_tests.support.fault_server"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**clean, "KB_CONFIG": os.devnull}
        )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(30)

    def ask(self, verb: str, variables: Mapping[str, str], fault: str = "", **arguments: Any) -> int:
        """The exit code of `verb` (a name of VERBS), which ends at `fault` if it passes there."""
        assert self._process.stdin
        assert self._process.stdout
        more = {faults.VARIABLE: fault} if fault else {}
        self._process.stdin.write(json.dumps([verb, {**variables, **more}, arguments]) + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def _run(settings: Settings, source: str, **observing: bool) -> SyncReport:
    run_id, stages = f"run of {os.getpid()}", {}
    for name in get_args(StageName):  # as the assets do: the lease is held from the first to the last
        with source_run(settings, source, run_id, last=name == "publish", executors=InlineExecutors()) as run:
            stages[name] = report_json(run_one(run, name, **(observing if name == "raw" else {})))
    return run_report(source, run_id, 0.0, stages)


def _sync(settings: Settings, source: str, keys: list[str] | None = None) -> None:
    syncing.sync_source(settings, source, SyncOptions(keys=keys), _run)


def _ingest(settings: Settings, source: str, folder: str) -> None:
    with connected(settings) as connection:
        known = known_versions(connection, source)
    mirror(object_store(settings), Path(folder), raw_prefix(source), Rules(known=known))
    _sync(settings, source)


VERBS: Mapping[str, Callable[..., object]] = {
    "sync": _sync,
    "ingest": _ingest,
    "collect": lambda settings, source: maintenance.collect(settings, dry_run=False),
    "forget": lambda settings, source, document: maintenance.forget(settings, document, source),
    "remove": lambda settings, source: maintenance.remove_source(settings, source),
}


def _do(verb: str, variables: Mapping[str, str], arguments: Mapping[str, Any]) -> None:
    os.environ.update(variables)
    try:
        VERBS[verb](load_settings(), "wiki", **arguments)
        os._exit(0)
    except BaseException:  # noqa: BLE001 - told, and the exit code says so
        traceback.print_exc()
        os._exit(FAILED)


def main() -> None:
    """Answer until standard input ends."""
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _do(*json.loads(line))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
