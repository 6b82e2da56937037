"""Named points between durable steps at which a test can end the process: what is between two of them is one step.

Nothing happens unless KB_FAULT names a point ("publish.committed", or "publish.committed:3" for its third pass: the
process dies there as if it were killed), or a test in this process installed a callback.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

VARIABLE = "KB_FAULT"
KILLED = 137  # the exit code of a process ended by SIGKILL, as a shell shows it

_callbacks: list[Callable[[str], None]] = []
_passes: dict[str, int] = {}


def fault_point(name: str) -> None:
    """Between two durable steps. `name` is "<module or stage>.<what was just done>"."""
    for callback in _callbacks:
        callback(name)
    wanted = os.environ.get(VARIABLE)
    if not wanted:
        return
    point, _, count = wanted.partition(":")
    if point == name:
        _passes[name] = _passes.get(name, 0) + 1
        if _passes[name] == int(count or 1):
            os._exit(KILLED)


@contextmanager
def on_reach(callback: Callable[[str], None]) -> Iterator[None]:
    """Call `callback` with the name of each point that this process reaches; it may raise."""
    _callbacks.append(callback)
    try:
        yield
    finally:
        _callbacks.remove(callback)
