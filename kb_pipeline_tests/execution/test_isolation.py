"""One document that hangs, grows, dies or raises costs itself alone, and is told apart from the others that do."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kb_pipeline.core.errors import (
    CorruptDocument,
    KbError,
    MemoryLimitExceeded,
    TimeLimitExceeded,
    UnexpectedError,
    WorkerCrashed,
)
from kb_pipeline.execution import pool as pools
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline_tests.execution.jobs import act

FAULTS: dict[str, type[KbError]] = {
    "hang": TimeLimitExceeded,
    "hang, deaf to signals": TimeLimitExceeded,
    "grow": MemoryLimitExceeded,
    "grow in small pieces": MemoryLimitExceeded,
    "stop": TimeLimitExceeded,
    "exit 0": WorkerCrashed,
    "exit 3": WorkerCrashed,
    "kill": WorkerCrashed,
    "segfault": WorkerCrashed,
    "ours": CorruptDocument,
    "raise": UnexpectedError,
    "raise unpicklable": UnexpectedError,
    "raise what cannot be made again": UnexpectedError,
    "raise SystemExit": UnexpectedError,
    "raise KeyboardInterrupt": UnexpectedError,
    "recurse": UnexpectedError,
    "close all files": WorkerCrashed,
    "return what cannot be sent": UnexpectedError,
    "return 100 MB": UnexpectedError,
}


def results(
    items: list[tuple[int, str]], *, seconds: float = 2.0, memory_mb: int = 512, workers: int = 2
) -> list[object]:
    with LocalWorkers(act, Limits(seconds, memory_mb, workers)) as pool:
        answers = list(pool.run(items))
    assert sorted(item for item, _ in answers) == sorted(items)
    return [dict(answers)[item] for item in items]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_costs_its_own_document_alone(fault: str) -> None:
    answers = results([(0, ""), (1, ""), (2, fault), (3, ""), (4, "")])
    assert answers[:2] + answers[3:] == [0, 1, 3, 4]
    assert type(answers[2]) is FAULTS[fault]


def test_every_fault_in_one_run() -> None:
    items = [(number, what) for number, what in enumerate(what for fault in FAULTS for what in (fault, ""))]
    answers = results(items)
    assert [type(answer) for answer in answers[::2]] == list(FAULTS.values())
    assert answers[1::2] == [number for number, what in items if not what]


def test_a_message_names_the_type_and_the_limit_but_quotes_nothing() -> None:
    raised, slow, large = results([(0, "raise"), (1, "hang"), (2, "grow")], seconds=1)
    assert "ValueError" in str(raised)
    assert "secret" not in str(raised)
    assert "1 seconds" in str(slow)
    assert "limits.seconds" in str(slow)
    assert "512 MiB" in str(large)
    assert "limits.memory_mb" in str(large)


def test_a_worker_that_was_killed_once_costs_nothing(tmp_path: Path) -> None:
    """Somebody else's kill, or a machine out of memory: the document is tried again, and is not blamed."""
    assert results([(0, f"die once {tmp_path / 'died'}"), (1, "")]) == ["done", 1]


def test_documents_after_one_that_hangs_are_not_kept_waiting() -> None:
    """Of many, each comes as soon as it is done; the one that hangs comes last."""
    items = [(0, "hang"), *((number, "") for number in range(1, 200))]
    with LocalWorkers(act, Limits(3.0, 512, 2)) as pool:
        answers = list(pool.run(items))
    assert answers[-1][0] == (0, "hang")
    assert {result for _, result in answers[:-1]} == set(range(1, 200))


def test_a_large_answer_arrives_whole() -> None:
    assert results([(0, "return 10 MB"), (1, "")]) == [bytes(10_000_000), 1]


def test_of_a_worker_that_doubles_only_one_answers() -> None:
    assert results([(n, "fork and return" if n == 3 else "") for n in range(40)], workers=1) == [
        "parent" if n == 3 else n for n in range(40)
    ]


def test_the_time_limit_is_kept_also_by_who_ignores_signals() -> None:
    started = time.monotonic()
    (answer,) = results([(0, "hang, deaf to signals")], seconds=1)
    assert isinstance(answer, TimeLimitExceeded)
    assert time.monotonic() - started < 8  # 1 s, 3 s until SIGKILL, and the pool's own start and end


def test_the_machine_is_spared_what_the_document_asks_for() -> None:
    """One after the other in one worker: the peak that the next document sees is the limit's, not eight gigabytes."""
    _, peak = results([(0, "grow in small pieces"), (1, "peak")], memory_mb=256, workers=1)
    assert isinstance(peak, int)
    assert peak < 600 * 1024 * 1024


def test_what_one_document_leaves_behind_is_not_held_against_the_next() -> None:
    """A parser's leak of 300 MiB within a limit of 512: the next document may still use its own 300."""
    assert results([(0, "keep 300 MiB"), (1, "keep 300 MiB"), (2, "")], workers=1) == [1, 2, 2]


def test_a_worker_that_keeps_more_than_a_document_may_use_is_replaced() -> None:
    assert results([(number, "keep 300 MiB") for number in range(4)], workers=1) == [1, 2, 1, 2]


def test_a_document_that_shows_its_parts_has_the_time_for_each_and_no_longer_for_one() -> None:
    with LocalWorkers(act, Limits(2.0, 512, 2)) as pool:
        answers = dict(pool.run([(0, "parts"), (1, "parts, then hang")]))
    assert answers[0, "parts"] == "all parts"
    assert isinstance(answers[1, "parts, then hang"], TimeLimitExceeded)


def test_parts_of_a_document_do_not_count_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "MOST_STEPS", 2)
    with LocalWorkers(act, Limits(1.0, 512, 1)) as workers:
        ((_, answer),) = workers.run([(0, "parts")])
    assert isinstance(answer, TimeLimitExceeded)


def test_a_document_may_be_worked_on_by_as_many_as_are_idle_and_as_its_memory_holds() -> None:
    assert results([(0, "parts at once")], workers=2) == [(2, 1)]
    assert results([(0, "parts at once")], workers=1) == [(1, 1)]
    assert results([(0, "parts at once"), (1, "sleep long")], seconds=6.0)[0] == (1, 1)
