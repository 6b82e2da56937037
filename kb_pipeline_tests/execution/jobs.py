"""What the workers of these tests run: importable, as a worker process must import it. The argument says what to do."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from kb_pipeline.core.errors import CorruptDocument
from kb_pipeline.execution.local import peak_rss_bytes
from kb_pipeline.execution.worker import parts_at_once, step_done

MIB = 1024**2
_kept: list[bytearray] = []


class NotMadeAgain(Exception):
    """Pickles, and cannot be made again from its pickle: as exceptions with two required arguments are."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)


class Unpicklable(Exception):
    def __reduce__(self) -> str:
        raise TypeError("holds a lock")


def act(item: tuple[int, str]) -> object:
    """(number, what): the number comes back, or what `what` gives."""
    number, what = item
    if what.startswith("die once "):
        return _die_once(what.removeprefix("die once "))
    return _ACTS[what]() if what else number


def _hang_deaf() -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        pass


def _grow() -> NoReturn:
    pieces = []
    while True:
        pieces.append(bytes(MIB))


def _keep() -> int:
    _kept.append(bytearray(300 * MIB))
    return len(_kept)


def _fork_and_stay() -> int:
    """A child that sleeps on; its own id comes back."""
    child = os.fork()
    if not child:
        time.sleep(600)
        os._exit(0)
    return child


def _fork_and_return() -> str:
    """Both come back."""
    return "parent" if os.fork() else "child"


def _grandchild() -> int:
    """A child that leaves one of its own and ends; the grandchild's id comes back."""
    read, write = os.pipe()
    if not os.fork():
        os.write(write, str(_fork_and_stay()).encode())
        os._exit(0)
    return int(os.read(read, 20))


def _thread() -> int:
    threading.Thread(target=time.sleep, args=(600,)).start()
    return os.getpid()


def _stop() -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def _die_once(file: str) -> str:
    """The first worker that comes here dies, as if it were killed by somebody else."""
    if not Path(file).exists():
        Path(file).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return "done"


def _raise(error: type[BaseException], *arguments: str) -> Callable[[], NoReturn]:
    def act() -> NoReturn:
        raise error(*arguments)

    return act


def _steps(then: float) -> str:
    """Six parts of half a second, then `then` seconds more."""
    for _ in range(6):
        time.sleep(0.5)
        step_done()
    time.sleep(then)
    return "all parts"


def _say() -> None:
    """As libraries in Python and others do."""
    print("secret text of a document")
    print("secret text of a document", file=sys.stderr, flush=True)
    os.write(1, b"secret text of a document")
    os.write(2, b"secret text of a document")


def _recurse() -> int:
    return _recurse() + 1


_ACTS: dict[str, Callable[[], object]] = {
    "credential": lambda: os.environ.get("AWS_ACCESS_KEY_ID"),
    "hang": lambda: time.sleep(600),
    "sleep": lambda: [time.sleep(1), "slept"][1],
    "sleep long": lambda: [time.sleep(4), "slept long"][1],
    "parts at once": lambda: [time.sleep(1), (parts_at_once(1), parts_at_once(300 * MIB))][1],
    "parts": lambda: _steps(0),
    "parts, then hang": lambda: _steps(600),
    "hang, deaf to signals": _hang_deaf,
    "grow": lambda: len(bytearray(8192 * MIB)),
    "grow in small pieces": _grow,
    "keep 300 MiB": _keep,
    "exit 0": lambda: os._exit(0),
    "exit 3": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "ours": _raise(CorruptDocument, "The parser cannot read it."),
    "raise": _raise(ValueError, "secret text of a document"),
    "raise unpicklable": _raise(Unpicklable),
    "raise what cannot be made again": _raise(NotMadeAgain, "a", "b"),
    "raise SystemExit": _raise(SystemExit, "leaving"),
    "raise KeyboardInterrupt": _raise(KeyboardInterrupt),
    "recurse": _recurse,
    "say": _say,
    "return what cannot be sent": lambda: lambda: None,
    "return 100 MB": lambda: bytes(100_000_000),
    "return 10 MB": lambda: bytes(10_000_000),
    "fork and stay": _fork_and_stay,
    "fork and return": _fork_and_return,
    "grandchild": _grandchild,
    "thread": _thread,
    "stop": _stop,
    "close all files": lambda: os.closerange(3, 1000),
    "pid": os.getpid,
    "peak": peak_rss_bytes,
    "modules": lambda: sorted(sys.modules),
}
