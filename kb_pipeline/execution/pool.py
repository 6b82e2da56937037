"""Worker processes, one item at a time each, replaced when they hang, die or are spent. Bytes in, bytes out.

Each worker has a socket of its own: one that is stopped or killed in the middle of a message spoils no other's. A
thread looks after them all, so that limits are kept and workers stay busy while the consumer does something else.
"""

from __future__ import annotations

import ctypes
import os
import queue
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from kb_pipeline.core.errors import ServiceUnavailable
from kb_pipeline.execution.worker import KEEP, LENGTH, STEP, send

# The first worker also waits for the fork server's imports.
START_SECONDS = 120.0
STARTS = 6
# A worker may die of what another process did (the machine is out of memory, somebody kills it): once is no proof.
TRIES = 2
# What multiprocessing says of a worker whose fork server died: its document is not to blame for that, unless it is
# there each time.
SERVER_GONE = 255
LOSSES = 4
# A document may have this many parts with the whole time each, and that much time for all the rest.
MOST_STEPS = 1000
_READ_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Overtime:
    """No answer: the worker was killed at the time limit."""


@dataclass(frozen=True, slots=True)
class Death:
    """No answer: the worker died, with this exit code (negative: the signal)."""

    exit_code: int | None


Answer = bytes | Overtime | Death | Exception


@dataclass(slots=True)
class _Job:
    ticket: int
    body: bytes
    tries: int = 0
    losses: int = 0
    steps: int = 0


