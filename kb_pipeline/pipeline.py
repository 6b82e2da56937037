"""One source system's turn through the stages: what every Dagster asset calls, and nothing of Dagster in it."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np

from kb_pipeline.contracts import ArtifactRef, MaskedChunk, StageName, Task
from kb_pipeline.execution.model import ModelBatches, ModelPorts
from kb_pipeline.executors import Executors
from kb_pipeline.faults import fault_point
from kb_pipeline.identity import model_key
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.opening import object_store_config
from kb_pipeline.planning import must_brake
from kb_pipeline.runner import StageReport, run_stage
from kb_pipeline.runs import RunState, run_state, with_retries
from kb_pipeline.settings import Settings
from kb_pipeline.sources.observing import Looker
from kb_pipeline.sources.reconciling import reconcile
from kb_pipeline.stages import WorkerJob, access_key, catalogue, chain_key, load, raw_prefix
from kb_pipeline.store.artifacts import read_table, vectors_to_table, write_table
from kb_pipeline.store.backlog import Backlog, choose_scope, count_backlog, ensure_source, resume_source, settle
from kb_pipeline.store.database import Connection, connect, database_errors, migrate
from kb_pipeline.store.deletes import count_deletes, delete_gone, set_brake
from kb_pipeline.store.documents import name_documents, regroup
from kb_pipeline.store.hints import due_hints
from kb_pipeline.store.lease import Lease
from kb_pipeline.store.ledger import Ledger
from kb_pipeline.store.objects import ObjectStore
from kb_pipeline.store.publish import Publisher
from kb_pipeline.store.spaces import Space, active_space, build_index, ensure_space, lacks_index

log = logging.getLogger("kb_pipeline.progress")


@dataclass
class SourceRun:
    """A run over one source system: observe, then the stages in order. Each call stands alone and may be repeated."""

    settings: Settings
    source_system: str
    run_id: str
    connection: Connection
    state: RunState
    store: ObjectStore
    executors: Executors = field(default_factory=Executors)

    @property
    def lease(self) -> Lease:
        """The source's lease, which every commit checks."""
        return self.state.lease

    def object_costs(self) -> dict[str, int]:
        """Object bodies read and written by this process in this run, for everything that used `store`."""
        return {"object_reads": self.store.counter.reads, "object_writes": self.store.counter.writes}

    def reconnect(self) -> None:
        """Replace a connection that was lost. Raises DatabaseUnavailable."""
        self.connection.close()
        self.connection = connect(database_dsn(self.settings))

    def observe(self, *, listing: bool = True, confirm_deletes: bool = False, hinted_only: bool = False) -> StageReport:
        """Look at keys that may have changed, and choose the documents that this run takes on.

        `listing`: compare the source's whole listing first. `hinted_only`: take on hinted keys and nothing else, so
        that the time does not depend on how much the source holds.
        """
        started = time.perf_counter()
        source, connection, settings = self.source_system, self.connection, self.settings
        self.state.confirm_deletes = confirm_deletes
        ensure_source(connection, source)
        report = StageReport("raw", stats=self._regroup())
        seen = reconcile(connection, self.store, source, raw_prefix(source)) if listing else None
        limit = settings.runs.documents
        looked = self._looker().look(limit)
        report.deleted = self._delete(moved=False)
        chosen = looked.documents
        if not hinted_only:
            others = choose_scope(connection, source, chain_key(settings, source), limit)
            chosen = list(dict.fromkeys([*chosen, *others]))[: max(limit, len(chosen))]
        self.state.scope = chosen
        self._name(chosen)
        done = sum(looked.changes.values())
        report.considered = report.rows = seen.listed if seen else looked.looked_at
        report.done, report.quarantined, report.failed = done, looked.quarantined, looked.failed
        report.reused = max(0, report.considered - done - looked.quarantined - looked.failed)
        report.stats.update({str(change): count for change, count in looked.changes.items()})
        report.seconds = round(time.perf_counter() - started, 3)
        return report

    def _looker(self) -> Looker:
        source, settings = self.source_system, self.settings
        return Looker(
            self.connection,
            self.store,
            self.lease,
            self.run_id,
            raw_prefix(source),
            settings.limits.document_mb * 1024 * 1024,
            lambda key: settings.access_groups(source, key),
        )

    def _regroup(self) -> dict[str, int]:
        """Apply access rules that changed since the last run: rows of kb.document, no stage."""
        wanted, source = access_key(self.settings, self.source_system), self.source_system
        row = self.connection.execute("SELECT access_key FROM kb.source WHERE source_system = %s", (source,)).fetchone()
        if row == (wanted,):
            return {}
        changed = regroup(self.connection, self.lease, wanted, lambda key: self.settings.access_groups(source, key))
        return {"regrouped": changed} if changed else {}

    def _name(self, documents: Sequence[str]) -> None:
        from kb_pipeline.masking import mask_name

        policy = self.settings.masking_for(self.source_system)
        mask_key = catalogue(self.settings, self.source_system)["mask"].key
        name_documents(self.connection, self.lease, documents, mask_key, lambda key: mask_name(key, policy))

    def _delete(self, *, moved: bool) -> int:
        """Delete what the source lacks, unless the brake holds. Moves can be told only when every key was looked at."""
        if due_hints(self.connection, self.source_system, 1):
            return 0
        deletes = count_deletes(self.connection, self.source_system)
        rules = self.settings.deletes
        if must_brake(deletes, rules.share, rules.least) and not self.state.confirm_deletes:
            log.warning(
                "%s: %d of %d documents are gone from the source; nothing is deleted before someone confirms it",
                self.source_system,
                deletes.lost,
                deletes.live,
                extra={"event": "braked", "source": self.source_system},
            )
            set_brake(self.connection, self.lease, deletes)
            return 0
        set_brake(self.connection, self.lease, None)
        return delete_gone(self.connection, self.lease, moved=moved) if deletes.gone else 0

    def work(self, name: StageName) -> StageReport:
        """Parse, chunk or mask, in limited worker processes."""
        stage = catalogue(self.settings, self.source_system)[name]
        ledger = self._ledger()
        job = WorkerJob(
            name,
            object_store_config(self.settings),
            self.settings.chunking,
            self.settings.masking_for(self.source_system),
        )
        return run_stage(stage, ledger, self.executors.workers(job, self.settings))

    def embed(self) -> StageReport:
        """Give every masked chunk a vector. The model is not called when there is nothing new."""
        stage = catalogue(self.settings, self.source_system)["embed"]
        ledger = self._ledger(stage.variant)
        store, client = self.store, self.executors.model(self.settings)

        def save(task: Task, names: Sequence[str], matrix: np.ndarray) -> tuple[ArtifactRef, str]:
            table, output_hash = vectors_to_table(names, matrix)
            return write_table(store, "embed", task.fingerprint, table), output_hash

        def chunks(task: Task) -> list[MaskedChunk]:
            return load(store, task, MaskedChunk)

        ports = ModelPorts(chunks, lambda names: ledger.vectors(store, names), client.embed, save)
        report = run_stage(stage, ledger, ModelBatches(ports))
        report.add_costs(client.costs())
        client.close()
        return report

    def publish(self) -> StageReport:
        """Bring the tables in step: changed rows in, moved documents out, one small transaction at a time. At the end
        the documents of the run for which nothing is pending are settled."""
        space = self._space()
        report = StageReport("publish")
        if space:
            stage = catalogue(self.settings, self.source_system, space)["publish"]
            publisher = Publisher(self.connection, self.store, self.lease, space, self.run_id)
            withdrawn = publisher.withdraw_unmasked(stage, self.state.scope)
            report = run_stage(stage, self._ledger(space.model_key), publisher, publisher.commit)
            report.stats["withdrawn"] = withdrawn
        report.deleted = self._delete(moved=True)
        self._settle(space)
        # An index grows far slower than it is built: after the last run of the first backlog.
        if space and lacks_index(self.connection, space) and not self.backlog().work:
            build_index(self.connection, space)
        resume_source(self.connection, self.source_system)
        return report

    def backlog(self) -> Backlog:
        """What is left to do for the source."""
        chain, access = chain_key(self.settings, self.source_system), access_key(self.settings, self.source_system)
        return count_backlog(self.connection, self.source_system, chain, access)

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
        native = space.native_dimension if space else self._native_dimension()
        if native is None:
            return None
        return ensure_space(
            self.connection,
            model=wanted.model,
            revision=wanted.revision,
            instruction=wanted.instruction,
            native_dimension=native,
            dimension=wanted.dimension,
        )

    def _native_dimension(self) -> int | None:
        """The model's own dimension as its artifacts have it, None before the first vector."""
        row = self.connection.execute(
            "SELECT a.uri, a.size, a.sha256 FROM kb.vector_ref v JOIN kb.artifact a USING (fingerprint)"
            " WHERE v.model_key = %s LIMIT 1",
            (model_key(self.settings.embedding.model, self.settings.embedding.revision),),
        ).fetchone()
        if row is None:
            return None
        return int(read_table(self.store, ArtifactRef(*row)).schema.field("vector").type.list_size)


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
