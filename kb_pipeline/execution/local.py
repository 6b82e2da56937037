"""Limited worker processes on this machine: one document at a time each, with a time and a memory limit.

A worker that hangs, grows over its limit or dies costs its own document alone: the process is replaced and the document
gets the matching PermanentError. Workers come from a fork server that has the parsers loaded, so a new one is quick.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import pickle
import resource
import socket
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from types import ModuleType, TracebackType
from typing import Generic, TypeVar

from kb_pipeline.core.errors import KbError, TimeLimitExceeded, WorkerCrashed
from kb_pipeline.execution.pool import Answer, Death, Overtime, Pool
from kb_pipeline.execution.worker import credentials, serve, unexpected

Item = TypeVar("Item")
Result = TypeVar("Result")

_MAIN = threading.Lock()

IN_FLIGHT = 4  # items a worker, so that none waits while the consumer commits


def _nothing() -> None:
    """There is nothing to prepare."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Per document: wall seconds and MiB of memory. `workers` None means one a core."""

    seconds: float
    memory_mb: int
    workers: int | None = None

    @property
    def count(self) -> int:
        return self.workers or max(1, len(os.sched_getaffinity(0)))


class LocalWorkers(Generic[Item, Result]):
    """Runs `function(item)` for each item in limited processes. `function` and items must be picklable.

    A context manager: leaving it ends the workers. `preload` names modules that the fork server imports once;
    `prepare` is called once in each worker, before its memory is limited.
    """

    def __init__(
        self,
        function: Callable[[Item], Result],
        limits: Limits,
        preload: Sequence[str] = (),
        prepare: Callable[[], None] = _nothing,
    ) -> None:
        self.function, self.prepare = function, prepare
        self.limits = limits
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(preload))
        self._share: ctypes.c_int = self._context.RawValue(ctypes.c_int, 1)
        self._pool = Pool(limits.count, limits.seconds, self._start, self._share)

    def __enter__(self) -> LocalWorkers[Item, Result]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.close()

    def run(self, items: Iterable[Item]) -> Iterator[tuple[Item, Result | KbError]]:
        """Yield (item, result or error) as they come, with a bounded number in flight: one slow document holds up no
        other. Raises ServiceUnavailable when no worker can be started."""
        flying: dict[int, Item] = {}
        for ticket, item in enumerate(items):
            try:
                body = pickle.dumps(item)
            except Exception as error:  # noqa: BLE001 - an item that cannot be sent costs itself alone
                yield item, unexpected(error)
                continue
            flying[ticket] = item
            self._pool.submit(ticket, body)
            if len(flying) >= IN_FLIGHT * self.limits.count:
                yield self._next(flying)
        while flying:
            yield self._next(flying)

    def _next(self, flying: dict[int, Item]) -> tuple[Item, Result | KbError]:
        ticket, answer = self._pool.answers.get()
        if isinstance(answer, Exception):
            raise answer
        return flying.pop(ticket), self._read(answer)

    def _read(self, answer: Answer) -> Result | KbError:
        if isinstance(answer, Overtime):
            return TimeLimitExceeded(
                f"Not finished within {self.limits.seconds:g} seconds.",
                "Raise limits.seconds in kb.yaml and retry, or split the document.",
            )
        if isinstance(answer, Death):
            return WorkerCrashed(
                f"The worker process died (exit code {answer.exit_code}) each time it had this document.",
                "Usually the parser crashed or ran out of memory: raise limits.memory_mb in kb.yaml and retry.",
            )
        try:
            result: Result | KbError = pickle.loads(answer)  # type: ignore[arg-type] # noqa: S301 - from our own worker
            return result
        except Exception as error:  # noqa: BLE001 - an answer that cannot be read costs this document alone
            return unexpected(error)

    def _start(self, channel: socket.socket) -> BaseProcess:
        arguments = (channel, self.function, self.limits.memory_mb, credentials(), self.prepare, self._share)
        process = self._context.Process(target=serve, args=arguments, daemon=True)
        with _without_main():
            process.start()
        return process


@contextmanager
def _without_main() -> Iterator[None]:
    """Workers do not load the program's main module again: it takes time, and one that works at import would do so in
    each. What they call is importable by name."""
    with _MAIN:
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            yield
        finally:
            sys.modules["__main__"] = main


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
