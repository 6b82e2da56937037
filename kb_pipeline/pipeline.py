"""One source system's turn through the stages: what every Dagster asset calls, and nothing of Dagster in it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np

from kb_pipeline.contracts import ArtifactRef, MaskedChunk, StageName, Task
from kb_pipeline.errors import ArtifactDamaged
from kb_pipeline.execution.model import ModelBatches, ModelPorts
from kb_pipeline.executors import LazyClient, Workers
from kb_pipeline.identity import model_key
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.runner import StageReport, run_stage
from kb_pipeline.settings import Settings
from kb_pipeline.sources.observing import observe
from kb_pipeline.stages import WorkerJob, catalogue, load, raw_prefix
from kb_pipeline.store import overview
from kb_pipeline.store.artifacts import read_table, table_to_records, vectors_to_table, write_table
from kb_pipeline.store.database import Connection, connect, database_errors, migrate
from kb_pipeline.store.documents import name_documents
from kb_pipeline.store.lease import Lease, acquire, release
from kb_pipeline.store.ledger import Ledger
from kb_pipeline.store.objects import ObjectStore, ObjectStoreConfig
from kb_pipeline.store.overview import Passage
from kb_pipeline.store.publish import Publisher
from kb_pipeline.store.spaces import Space, active_space, build_index, ensure_space

log = logging.getLogger("kb_pipeline.progress")

SAMPLED_PASSAGES = 100
SAMPLED_DOCUMENTS = 20

_LEASES: dict[tuple[str, str], Lease] = {}
_LEASES_LOCK = threading.Lock()


def object_store_config(settings: Settings) -> ObjectStoreConfig:
    """Where raw documents and artifacts lie, as every process opens it."""
    return ObjectStoreConfig(settings.object_store_url, settings.object_store.endpoint, settings.object_store.region)


@contextmanager
def source_lease(settings: Settings, source_system: str, run_id: str, *, last: bool) -> Iterator[Lease]:
    """Hold the source's lease for a run: taken at its first stage, kept between stages of one process, given back
    after the `last` stage or an error. Raises SourceBusy."""
    dsn, name = database_dsn(settings), (source_system, run_id)
    with _LEASES_LOCK:
        lease = _LEASES.get(name)
    if lease is None:
        lease = acquire(
            dsn,
            source_system,
            run_id,
            wait_seconds=settings.lease.wait_seconds,
            ttl_seconds=settings.lease.ttl_seconds,
            on_wait=log.warning,
        )
        with _LEASES_LOCK:
            _LEASES[name] = lease
    done = False
    try:
        yield lease
        done = True
    finally:
        if last or not done:
            with _LEASES_LOCK:
                _LEASES.pop(name, None)
            release(dsn, lease)


@dataclass
class SourceRun:
    """A run over one source system: observe, then the stages in order. Each call stands alone and may be repeated."""

    settings: Settings
    source_system: str
    run_id: str
    connection: Connection
    lease: Lease
    store: ObjectStore

    def object_costs(self) -> dict[str, int]:
        """Object bodies read and written by this process in this run, for everything that used `store`."""
        return {"object_reads": self.store.counter.reads, "object_writes": self.store.counter.writes}

    def observe(self) -> StageReport:
        """Bring the ledger in step with the source's raw prefix."""
        from kb_pipeline.masking import mask_name

        started = time.perf_counter()
        limit = self.settings.limits.document_mb * 1024 * 1024
        seen = observe(self.connection, self.store, self.lease, self.run_id, raw_prefix(self.source_system), limit)
        policy = self.settings.masking_for(self.source_system)
        mask_key = catalogue(self.settings, self.source_system)["mask"].key
        name_documents(self.connection, self.lease, mask_key, lambda key: mask_name(key, policy))
        done = sum(seen.changes.values())
        report = StageReport(
            "raw",
            considered=seen.listed,
            done=done,
            reused=seen.listed - done - seen.quarantined - seen.failed,
            quarantined=seen.quarantined,
            failed=seen.failed,
            deleted=seen.deleted,
            rows=seen.listed,
            stats={str(change): count for change, count in seen.changes.items()},
        )
        report.seconds = round(time.perf_counter() - started, 3)
        return report

    def work(self, name: StageName) -> StageReport:
        """Parse, chunk or mask, in limited worker processes."""
        stage = catalogue(self.settings, self.source_system)[name]
        ledger = Ledger(self.connection, self.lease, self.run_id)
        job = WorkerJob(
            name,
            object_store_config(self.settings),
            self.settings.chunking,
            self.settings.masking_for(self.source_system),
        )
        return run_stage(stage, ledger, Workers(job, self.settings))

    def embed(self) -> StageReport:
        """Give every masked chunk a vector. The model is not called when there is nothing new."""
        stage = catalogue(self.settings, self.source_system)["embed"]
        ledger = Ledger(self.connection, self.lease, self.run_id, stage.variant)
        store, client = self.store, LazyClient(self.settings)

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
        """Bring the tables in step: deleted documents out, changed rows in, one small transaction at a time."""
        space = self._space()
        if space is None:
            return StageReport("publish")
        stage = catalogue(self.settings, self.source_system, space)["publish"]
        ledger = Ledger(self.connection, self.lease, self.run_id, space.model_key)
        publisher = Publisher(self.connection, self.store, self.lease, space, self.run_id)
        deleted = publisher.withdraw_deleted()
        withdrawn = publisher.withdraw_unmasked(stage)
        report = run_stage(stage, ledger, publisher, publisher.commit)
        report.deleted = deleted
        report.stats["withdrawn"] = withdrawn
        build_index(self.connection, space)
        return report

    def sample(self, report: StageReport) -> list[Passage]:
        """Masked passages to show and to check: of the masked chunks while they are not published yet, else of what is
        (a run with nothing to do reads no object)."""
        if report.stage == "publish" or not report.done:
            return overview.passages(self.connection, self.source_system, SAMPLED_PASSAGES)
        artifacts = overview.current_artifacts(self.connection, self.source_system, "mask")
        step = max(1, len(artifacts) // SAMPLED_DOCUMENTS)
        found: list[Passage] = []
        for _, name, ref in artifacts[::step][:SAMPLED_DOCUMENTS]:
            try:
                chunks: list[MaskedChunk] = table_to_records(read_table(self.store, ref), MaskedChunk)
            except ArtifactDamaged:  # made again when a stage needs it: no reason to fail one that does not
                continue
            found += [Passage(name, " > ".join(c.section_path), str(c.page_start or ""), c.content) for c in chunks[:5]]
        return found

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
def source_run(settings: Settings, source_system: str, run_id: str, *, last: bool) -> Iterator[SourceRun]:
    """Connect, bring the schema up to date, hold the lease; errors of the database come out as our own."""
    with connect(database_dsn(settings)) as connection, database_errors():
        migrate(connection)
        with source_lease(settings, source_system, run_id, last=last) as lease:
            store = ObjectStore(object_store_config(settings))
            yield SourceRun(settings, source_system, run_id, connection, lease, store)


def run_one(run: SourceRun, name: StageName) -> StageReport:
    """One stage by name: the whole of what an asset does."""
    if name == "raw":
        return run.observe()
    if name == "embed":
        return run.embed()
    if name == "publish":
        return run.publish()
    return run.work(name)


def report_json(report: StageReport) -> dict[str, object]:
    """A report as plain values, for metadata and `--json`."""
    return asdict(report)
