"""Workers start when there is work, are replaced cheaply, and are gone when the pool is."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psutil
import pytest

from kb_pipeline.core.errors import ServiceUnavailable
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.execution.pool import TRIES
from kb_pipeline_tests.execution.jobs import act

LIMITS = Limits(20.0, 512, 2)


def gone(pids: set[int], seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while any(psutil.pid_exists(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def pids_of(pool: LocalWorkers[tuple[int, str], object], count: int = 16) -> set[int]:
    return {pid for _, pid in pool.run([(n, "pid") for n in range(count)]) if isinstance(pid, int)}


def test_documents_are_worked_on_by_as_many_processes_as_the_limits_say() -> None:
    with LocalWorkers(act, LIMITS) as pool:
        started = time.monotonic()
        list(pool.run([(n, "") for n in range(50)]))
        pids = pids_of(pool, 200)
        assert time.monotonic() - started < 10
    assert 1 <= len(pids) <= 2
    assert gone(pids)


def test_no_process_is_left_when_the_consumer_stops_early() -> None:
    def first_of(pool: LocalWorkers[tuple[int, str], object]) -> Iterator[object]:
        with pool:
            for _, result in pool.run((n, "pid" if n == 0 else "hang") for n in range(1000)):
                yield result

    started = time.monotonic()
    answers = first_of(LocalWorkers(act, LIMITS))
    pid = next(answers)
    answers.close()
    assert isinstance(pid, int)
    assert gone({pid})
    assert time.monotonic() - started < 15, "hanging documents were not waited for"


def test_no_process_is_left_when_the_consumer_raises() -> None:
    pids: set[int] = set()

    def consume() -> None:
        with LocalWorkers(act, LIMITS) as pool:
            pids.update(pids_of(pool))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        consume()
    assert pids
    assert gone(pids)


def test_items_are_taken_as_they_are_needed() -> None:
    taken = 0

    def items() -> Iterator[tuple[int, str]]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield number, ""

    with LocalWorkers(act, LIMITS) as pool:
        answers = pool.run(items())
        next(answers)
        assert taken <= 4 * LIMITS.count
        assert len(list(answers)) == 999


def test_no_more_workers_start_than_there_is_work() -> None:
    with LocalWorkers(act, Limits(20.0, 512, 4)) as pool:
        ((_, pid),) = pool.run([(0, "pid")])
        assert isinstance(pid, int)
        server = psutil.Process(pid).parent()
        assert server
        assert [worker.pid for worker in server.children()] == [pid]


def test_the_time_limit_is_no_limit_for_a_worker_that_waits_for_its_next_document() -> None:
    def slowly() -> Iterator[tuple[int, str]]:
        yield 0, "pid"
        time.sleep(2.5)  # a database that is slow to say what comes next
        yield 1, "pid"

    with LocalWorkers(act, Limits(1.0, 512, 1)) as pool:
        (_, first), (_, second) = pool.run(slowly())
    assert isinstance(first, int)
    assert first == second


@pytest.mark.parametrize("kind", ["fork and stay", "grandchild"])
def test_a_process_that_a_parser_leaves_behind_ends_with_its_document(kind: str) -> None:
    with LocalWorkers(act, Limits(20.0, 512, 1)) as pool:
        ((_, child),) = pool.run([(0, kind)])
        assert isinstance(child, int)
        assert gone({child}), "while the pool is still at work"
        assert [result for _, result in pool.run([(1, "")])] == [1]


def test_a_worker_whose_parser_left_a_thread_is_replaced() -> None:
    with LocalWorkers(act, Limits(20.0, 512, 1)) as pool:
        (_, first), (_, second), (_, third) = pool.run([(0, "thread"), (1, "pid"), (2, "pid")])
        assert isinstance(first, int)
        assert first != second == third
        assert gone({first})


def test_workers_that_cannot_start_end_the_run_with_one_error() -> None:
    """In the worker the function cannot be found: no document is to blame for that."""
    with (
        LocalWorkers(_NotThere(), LIMITS) as pool,
        pytest.raises(ServiceUnavailable, match="do not start"),
    ):
        list(pool.run([(n, "") for n in range(10)]))


class _NotThere:
    """A function that cannot be made again in another process."""

    def __call__(self, item: tuple[int, str]) -> object:
        return item

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return __import__, ("a_module_that_is_not_there",)


def test_documents_are_tried_again_when_the_fork_server_dies_under_them() -> None:
    with LocalWorkers(act, LIMITS) as pool:
        answers = pool.run([(0, "pid"), (1, "sleep"), (2, "sleep"), (3, "")])
        _, pid = next(answers)
        assert isinstance(pid, int)
        server = psutil.Process(pid).parent()
        assert server
        server.kill()
        assert {result for _, result in answers} == {"slept", 3}


def test_a_document_is_not_blamed_for_fork_servers_that_die_again_and_again() -> None:
    with LocalWorkers(act, Limits(20.0, 512, 1)) as pool, ThreadPoolExecutor(1) as reader:
        answers = reader.submit(list, pool.run([(0, "sleep long")]))
        killed: set[int] = set()
        while len(killed) <= TRIES and not answers.done():
            for server in servers_at_work():
                server.kill()
                killed.add(server.pid)
            time.sleep(0.05)
        assert answers.result(timeout=60) == [((0, "sleep long"), "slept long")]
    assert len(killed) == TRIES + 1


def servers_at_work(seconds: float = 2.0) -> list[psutil.Process]:
    """This process's fork servers that have had a worker for so long. PostgreSQL is a child with children too."""
    since, found = time.time() - seconds, []
    for server in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):  # it ended, or its worker did, since it was listed
            if "forkserver" in " ".join(server.cmdline()):
                found += [server] if any(worker.create_time() < since for worker in server.children()) else []
    return found


