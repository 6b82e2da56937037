"""Ends what runs at one of the named points between durable steps, in this process: open transactions are rolled back,
as the database does for a process that died."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kb_pipeline.core import faults


class Killed(BaseException):
    """No Exception: nothing that runs may go on after it."""


def run_killed(work: Callable[[], object], at: int) -> str | None:
    """Run `work` and end it at the `at`-th point that it reaches (from 0). Returns that point, None when `work` came to
    its end before."""
    reached = 0

    def on_point(name: str) -> None:
        nonlocal reached
        reached += 1
        if reached == at + 1:
            raise Killed(name)

    try:
        with faults.on_reach(on_point):
            work()
    except Killed as killed:
        return str(killed)
    return None


@contextmanager
def once_at(point: str, action: Callable[[], None]) -> Iterator[None]:
    """Do something the first time that `point` is reached, while the code that reached it waits."""
    done = False

    def on_point(name: str) -> None:
        nonlocal done
        if name == point and not done:
            done = True
            action()

    with faults.on_reach(on_point):
        yield
    assert done, f"{point} was not reached"
