"""The stages on documents of lines: every line is a passage. The ledger, the runner, the objects and the database are
the real ones; only what a stage does with a text is this simple, so that a test can say what must come of it.

A line with "REFUSED" fails masking wherever the policy masks MONEY, and one with "$" has it masked there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from kb_pipeline.core import identity
from kb_pipeline.core.contracts import (
    ArtifactRef,
    Chunk,
    Element,
    MaskedChunk,
    MaskedText,
    Outcome,
    Stage,
    StageName,
    Task,
)
from kb_pipeline.core.errors import KbError, MaskingIncomplete, ObjectChanged
from kb_pipeline.embedding.batch import EmbeddingUsage
from kb_pipeline.embedding.client import EmbeddingResult
from kb_pipeline.execution.model import ModelBatches, ModelPorts
from kb_pipeline.pipeline.catalogue import catalogue, chain_key, failure, load, raw_prefix
from kb_pipeline.pipeline.runner import StageReport, run_stage
from kb_pipeline.settings import DefaultSettings, EmbeddingSettings, Settings
from kb_pipeline.sources.observing import Looker, Observed
from kb_pipeline.sources.reconciling import Reconciled, reconcile
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import choose_scope, settle
from kb_pipeline.store.ledger.deletes import delete_gone
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.stages import Ledger
from kb_pipeline.store.objects.artifacts import records_to_table, vectors_to_table, write_table
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.publish import Publisher
from kb_pipeline.store.published.spaces import Space, ensure_space

DIMENSION = 8
KEEPING = Settings(embedding=EmbeddingSettings(model="m"), defaults=DefaultSettings(masking={"MONEY": "keep"}))
MASKING = Settings(embedding=EmbeddingSettings(model="m"))


def vectors_of(names: Sequence[str]) -> np.ndarray:
    """(n, DIMENSION) float32 of unit length; equal names, equal vectors."""
    rows = [np.random.default_rng(int(identity.text_hash(name)[:8], 16)).normal(size=DIMENSION) for name in names]
    matrix = np.array(rows, dtype=np.float32).reshape(len(names), DIMENSION)
    unit: np.ndarray = matrix / np.linalg.norm(matrix, axis=1, keepdims=True)
    return unit


def masked_chunks(texts: Iterable[str]) -> list[MaskedChunk]:
    """Masked chunks with these texts, one after the other."""
    return [
        MaskedChunk(n, MaskedText(text), MaskedText(text), identity.text_hash(text), tokens=len(text))
        for n, text in enumerate(texts)
    ]


@dataclass
class LineSource:
    """One source system under one lease; `sent` holds every text that the model was given."""

    connection: Connection
    store: ObjectStore
    lease: Lease
    settings: Settings = KEEPING
    sent: list[str] = field(default_factory=list)
    worked: list[tuple[StageName, str]] = field(default_factory=list)
    scope: list[str] | None = None

    def write(self, **files: str | None) -> None:
        """Put a document's text under its name, or delete it (None)."""
        for name, text in files.items():
            path = f"{raw_prefix(self.lease.source_system)}/{name}.txt"
            if text is None:
                self.store.delete(path)
            else:
                self.store.put(path, text.encode())

    def reconcile(self) -> Reconciled:
        """Compare the whole listing with the ledger."""
        source = self.lease.source_system
        return reconcile(self.connection, self.store, source, raw_prefix(source))

    def look(self, limit: int = 10**6) -> Observed:
        """Look at hinted keys; the run takes on every document that is not settled."""
        source = self.lease.source_system
        looker = Looker(
            self.connection, self.store, self.lease, self.lease.holder, raw_prefix(source), 10**6, lambda key: []
        )
        seen = looker.look(limit)
        self.scope = choose_scope(self.connection, source, chain_key(self.settings, source), 10**6)
        return seen

    def observe(self) -> Observed:
        """List, look at what differs, delete what is gone."""
        self.reconcile()
        seen = self.look()
        self.delete()
        return seen

    def delete(self) -> int:
        """Delete what is gone; returns how many documents."""
        return delete_gone(self.connection, self.lease, chain_key(self.settings, self.lease.source_system))

    def stage(self, name: StageName) -> Stage:
        space = self.space() if name == "publish" else None
        return catalogue(self.settings, self.lease.source_system, space)[name]

    def space(self) -> Space:
        model = self.settings.embedding.model
        return ensure_space(
            self.connection, model=model, revision="", instruction="", native_dimension=DIMENSION, dimension=None
        )

    def ledger(self, name: StageName) -> Ledger:
        key = identity.model_key(self.settings.embedding.model, "") if name in ("embed", "publish") else ""
        return Ledger(self.connection, self.lease, self.lease.holder, key, self.scope)

    def publisher(self) -> Publisher:
        return Publisher(self.connection, self.store, self.lease, self.space(), self.lease.holder)

    def run(self, name: StageName) -> StageReport:
        """Make one stage complete."""
        stage, ledger = self.stage(name), self.ledger(name)
        if name == "publish":
            publisher = self.publisher()
            publisher.withdraw_unmasked(stage, self.scope)
            return run_stage(stage, ledger, publisher, publisher.commit)
        if name == "embed":
            return run_stage(stage, ledger, ModelBatches(self._ports(ledger)))
        return run_stage(stage, ledger, _Worker(self, name))

    def sync(self) -> dict[str, StageReport]:
        """Observe, then every stage."""
        self.observe()
        return self.run_stages()

    def run_stages(self) -> dict[str, StageReport]:
        """Every stage on what the run takes on, then what is done is settled and the moved documents go."""
        names: tuple[StageName, ...] = ("parse", "chunk", "mask", "embed", "publish")
        reports = {name: self.run(name) for name in names}
        self.settle()
        self.delete()
        return reports

    def settle(self) -> None:
        """Note the documents for which no stage has anything pending."""
        names: tuple[StageName, ...] = ("parse", "chunk", "mask", "embed", "publish")
        pending = {of for name in names for of in self.ledger(name).pending_ids(self.stage(name))}
        settle(
            self.connection, self.lease, chain_key(self.settings, self.lease.source_system), self.scope or [], pending
        )

    def published(self) -> dict[str, list[str]]:
        """Texts that readers see, in order, by the document's name; every one of them has a vector."""
        rows = self.connection.execute(
            "SELECT d.key, c.content FROM kb.chunk c JOIN kb.document d USING (document_id) JOIN kb.vector_m_8 v"
            " USING (chunk_id) WHERE d.source_system = %s ORDER BY d.key, c.ordinal",
            (self.lease.source_system,),
        )
        found: dict[str, list[str]] = {}
        for key, content in rows:
            found.setdefault(key.removesuffix(".txt"), []).append(content)
        return found

    def _ports(self, ledger: Ledger) -> ModelPorts:
        def embed(texts: Sequence[MaskedText]) -> EmbeddingResult:
            self.sent.extend(texts)
            return EmbeddingResult(vectors_of(texts), {}, EmbeddingUsage())

        def save(task: Task, names: Sequence[str], matrix: np.ndarray) -> tuple[ArtifactRef, str]:
            table, output_hash = vectors_to_table(names, matrix)
            return write_table(self.store, "embed", task.fingerprint, table), output_hash

        return ModelPorts(
            lambda task: load(self.store, task, MaskedChunk),
            lambda names: ledger.vectors(self.store, names),
            embed,
            save,
        )


