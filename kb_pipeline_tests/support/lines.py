"""The product's own run on documents of lines: every line is a passage. Only what a stage does with a text is this
simple, and the model this obedient, so that a test can say what must come of it.

A line with "REFUSED" fails masking wherever the policy masks MONEY, and one with "$" has it masked there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from kb_pipeline.core import identity
from kb_pipeline.core.contracts import Chunk, Element, MaskedChunk, MaskedText, Stage, StageName, Task
from kb_pipeline.core.errors import EmbeddingUnavailable, MaskingIncomplete, TextRejected, TextUnanswered
from kb_pipeline.core.faults import fault_point
from kb_pipeline.embedding.batch import EmbeddingUsage
from kb_pipeline.embedding.client import EmbeddingResult
from kb_pipeline.pipeline.catalogue import WorkerJob, catalogue, chain_key, raw_prefix
from kb_pipeline.pipeline.observation import Observation
from kb_pipeline.pipeline.run_state import RunState
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import SourceRun
from kb_pipeline.settings import DefaultSettings, EmbeddingSettings, ObjectStoreSettings, Settings
from kb_pipeline.sources.observing import Observed
from kb_pipeline.sources.reconciling import Reconciled, reconcile
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import choose_scope
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.ledger.stages import Ledger
from kb_pipeline.store.objects.object_store import ObjectStore
from kb_pipeline.store.published.publish import Publisher
from kb_pipeline.store.published.spaces import Space, ensure_space
from kb_pipeline_tests.support.inline import InlineExecutors

DIMENSION = 8
KEEPING = Settings(embedding=EmbeddingSettings(model="m"), defaults=DefaultSettings(masking={"MONEY": "keep"}))
MASKING = Settings(embedding=EmbeddingSettings(model="m"))
STAGES: tuple[StageName, ...] = ("parse", "chunk", "mask", "embed", "publish")


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


class LineJob(WorkerJob):
    """The worker stages on lines; reading, checking, writing and reporting are those of the product."""

    def parse(self, data: bytes, media_type: str) -> list[Element]:
        return [Element(line, "paragraph") for line in data.decode().splitlines()]

    def chunk(self, elements: list[Element]) -> list[Chunk]:
        return [Chunk(n, element.text, tokens=len(element.text)) for n, element in enumerate(elements)]

    def mask(self, chunks: list[Chunk]) -> list[MaskedChunk]:
        keeps = self.policy.action("MONEY") == "keep"
        if not keeps and any("REFUSED" in chunk.text for chunk in chunks):
            raise MaskingIncomplete("Masked text still holds 1 MONEY.")
        return [self._masked(chunk, chunk.text if keeps else chunk.text.replace("$", "<MONEY>")) for chunk in chunks]

    def _masked(self, chunk: Chunk, content: str) -> MaskedChunk:
        path = tuple(MaskedText(title) for title in chunk.section_path)
        sent = "\n".join([*path, content]) if self.chunking.prefix_section_path else content
        return MaskedChunk(
            chunk.ordinal, MaskedText(content), MaskedText(sent), identity.text_hash(sent), path, tokens=len(content)
        )


@dataclass
class LineModel:
    """The model service. Texts with a word of `refused` are rejected, those with one of `silent` never answered.
    `on_texts` is told of every text before it is answered; `sent` holds them since it was last emptied."""

    on_texts: Callable[[Sequence[str]], None] = lambda texts: None
    refused: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    down: bool = False
    sent: list[str] = field(default_factory=list)
    closed: int = 0

    def embed(self, texts: Sequence[MaskedText]) -> EmbeddingResult:
        if self.down:
            raise EmbeddingUnavailable("No embedding server answers.", "Start one.")
        fault_point("lines.embed")
        self.on_texts(texts)
        self.sent.extend(texts)
        rejected = {n: TextRejected("Refused.") for n, text in enumerate(texts) if holds(text, self.refused)}
        silent = {
            n: TextUnanswered("Silent.") for n, text in enumerate(texts) if holds(text, self.silent - self.refused)
        }
        return EmbeddingResult(vectors_of(texts), rejected, EmbeddingUsage(texts=len(texts)), silent)

    def costs(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        self.closed += 1


def holds(text: str, words: set[str]) -> bool:
    """Whether one of `words` is in the text."""
    return any(word in text for word in words)


@dataclass
class LineSource:
    """One source system under one lease, worked on by the product's SourceRun. `sent` holds every text that the model
    was given, `worked` every document that a worker stage did. Whatever is gone may be deleted: the brake is off."""

    connection: Connection
    store: ObjectStore
    lease: Lease
    settings: Settings = KEEPING
    model: LineModel = field(default_factory=LineModel)
    worked: list[tuple[StageName, str]] = field(default_factory=list)
    scope: list[str] | None = None

    @property
    def sent(self) -> list[str]:
        return self.model.sent

    def write(self, **files: str | None) -> None:
        """Put a document's text under its name, or delete it (None)."""
        for name, text in files.items():
            path = f"{raw_prefix(self.lease.source_system)}/{name}.txt"
            if text is None:
                self.store.delete(path)
            else:
                self.store.put(path, text.encode())

    def source_run(self, *, handing_on: bool = True) -> SourceRun:
        """A run of the product under this source's lease, with the settings and the scope as they are now. Unless
        `handing_on`, a turn of a worker does one stage."""
        config = self.store.config
        kept = ObjectStoreSettings(url=config.url, endpoint=config.endpoint, region=config.region)
        settings = self.settings.model_copy(update={"object_store": kept})
        executors = InlineExecutors(LineJob, self.model, after=self._note, handing_on=handing_on)
        state = RunState(self.lease, settings.runs.retries, self.scope, confirm_deletes=True)
        source, run_id = self.lease.source_system, self.lease.holder
        return SourceRun(settings, source, run_id, self.connection, state, self.store, executors)

    def reconcile(self) -> Reconciled:
        """Compare the whole listing with the ledger."""
        source = self.lease.source_system
        return reconcile(self.connection, self.store, source, raw_prefix(source))

    def look(self, limit: int = 10**6) -> Observed:
        """Look at hinted keys alone; the run takes on every document that is not settled."""
        source = self.lease.source_system
        seen = Observation(self.source_run()).looker().look(limit)
        self.scope = choose_scope(self.connection, source, chain_key(self.settings, source), 10**6)
        return seen

    def observe(self) -> StageReport:
        """List, look at what differs, delete what is gone; the run takes on what is not settled."""
        run = self.source_run()
        report = run.observe(confirm_deletes=True)
        self.scope = run.state.scope
        return report

    def delete(self) -> int:
        """Delete what is gone; returns how many documents."""
        return Observation(self.source_run()).delete()

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
        """Make one stage complete, and no other."""
        return _step(self.source_run(handing_on=False), name)

    def sync(self) -> dict[str, StageReport]:
        """A whole run: observe, then every stage."""
        self.observe()
        return self.run_stages()

    def run_stages(self) -> dict[str, StageReport]:
        """Every stage on what the run takes on; at the end what is done is settled and the moved documents go."""
        run = self.source_run()
        return {name: _step(run, name) for name in STAGES}

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

    def _note(self, stage: StageName, task: Task) -> None:
        self.worked.append((stage, task.key))


def _step(run: SourceRun, name: StageName) -> StageReport:
    if name == "embed":
        return run.embed()
    return run.publish() if name == "publish" else run.work(name)
