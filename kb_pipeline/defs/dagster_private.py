"""Everything of Dagster that is not its public API, in one place, each with the public way that was tried.

kb_pipeline_tests/defs/test_dagster_private.py fails when one of these moves or changes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, PreviewWarning

# What DagsterInstance.get() builds an instance from. get() itself takes no overrides, and an instance that captures the
# output of runs starts four processes for each.
from dagster._core.instance.ref import InstanceRef

# Base of a storage that dagster.yaml names. `dagster` exports no storage, and dagster.yaml cannot choose by itself.
from dagster._core.storage.sqlite_storage import DagsterSqliteStorage

# The webserver's view of code locations. `dagster-webserver` makes one, and can be given no middleware.
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget

__all__ = [
    "DagsterSqliteStorage",
    "in_preview",
    "instance_that_captures_nothing",
    "workspace_context",
]

# By name, for dagster.yaml's notation is what an override takes. `dagster` exports no compute log manager.
NOT_CAPTURED = {
    "compute_logs": {"module": "dagster._core.storage.noop_compute_log_manager", "class": "NoOpComputeLogManager"}
}

PARTITIONED_CHECKS = "Specifying a partitions_def on an AssetCheckSpec"


@contextmanager
def instance_that_captures_nothing(home: Path) -> Iterator[DagsterInstance]:
    """The instance of this DAGSTER_HOME, for runs in this process whose output a person sees as it comes."""
    with DagsterInstance.from_ref(InstanceRef.from_dir(str(home), overrides=NOT_CAPTURED)) as instance:
        yield instance


@contextmanager
def workspace_context(instance: DagsterInstance, workspace: Path, version: str) -> Iterator[Any]:
    """The code locations that a workspace.yaml names, as the webserver's class wants them."""
    target = WorkspaceFileTarget([str(workspace)])
    with WorkspaceProcessContext(instance, version=version, workspace_load_target=target) as context:
        yield context


@contextmanager
def in_preview() -> Iterator[None]:
    """Silences one warning by its words, and no other: partitions of asset checks are in preview. Without them one
    source's red is overwritten by the next one's green."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=PARTITIONED_CHECKS, category=PreviewWarning)
        yield
