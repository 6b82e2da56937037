"""Executors of the product's own kind that work in this very process, so that a test can look on and interfere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, replace

from kb_pipeline.core.contracts import Outcome, StageName, Task
from kb_pipeline.pipeline.catalogue import WorkerJob
from kb_pipeline.pipeline.executors import Executors, Model
from kb_pipeline.pipeline.runner import Executor
from kb_pipeline.settings import Settings

Told = Callable[[StageName, Task], None]


def _nothing(stage: StageName, task: Task) -> None:
    pass


@dataclass
class InlineExecutors(Executors):
    """Worker stages as `job` does them; `provider` is the model, None means the embedding service of the settings.

    `before` is told of every task that the runner hands out, `after` of every one that was done, those that one turn
    took on besides too. `handing_on`: new documents go through all worker stages in one turn.
    """

    job: type[WorkerJob] = WorkerJob
    provider: Model | None = None
    before: Told = _nothing
    after: Told = _nothing
    handing_on: bool = True

    def workers(self, job: WorkerJob, settings: Settings) -> Executor:
        values = {one.name: getattr(job, one.name) for one in fields(job)}
        made = self.job(**values)
        return _Inline(made if self.handing_on else replace(made, following=()), self)

    def model(self, settings: Settings) -> Model:
        return self.provider or super().model(settings)


@dataclass
class _Inline:
    job: WorkerJob
    executors: InlineExecutors

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for task in tasks:
            self.executors.before(self.job.stage, task)
            outcome = self.job(task)
            self.executors.after(self.job.stage, task)
            for (name, _), done in zip(self.job.following, outcome.following, strict=False):
                self.executors.after(name, done.task)
            yield outcome