@dataclass
class _Worker:
    source: LineSource
    stage: StageName

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for task in tasks:
            self.source.worked.append((self.stage, task.key))
            try:
                records, kind = self._records(task)
            except KbError as error:
                yield Outcome(task, **failure(error))
                continue
            table, output_hash = records_to_table(records, kind)
            ref = write_table(self.source.store, self.stage, task.fingerprint, table)
            yield Outcome(task, "ok", ref, output_hash, len(records), stats={"lines": len(records)})

    def _records(self, task: Task) -> tuple[Sequence[object], type]:
        makers: dict[str, tuple[Callable[[Task], Sequence[object]], type]] = {
            "parse": (self._parse, Element),
            "chunk": (self._chunk, Chunk),
            "mask": (self._mask, MaskedChunk),
        }
        make, kind = makers[self.stage]
        return make(task), kind

    def _parse(self, task: Task) -> list[Element]:
        data = self.source.store.get(f"{raw_prefix(task.source_system)}/{task.key}")
        if identity.sha256_hex(data) != task.content_hash:
            raise ObjectChanged("The object changed between listing and parsing.")
        return [Element(line, "paragraph") for line in data.decode().splitlines()]

    def _chunk(self, task: Task) -> list[Chunk]:
        elements: list[Element] = load(self.source.store, task, Element)
        return [Chunk(n, element.text, tokens=len(element.text)) for n, element in enumerate(elements)]

    def _mask(self, task: Task) -> list[MaskedChunk]:
        chunks: list[Chunk] = load(self.source.store, task, Chunk)
        if self.source.settings.masking_for(task.source_system).action("MONEY") == "keep":
            return masked_chunks(chunk.text for chunk in chunks)
        if any("REFUSED" in chunk.text for chunk in chunks):
            raise MaskingIncomplete("Masked text still holds 1 MONEY.")
        return masked_chunks(chunk.text.replace("$", "<MONEY>") for chunk in chunks)