class _Worker:
    """One process, the parent's end of its socket, and what it works on."""

    def __init__(self, start: Callable[[socket.socket], BaseProcess]) -> None:
        self.channel, theirs = socket.socketpair()
        with theirs:
            self.process = start(theirs)
        self.job: _Job | None = None
        self.ready = False
        self.closed = False
        self.deadline: float | None = time.monotonic() + START_SECONDS
        self._received = bytearray()

    def give(self, job: _Job, seconds: float) -> None:
        job.tries += 1
        self.job, self.deadline = job, time.monotonic() + seconds
        with suppress(OSError):  # it died just now, which is seen at the next look
            send(self.channel, job.body)

    def frames(self) -> list[bytes]:
        """The messages that are complete by now. Never waits: a worker may be stopped in the middle of one."""
        try:
            while piece := self.channel.recv(_READ_BYTES, socket.MSG_DONTWAIT):
                self._received += piece
            self.closed = True
        except BlockingIOError:
            pass
        except OSError:
            self.closed = True
        found: list[bytes] = []
        while len(self._received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack(self._received[: LENGTH.size])[0]
            if len(self._received) < end:
                break
            found.append(bytes(self._received[LENGTH.size : end]))
            del self._received[:end]
        return found

    def end(self) -> int | None:
        """Kill it with all that it started, unless it is dead already; its exit code."""
        pid = self.process.pid
        assert pid is not None
        with suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
        if self.process.is_alive():  # it had no group of its own yet
            with suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self.process.join()
        self.channel.close()
        return self.process.exitcode


class Pool:
    """At most `count` workers, started as there is work. `answers` gets (ticket, answer), as they come; an exception
    among them, with ticket -1, ends the pool: ServiceUnavailable when no worker can be started. `share` is kept at how
    many workers there may be for each that is busy."""

    def __init__(
        self, count: int, seconds: float, start: Callable[[socket.socket], BaseProcess], share: ctypes.c_int
    ) -> None:
        self.answers: queue.SimpleQueue[tuple[int, Answer]] = queue.SimpleQueue()
        self._count, self._seconds, self._start, self._share = count, seconds, start, share
        self._incoming: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._waiting: deque[_Job] = deque()
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._closing = False
        self._bell, self._heard = socket.socketpair()
        self._thread = threading.Thread(target=self._look_after, name="workers", daemon=True)
        self._thread.start()

    def submit(self, ticket: int, body: bytes) -> None:
        """Have a worker answer `body`."""
        self._incoming.put(_Job(ticket, body))
        self._ring()

    def close(self) -> None:
        """Kill every worker, whatever it does."""
        self._closing = True
        self._ring()
        self._thread.join()
        self._bell.close()
        self._heard.close()

    def _ring(self) -> None:
        with suppress(BlockingIOError):  # it rings already
            self._bell.send(b"!", socket.MSG_DONTWAIT)

    def _look_after(self) -> None:
        try:
            while not self._closing:
                self._hand_out()
                self._look(self._wait())
        except Exception as error:  # noqa: BLE001 - raised where the answers are awaited
            self.answers.put((-1, error))
        finally:
            for worker in self._workers:
                worker.end()

    def _hand_out(self) -> None:
        with suppress(queue.Empty):
            while True:
                self._waiting.append(self._incoming.get_nowait())
        work = len(self._waiting) + sum(worker.job is not None for worker in self._workers)
        self._share.value = self._count // max(1, work)
        for worker in self._workers:
            if self._waiting and worker.ready and worker.job is None:
                worker.give(self._waiting.popleft(), self._seconds)
        coming = sum(not worker.ready for worker in self._workers)
        for _ in range(min(len(self._waiting) - coming, self._count - len(self._workers))):
            try:
                self._workers.append(_Worker(self._start))
            except (OSError, EOFError):  # no process to be had, or the fork server died: the next try starts another
                self._count_failed_start(None)

    def _wait(self) -> Sequence[Any]:
        deadlines = [worker.deadline for worker in self._workers if worker.deadline is not None]
        timeout = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
        if self._waiting and not self._workers:
            timeout = 0.1  # a start has failed
        handles: list[Any] = [self._heard, *(worker.channel for worker in self._workers)]
        ready = wait([*handles, *(worker.process.sentinel for worker in self._workers)], timeout)
        if self._heard in ready:
            self._heard.recv(4096)
        return ready

    def _look(self, ready: Sequence[Any]) -> None:
        for worker in list(self._workers):
            dead = worker.process.sentinel in ready
            if dead or worker.channel in ready:
                for frame in worker.frames():
                    self._take(worker, frame)
            if worker not in self._workers:
                continue
            if dead or worker.closed:
                self._bury(worker)
            elif worker.deadline is not None and worker.deadline <= time.monotonic():
                self._stop(worker)

    def _take(self, worker: _Worker, frame: bytes) -> None:
        if frame == STEP and worker.job:
            if worker.job.steps < MOST_STEPS:
                worker.job.steps += 1
                worker.deadline = time.monotonic() + self._seconds
            return
        worker.deadline = None
        if not worker.ready:
            worker.ready, self._failed_starts = True, 0
            return
        job, worker.job = worker.job, None
        if job:
            self.answers.put((job.ticket, frame[1:]))
        if frame[:1] != KEEP:
            self._workers.remove(worker)
            worker.end()

    def _bury(self, worker: _Worker) -> None:
        """It died, with a document or with none."""
        self._workers.remove(worker)
        exit_code = worker.end()
        if worker.job and exit_code == SERVER_GONE and worker.job.losses < LOSSES:
            worker.job.losses += 1
            worker.job.tries -= 1
        if worker.job and worker.job.tries < TRIES:
            self._waiting.appendleft(worker.job)
        elif worker.job:
            self.answers.put((worker.job.ticket, Death(exit_code)))
        elif not worker.ready:
            self._count_failed_start(exit_code)

    def _stop(self, worker: _Worker) -> None:
        """Its time is over."""
        self._workers.remove(worker)
        worker.end()
        if worker.job:
            self.answers.put((worker.job.ticket, Overtime()))
        else:
            self._count_failed_start(None)

    def _count_failed_start(self, exit_code: int | None) -> None:
        self._failed_starts += 1
        if self._failed_starts >= STARTS:
            raise ServiceUnavailable(
                f"Worker processes do not start (exit code {exit_code}, {STARTS} attempts).",
                "See that the machine has memory and processes left, then sync again: what is done stays done.",
            )
        time.sleep(0.1 * self._failed_starts)  # a fork server that has just died is not replaced at once
