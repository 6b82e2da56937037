"""CPU seconds of processes that run beside the benchmark: a tree of them, and PostgreSQL."""

from __future__ import annotations

import contextlib

import psutil


def tree_cpu(pid: int) -> float:
    """CPU seconds of a process and its descendants, those included that ended and were waited for."""
    process = psutil.Process(pid)
    return own_cpu(process) + sum(own_cpu(member) for member in process.children(recursive=True))


def own_cpu(process: psutil.Process) -> float:
    """CPU seconds of one process and of its children that were waited for; 0 when it is gone."""
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0
