"""A worker's job that some documents drive to hang, grow or die, and a look at a run's memory.

Importable, as worker processes must import the job.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import psutil

from kb_pipeline.core.contracts import Task
from kb_pipeline.pipeline.catalogue import WorkerJob, raw_prefix
from kb_pipeline.store.objects.object_store import ObjectStore

GIB = 2**30


def _hang() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def _allocate() -> None:
    pieces = [b"x" * 2**26 for _ in range(128)]  # 8 GiB
    raise AssertionError(f"{len(pieces)} pieces were to be had")


def _leave_children() -> None:
    for _ in range(3):
        if not os.fork():
            time.sleep(600)
            os._exit(0)


BEHAVIOUR: Mapping[str, Callable[[], object]] = {
    "HANG": _hang,
    "ALLOCATE": _allocate,
    "KILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SEGFAULT": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "LEAVE": lambda: os._exit(0),
    "STOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "CHILDREN": _leave_children,
}


class HostileJob(WorkerJob):
    """The real job; before it parses a document that says so, it does what the document says."""

    __slots__ = ()

    def _parse(self, store: ObjectStore, task: Task) -> Any:
        text = store.get(f"{raw_prefix(task.source_system)}/{task.key}").decode(errors="replace")
        for word, act in BEHAVIOUR.items():
            if f"behave: {word}" in text:
                act()
        return super()._parse(store, task)


@dataclass
class Memory:
    """Samples the memory of a process and all below it, shared pages counted once, while the block lasts."""

    pid: int
    peak: int = 0
    samples: int = 0
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Memory:
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._done.wait(0.2):
            try:
                root = psutil.Process(self.pid)
                family = [root, *root.children(recursive=True)]
            except psutil.Error:
                continue
            self.peak = max(self.peak, sum(map(_bytes, family)))
            self.samples += 1


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:  # it has ended
        return 0
