"""What `kb up` keeps in memory while nothing happens: PostgreSQL and the embedding server with MiniLM loaded."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import psutil

from benchmarks.result import Result
from kb_pipeline.knowledge_base import KnowledgeBase

GOAL_MB = 350.0


def run() -> list[Result]:
    """Proportional set size (shared pages counted once) of every process, once both servers are ready."""
    with tempfile.TemporaryDirectory(prefix="kb-bench-") as folder:
        Path(folder).chmod(0o755)
        base = KnowledgeBase(home=folder)
        try:
            pids = [service.pid for service in base.up() if service.pid]
            megabytes = sum(_tree_pss(pid) for pid in pids) / 1e6
        finally:
            base.down()
    return [Result("idle memory of `kb up`", megabytes, "the goal", GOAL_MB, "MB")]


def _tree_pss(pid: int) -> int:
    process = psutil.Process(pid)
    total = 0
    for member in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.NoSuchProcess):  # PostgreSQL's short-lived helpers come and go
            total += int(member.memory_full_info().pss)
    return total
