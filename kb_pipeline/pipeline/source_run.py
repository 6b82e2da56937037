"""One source system's turn through the stages: what every Dagster asset calls, and nothing of Dagster in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np

from kb_pipeline.core.contracts import ArtifactRef, MaskedChunk, StageName, Task
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.identity import model_key
from kb_pipeline.execution.model import ModelBatches, ModelPorts
from kb_pipeline.execution.worker import parts_at_once, step_done
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.parsing import LIGHT
from kb_pipeline.parsing.options import ParseOptions
from kb_pipeline.pipeline.catalogue import WORKER_STAGES, WorkerJob, access_key, catalogue, chain_key, load
from kb_pipeline.pipeline.executors import Executors
from kb_pipeline.pipeline.observation import Observation
from kb_pipeline.pipeline.opening import object_store_config
from kb_pipeline.pipeline.run_state import RunContext, run_state, with_retries
from kb_pipeline.pipeline.runner import StageReport, run_stage
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import connect, database_errors, migrate
from kb_pipeline.store.ledger.backlog import (
    Backlog,
    choose_scope,
    count_backlog,
    count_hints,
    resume_source,
    settle,
    unsettle_all,
)
from kb_pipeline.store.ledger.documents import media_types_of
from kb_pipeline.store.ledger.hints import due_hints
from kb_pipeline.store.ledger.stages import Ledger
from kb_pipeline.store.objects.artifacts import vectors_to_table, write_table
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.publish import Publisher
from kb_pipeline.store.published.spaces import (
    Space,
    active_space,
    build_index,
    ensure_space,
    lacks_index,
    native_dimension,
)


@dataclass
class SourceRun(RunContext):
    """A run over one source system: observe, then the stages in order. Each call stands alone and may be repeated."""

    executors: Executors = field(default_factory=Executors)

    def object_costs(self) -> dict[str, int]:
        """Object bodies read and written by this process in this run, for everything that used `store`."""
        return {"object_reads": self.store.counter.reads, "object_writes": self.store.counter.writes}

    def observe(self, *, listing: bool = True, confirm_deletes: bool = False, hinted_only: bool = False) -> StageReport:
        """Look at keys that may have changed, delete what is gone, and choose the documents that this run takes on.

        `listing`: compare the source's whole listing first. `hinted_only`: take on hinted keys and nothing else, so
        that the time does not depend on how much the source holds.
        """
        self.state.confirm_deletes, self.state.hinted_only = confirm_deletes, hinted_only
        return Observation(self).observe(listing=listing, hinted_only=hinted_only)

    def work(self, name: StageName) -> StageReport:
        """Parse, chunk or mask, in limited worker processes. New documents go through all three in one turn of parse;
        what was done so is counted where it belongs."""
        stages = catalogue(self.settings, self.source_system)
        after = WORKER_STAGES[WORKER_STAGES.index(name) + 1 :]
        job = WorkerJob(
            name,
            object_store_config(self.settings),
            self.settings.chunking,
            self.settings.masking_for(self.source_system),
            tuple((later, stages[later].key) for later in after),
            self._is_light(),
            ParseOptions(
                self.settings.strategy_for(self.source_system),
                self.settings.passwords_for(self.source_system),
                on_step=step_done,
                at_once=parts_at_once,
            ),
        )
        ahead: dict[str, StageReport] = {}
        workers = self.executors.workers(job, self.settings)
        following = [stages[later] for later in after]
        before = self.state.ahead.get(name)  # taken away once this turn is through: it may be tried again
        report = run_stage(stages[name], self._ledger(), workers, None, following, ahead, before)
        self.state.ahead.pop(name, None)
        self.state.ahead.update(ahead)
        return report

    def _is_light(self) -> bool:
        """Whether every document that the run takes on has a parser that loads at once."""
        if self.state.scope is None:
            return False
        return media_types_of(self.connection, self.state.scope) <= LIGHT

    def embed(self) -> StageReport:
        """Give every masked chunk a vector. The model is not called when there is nothing new."""
        stage = catalogue(self.settings, self.source_system)["embed"]
        ledger = self._ledger(stage.variant)
        store = self.store

        def save(task: Task, names: Sequence[str], matrix: np.ndarray) -> tuple[ArtifactRef, str]:
            table, output_hash = vectors_to_table(names, matrix)
            return write_table(store, "embed", task.fingerprint, table), output_hash

        def chunks(task: Task) -> list[MaskedChunk]:
            return load(store, task, MaskedChunk)

        with closing(self.executors.model(self.settings)) as client:
            ports = ModelPorts(chunks, lambda names: ledger.vectors(store, names), client.embed, save)
            report = run_stage(stage, ledger, ModelBatches(ports))
            report.add_costs(client.costs())
        return report

    def publish(self) -> StageReport:
        """Bring the tables in step: changed rows in, one small transaction at a time. Then the documents of the run for
        which nothing is pending are settled, and what was moved to them is deleted under its old key."""
        space = self._space()
        fault_point("publish.space_ready")
        report = StageReport("publish")
        if space:
            stage = catalogue(self.settings, self.source_system, space)["publish"]
            publisher = Publisher(self.connection, self.store, self.lease, space, self.run_id)
            withdrawn = publisher.withdraw_unmasked(stage, self.state.scope)
            report = run_stage(stage, self._ledger(space.model_key), publisher, publisher.commit)
            report.stats["withdrawn"] = withdrawn
        # An index grows far slower than it is built: after the last run of the first backlog. Before anything is
        # settled, for a run that dies here must have work left: without any, no other would build it.
        if space and lacks_index(self.connection, space) and self._is_last():
            build_index(self.connection, space)
            fault_point("run.index_built")
        resume_source(self.connection, self.source_system)
        self._settle(space)
        fault_point("run.settled")
        report.deleted = Observation(self).delete()
        return report

    def backlog(self) -> Backlog:
        """What is left to do for the source; of it the hints alone in a run that takes on nothing else."""
        if self.state.hinted_only:
            return count_hints(self.connection, self.source_system)
        chain, access = chain_key(self.settings, self.source_system), access_key(self.settings, self.source_system)
        return count_backlog(self.connection, self.source_system, chain, access)

    def _is_last(self) -> bool:
        """Whether nothing is due but what this run has taken on."""
        if self.state.scope is None:
            return not self.backlog().work
        chain = chain_key(self.settings, self.source_system)
        left = choose_scope(self.connection, self.source_system, chain, len(self.state.scope) + 1)
        return set(left) <= set(self.state.scope) and not due_hints(self.connection, self.source_system, 1)

    def _settle(self, space: Space | None) -> None:
        if self.state.scope is None:
            return
        pending: set[str] = set()
        for stage in catalogue(self.settings, self.source_system, space).values():
            model = space.model_key if space and stage.name == "publish" else stage.variant
            pending.update(self._ledger(model).pending_ids(stage))
        chain = chain_key(self.settings, self.source_system)
        fault_point("run.before_settle")
        settle(self.connection, self.lease, chain, self.state.scope, pending)

    def _ledger(self, model_key: str = "") -> Ledger:
        return Ledger(self.connection, self.lease, self.run_id, model_key, self.state.scope)

    def _space(self) -> Space | None:
        """The active space, checked against the settings; made when the first vectors are there to be published."""
        wanted = self.settings.embedding
        space = active_space(self.connection)
        of_model = model_key(wanted.model, wanted.revision)
        known = space.native_dimension if space else None
        native = known or native_dimension(self.connection, self.store, self.lease, of_model)
        if native is None:
            return None
        with self.connection.transaction():
            made = ensure_space(
                self.connection,
                model=wanted.model,
                revision=wanted.revision,
                instruction=wanted.instruction,
                native_dimension=native,
                dimension=wanted.dimension,
            )
            if space is None:  # documents without a passage came to their end while there was nowhere to publish to
                unsettle_all(self.connection)
        return made


@contextmanager
def source_run(
    settings: Settings, source_system: str, run_id: str, *, last: bool, executors: Executors | None = None
) -> Iterator[SourceRun]:
    """Connect, bring the schema up to date, hold the lease; errors of the database come out as our own."""
    with connect(database_dsn(settings)) as connection, database_errors():
        migrate(connection)
        with run_state(settings, source_system, run_id, last=last) as state:
            store = ObjectStore(object_store_config(settings))
            run = SourceRun(settings, source_system, run_id, connection, state, store, executors or Executors())
            try:
                yield run
            finally:
                run.connection.close()


def run_one(run: SourceRun, name: StageName, **observing: bool) -> StageReport:
    """One stage by name: the whole of what an asset does. `observing` are the arguments of `observe`, for raw alone."""

    def work() -> StageReport:
        if name == "raw":
            return run.observe(**observing)
        if name == "embed":
            return run.embed()
        if name == "publish":
            return run.publish()
        return run.work(name)

    return with_retries(run.state, work, run.reconnect)


def report_json(report: StageReport) -> dict[str, object]:
    """A report as plain values, for metadata and `--json`."""
    return asdict(report)