DEATHS = """
import time
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline_tests.execution.jobs import act

with LocalWorkers(act, Limits(60.0, 512, 1), ("kb_pipeline.pipeline.preload",)) as pool:
    ((_, modules),) = pool.run([(0, "modules")])  # the fork server's own start
    started = time.monotonic()
    deaths = [type(result).__name__ for _, result in pool.run([(n, "exit 3") for n in range(10)])]
    print(set(deaths), "presidio_analyzer" in modules, time.monotonic() - started)
"""


def test_replacing_a_worker_costs_little_because_the_fork_server_has_the_parsers() -> None:
    """In a process of its own, for a fork server of its own: each of ten deaths would cost an import of seconds."""
    done = subprocess.run([sys.executable, "-c", DEATHS], capture_output=True, text=True, check=True, timeout=120)
    deaths, preloaded, seconds = done.stdout.split()
    assert (deaths, preloaded) == ("{'WorkerCrashed'}", "True")
    assert float(seconds) < 10


SAYING = """
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline_tests.execution.jobs import act

with LocalWorkers(act, Limits(60.0, 512, 1)) as pool:
    print(*pool.run([(0, "say"), (1, "")]))
"""


def test_what_libraries_say_of_a_document_reaches_no_log() -> None:
    done = subprocess.run([sys.executable, "-c", SAYING], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "((0, 'say'), None) ((1, ''), 1)"
    assert "secret" not in done.stderr


HANGING = """
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline_tests.execution.jobs import act

with LocalWorkers(act, Limits(600.0, 512, 2)) as pool:
    for _, result in pool.run([(0, "pid"), (1, "hang, deaf to signals"), (2, "hang, deaf to signals")]):
        print(result, flush=True)
"""


def test_no_worker_outlives_a_run_that_was_killed() -> None:
    """Else a document that hangs would burn a core for ever."""
    run = subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, text=True)
    assert run.stdout
    first = int(run.stdout.readline())
    family = {child.pid for child in psutil.Process(run.pid).children(recursive=True)}
    assert first in family
    run.kill()
    assert gone(family)
    run.communicate(timeout=10)


def test_workers_see_credentials_that_came_after_the_fork_server_started(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalWorkers(act, LIMITS) as pool:
        list(pool.run([(0, "")]))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "came-later")
    with LocalWorkers(act, LIMITS) as pool:
        assert [result for _, result in pool.run([(0, "credential")])] == ["came-later"]


CREDENTIALS = """
import os
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline_tests.execution.jobs import act

def credential():
    with LocalWorkers(act, Limits(60.0, 512, 1)) as pool:
        ((_, seen),) = pool.run([(0, "credential")])
    return seen

print(credential())
del os.environ["AWS_ACCESS_KEY_ID"]
print(credential())
"""


def test_workers_do_not_see_credentials_that_were_taken_away_since_the_fork_server_started() -> None:
    """In a process of its own: its fork server starts with them."""
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "taken-away-later"}
    done = subprocess.run(
        [sys.executable, "-c", CREDENTIALS], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert done.stdout.split() == ["taken-away-later", "None"]
