"""CPU seconds: of work in this process, and of processes that run beside it, a tree of them, PostgreSQL."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import psutil

TIMES = 3


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


def least_cpu(*works: Callable[[], object]) -> list[float]:
    """CPU seconds that each of `works` takes here: the least of three times, in turn, after one more for warming up."""
    taken: list[list[float]] = [[] for _ in works]
    for _ in range(1 + TIMES):
        for work, times in zip(works, taken, strict=True):
            started = time.process_time()
            work()
            times.append(time.process_time() - started)
    return [min(times[1:]) for times in taken]
