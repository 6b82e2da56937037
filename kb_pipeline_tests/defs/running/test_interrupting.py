"""Ctrl-C of `kb sync`: what was committed stays, and Dagster's books say that someone wanted the end."""

from __future__ import annotations

import signal
import subprocess

from dagster import DagsterRunStatus

from kb_pipeline.defs.running.in_process import dagster_instance
from kb_pipeline_tests.defs.conftest import Base
from kb_pipeline_tests.e2e.workspace import KB
from kb_pipeline_tests.support.embedding_stub import EmbeddingStub


def test_an_interrupted_run_is_canceled_and_not_failed(base: Base, stub: EmbeddingStub) -> None:
    base.write(leave="# Leave\n\nTwo weeks ahead, in writing.")
    stub.asked.clear()
    stub.delay = 5.0  # a request that was sent is waited for
    sync = subprocess.Popen([str(KB), "sync", "hr"], stderr=subprocess.PIPE, text=True)
    try:
        assert stub.asked.wait(120)
        sync.send_signal(signal.SIGINT)
        _, said = sync.communicate(timeout=60)
    finally:
        stub.delay = 0.0
        sync.kill()
    assert sync.returncode == 130
    assert "Interrupted" in said
    with dagster_instance(base.settings) as instance:
        (run,) = instance.get_runs()
    assert run.status is DagsterRunStatus.CANCELED
