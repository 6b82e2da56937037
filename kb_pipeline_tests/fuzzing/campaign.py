"""The loop: case after case through the workers until the time is over; what went wrong is kept, to be done again."""

from __future__ import annotations

import pickle
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import takewhile
from pathlib import Path

from kb_pipeline.core import media_type as types
from kb_pipeline.core.errors import KbError, TimeLimitExceeded, WorkerCrashed
from kb_pipeline.execution.local import Limits, LocalWorkers
from kb_pipeline.pipeline.catalogue import PRELOAD
from kb_pipeline_tests.fuzzing.documents import Case, Documents
from kb_pipeline_tests.fuzzing.job import FuzzJob, Verdict, task_of

# A worker that was too slow, or died, gets the document again with nothing else to do, and this much more time.
PATIENCE = 3
SLOW_SECONDS = 10.0
# pandoc's readers of these take ever more time for marks that open something in a paragraph and are not closed: nothing
# that could be counted beforehand tells such a file from others. It ends at the time limit.
NO_BOUND = (types.RST, types.ORG)
_EVERY = 500

Job = Callable[[Case], Verdict]


@dataclass(slots=True)
class Result:
    """What a campaign did, and what was wrong."""

    cases: int = 0
    seconds: float = 0.0
    peak_bytes: int = 0
    rows: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    read: Counter[str] = field(default_factory=Counter)
    mutations: Counter[str] = field(default_factory=Counter)
    slow: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def add(self, case: Case, verdict: Verdict) -> None:
        """Count a case that came to an end."""
        self.peak_bytes = max(self.peak_bytes, verdict.peak_bytes)
        self.rows += verdict.rows
        self.ended[verdict.ended if verdict.ended == "ok" else f"{verdict.stage}: {verdict.ended}"] += 1
        if verdict.ended == "ok":
            self.read[verdict.media_type] += 1
        if verdict.seconds > SLOW_SECONDS:
            self.slow.append(f"case {case.number} ({case.key}): {verdict.seconds:.0f} s")


@dataclass(frozen=True, slots=True)
class Campaign:
    """Cases through limited workers. `kept`: the folder for those that went wrong; `log` gets a line for each."""

    limits: Limits
    kept: Path
    log: Callable[[str], None]
    job: Job | None = None

    def run(self, cases: Iterable[Case]) -> Result:
        """All of `cases`; the slow and the dead once more at the end, alone."""
        result, started = Result(), time.monotonic()
        again: list[Case] = []
        for case, answer in self._answers(cases, self.limits):
            result.cases += 1
            result.mutations.update(case.mutations)
            if isinstance(answer, TimeLimitExceeded) and task_of(case).media_type in NO_BOUND:
                result.ended[f"parse: {type(answer).__name__}"] += 1
            elif isinstance(answer, TimeLimitExceeded | WorkerCrashed):
                again.append(case)
            else:
                self._take(result, case, answer)
            if result.cases % _EVERY == 0:
                self.log(
                    f"{result.cases} cases, {time.monotonic() - started:.0f} s, {len(result.violations)} violations"
                )
        for case, answer in self._answers(again, Limits(PATIENCE * self.limits.seconds, self.limits.memory_mb, 1)):
            self._take(result, case, answer)
        result.seconds = time.monotonic() - started
        return result

    def _answers(self, cases: Iterable[Case], limits: Limits) -> Iterator[tuple[Case, Verdict | KbError]]:
        with tempfile.TemporaryDirectory(prefix="kb-fuzzing-") as folder:
            job = self.job or FuzzJob(folder, limits.memory_mb)
            with LocalWorkers(job, limits, PRELOAD) as workers:
                yield from workers.run(cases)

    def _take(self, result: Result, case: Case, answer: Verdict | KbError) -> None:
        if isinstance(answer, Verdict):
            result.add(case, answer)
            wrong = answer.violations
        else:
            result.ended[type(answer).__name__] += 1
            wrong = (f"{type(answer).__name__}: {answer.message}",)
        for each in wrong:
            result.violations.append(f"case {case.number} ({case.key}; {', '.join(case.mutations)}): {each}")
            self.log(result.violations[-1])
        if wrong:
            keep(self.kept, case)


def keep(folder: Path, case: Case) -> Path:
    """Write the case: its settings, to be done again, and the document, to be looked at (not in an office program)."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{case.number}.case"
    path.write_bytes(pickle.dumps(case))
    path.with_suffix(f".document{Path(case.key).suffix}").write_bytes(case.data)
    return path


def kept(path: Path) -> Case:
    """A case that was written by `keep`."""
    case: Case = pickle.loads(path.read_bytes())
    return case


def until(deadline: float, documents: Documents, seed: int) -> Iterator[Case]:
    """Cases of a seed as long as there is time."""
    return takewhile(lambda _: time.monotonic() < deadline, documents.cases(seed))
