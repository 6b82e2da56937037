"""Limited worker processes on this machine: one document at a time each, with a time and a memory limit.

A worker that hangs, grows over its limit or dies costs its own document alone: the process is replaced and the document
gets the matching PermanentError. Workers come from a fork server that has the parsers loaded, so a new one is quick.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import resource
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from multiprocessing import forkserver
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, TypeVar

from pebble import ProcessExpired, ProcessPool

from kb_pipeline.errors import (
    KbError,
    MemoryLimitExceeded,
    TimeLimitExceeded,
    UnexpectedError,
    WorkerCrashed,
)

Item = TypeVar("Item")
Result = TypeVar("Result")

# A worker is replaced after this many documents, so that what a parser leaks does not add up.
DOCUMENTS_PER_WORKER = 500
_OUT_OF_MEMORY = 86  # exit code of a worker that met its memory limit; parsers and signals use others
_PR_SET_PDEATHSIG = 1
_MIB = 1024 * 1024


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

    A context manager: leaving it ends the workers. `preload` names modules that the fork server imports once.
    """

    def __init__(self, function: Callable[[Item], Result], limits: Limits, preload: Sequence[str] = ()) -> None:
        self.function = function
        self.limits = limits
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(list(preload))
        self._pool = ProcessPool(
            max_workers=limits.count,
            max_tasks=DOCUMENTS_PER_WORKER,
            initializer=_prepare_this_process,
            initargs=(limits.memory_mb, _credentials()),
            context=context,
        )

    def __enter__(self) -> LocalWorkers[Item, Result]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._pool.stop() if kind else self._pool.close()
        self._pool.join()

    def run(self, items: Iterable[Item]) -> Iterator[tuple[Item, Result | KbError]]:
        """Yield (item, result or error) in the order of the items, with a bounded number in flight."""
        waiting: deque[tuple[Item, Any]] = deque()
        for item in items:
            call = (self.function, item, self.limits.memory_mb)
            waiting.append((item, self._pool.schedule(_call, args=call, timeout=self.limits.seconds)))
            if len(waiting) >= 4 * self.limits.count:
                yield self._take(*waiting.popleft())
        while waiting:
            yield self._take(*waiting.popleft())

    def _take(self, item: Item, future: Any) -> tuple[Item, Result | KbError]:
        try:
            return item, future.result()  # a result or one of our errors
        except FutureTimeout:
            return item, TimeLimitExceeded(
                f"Not finished within {self.limits.seconds:g} seconds.",
                "Raise limits.seconds in kb.yaml and retry, or split the document.",
            )
        except ProcessExpired as error:
            if error.exitcode == _OUT_OF_MEMORY:
                return item, MemoryLimitExceeded(
                    f"Needs more than {self.limits.memory_mb} MiB of memory.",
                    "Raise limits.memory_mb in kb.yaml and retry, or split the document.",
                )
            return item, WorkerCrashed(
                f"The worker process died (exit code {error.exitcode}) while it had this document.",
                "Usually the parser crashed or ran out of memory: raise limits.memory_mb in kb.yaml and retry.",
            )
        except Exception as error:  # noqa: BLE001 - a result that cannot be sent costs this document alone
            return item, _unexpected(error)


def peak_rss_bytes() -> int:
    """Highest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _call(function: Callable[[Item], Result], item: Item, memory_mb: int) -> Result | KbError:
    """In the worker. Errors go back as values of ours: one that cannot be pickled would end the pool, and SystemExit
    would end the run. After a MemoryError the process goes too: nobody knows what it still holds."""
    _allow(memory_mb)
    try:
        return function(item)
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    except KbError as error:
        return error
    except BaseException as error:  # noqa: BLE001 - whatever a parser raises costs this document alone
        return _unexpected(error)


def _unexpected(error: BaseException) -> UnexpectedError:
    return UnexpectedError(
        f"Unexpected {type(error).__name__} in a worker.", "Please report it with the media type of the document."
    )


def _credentials() -> dict[str, str]:
    """What opens the object store, as the environment has it now."""
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


def _prepare_this_process(memory_mb: int, credentials: Mapping[str, str]) -> None:
    """The run's credentials (the fork server's environment is older: they may have come since), and what this process
    may ever map: twice the limit of a document, for what documents leave behind."""
    _end_with_the_run()
    for name in _credentials().keys() - credentials.keys():
        del os.environ[name]
    os.environ.update(credentials)
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"), "1"))
    most = _mapped_bytes() + 2 * memory_mb * _MIB
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _end_with_the_run() -> None:
    """A run that is killed leaves no worker, however deep in a parser: the fork server ends when nobody holds its pipe
    any more, and its end kills its children (prctl(2))."""
    os.close(forkserver._forkserver._forkserver_alive_fd)  # type: ignore[attr-defined] # else we would hold the pipe
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _allow(memory_mb: int) -> None:
    """The limit is on top of what is mapped now: libraries reserve address space they never touch, and what a document
    before left behind is not this one's fault."""
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (min(_mapped_bytes() + memory_mb * _MIB, most), most))


def _mapped_bytes() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
