"""The catalogue of stages, in order: each with its version, the settings that shape its output, and its function.

The only place where the stage folders meet. A function here reads one artifact, calls one stage folder and writes one
artifact; it runs in a worker process and knows nothing of the ledger.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from kb_pipeline.core.contracts import Chunk, Element, MaskedChunk, Outcome, Place, Stage, StageName, Task
from kb_pipeline.core.errors import (
    ArtifactDamaged,
    KbError,
    ObjectChanged,
    ServiceUnavailable,
    SettingsError,
    TransientError,
    UnexpectedError,
)
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.identity import fingerprint, model_key, sha256_hex, stage_key
from kb_pipeline.execution.local import peak_rss_bytes
from kb_pipeline.parsing.options import ParseOptions
from kb_pipeline.settings import ChunkingSettings, MaskingPolicy, Settings
from kb_pipeline.store.objects.artifacts import read_table, records_to_table, table_to_records, write_table
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig, open_store
from kb_pipeline.store.published.spaces import Space
from kb_pipeline.store.published.words import WORDS_VERSION

# Raised when observing a source comes to record something else of the same objects.
RAW_VERSION = 1
EMBED_VERSION = 1
PUBLISH_VERSION = 1
# Raised when documents that are settled have to be looked at again, though no stage of its own has changed.
CHAIN_VERSION = 2
WORKER_STAGES: tuple[StageName, ...] = ("parse", "chunk", "mask")
PRELOAD = ("kb_pipeline.pipeline.preload",)
PRELOAD_LIGHT = ("kb_pipeline.pipeline.preload_light",)


def raw_prefix(source_system: str) -> str:
    """Where a source system's raw documents lie in the object store."""
    return f"raw/{source_system}"


def stage_versions() -> dict[StageName, int]:
    """The version of each stage's code: it changes when the stage's output may, whatever the settings."""
    from kb_pipeline.chunking import CHUNK_VERSION
    from kb_pipeline.masking import MASK_VERSION
    from kb_pipeline.parsing import PARSE_VERSION

    return {
        "raw": RAW_VERSION,
        "parse": PARSE_VERSION,
        "chunk": CHUNK_VERSION,
        "mask": MASK_VERSION,
        "embed": EMBED_VERSION,
        "publish": PUBLISH_VERSION,
    }


def catalogue(settings: Settings, source_system: str, space: Space | None = None) -> dict[StageName, Stage]:
    """The stages of one source system under the settings in force; `publish` only when there is a space."""
    from kb_pipeline.chunking import CHUNK_VERSION
    from kb_pipeline.masking import MASK_VERSION, shape_of_models
    from kb_pipeline.parsing import PARSE_VERSION

    model = model_key(settings.embedding.model, settings.embedding.revision)
    policy = settings.masking_for(source_system)
    masking: dict[str, Any] = {
        "policy": policy.shape(),
        "prefix_section_path": settings.chunking.prefix_section_path,
    }
    if models := shape_of_models(policy):
        masking["models"] = models
    plans: list[tuple[StageName, int, Mapping[str, Any], Place, str]] = [
        ("parse", PARSE_VERSION, {"strategy": settings.strategy_for(source_system)}, Place.WORKER, ""),
        ("chunk", CHUNK_VERSION, settings.chunking.model_dump(), Place.WORKER, ""),
        ("mask", MASK_VERSION, masking, Place.WORKER, ""),
        ("embed", EMBED_VERSION, {"model": model}, Place.MODEL, model),
    ]
    keys = {name: stage_key(name, version, shaping) for name, version, shaping, _, _ in plans}
    onward: dict[StageName, tuple[StageName, ...]] = {"parse": ("chunk", "mask"), "chunk": ("mask",)}
    stages: dict[StageName, Stage] = {}
    before: Stage | None = None
    for name, version, shaping, place, variant in plans:
        before = Stage(
            name,
            version,
            shaping,
            place,
            before.name if before else None,
            keys[name],
            before.key if before else "",
            variant,
            {after: keys[after] for after in onward.get(name, ())},
        )
        stages[name] = before
    if space:
        stages["publish"] = _publish(space, stages["mask"])
    return stages


def _publish(space: Space, mask: Stage) -> Stage:
    """Publish's key holds the masking policy's, so that rows masked under another policy are known as such."""
    shaping = {"space": space.space_id, "mask": mask.key, "words": WORDS_VERSION}
    key = stage_key("publish", PUBLISH_VERSION, shaping)
    return Stage("publish", PUBLISH_VERSION, shaping, Place.DATABASE, "mask", key, mask.key, space.space_id)


def chain_key(settings: Settings, source_system: str) -> str:
    """The key of all stages of a source together, under the settings in force: a document settled under another one has
    work to do."""
    e = settings.embedding
    stages = [stage.key for stage in catalogue(settings, source_system).values()]
    served = [PUBLISH_VERSION, WORDS_VERSION, model_key(e.model, e.revision), e.dimension]
    return stage_key("chain", CHAIN_VERSION, {"stages": stages, "publish": served})


def access_key(settings: Settings, source_system: str) -> str:
    """The key of the rules that say who may read a document of the source."""
    rules = settings.sources[source_system].access if source_system in settings.sources else ()
    return stage_key("access", 1, {"rules": [rule.model_dump() for rule in rules]})


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """Task -> Outcome for parse, chunk or mask; picklable, so that it can be sent to a worker process.

    `following` are the keys of the worker stages after this one: a document that none of them ever saw goes through
    all of them in one turn, what one makes handed to the next in memory. `light`: no document needs a parser that takes
    long to load.
    """

    stage: StageName
    store: ObjectStoreConfig
    chunking: ChunkingSettings
    policy: MaskingPolicy
    following: tuple[tuple[StageName, str], ...] = ()
    light: bool = False
    options: ParseOptions = field(default_factory=ParseOptions)

    def __call__(self, task: Task) -> Outcome:
        """Never raises for what a document holds: every error becomes an outcome with a class from errors.py. Raises
        ServiceUnavailable (a full disk, a lost object store) and SettingsError (a model that is not there): those stop
        the run, they are no fault of the document."""
        outcome, table = self._turn(self.stage, task, None)
        done = [outcome]
        for name, key in self.following if task.fresh else ():
            last = done[-1]
            if table is None or last.output_hash is None:
                break
            named = fingerprint(key, last.output_hash)
            task = replace(task, input=last.artifact, input_hash=last.output_hash, fingerprint=named)
            outcome, table = self._turn(name, task, table)
            done.append(outcome)
        return replace(done[0], following=tuple(done[1:]))

    def prepare(self) -> None:
        """Load what a worker needs for every document and the fork server does not know of: models of the settings.
        What is not there is told with the first document."""
        from kb_pipeline import masking, parsing

        if self.stage == "parse" and not self.light:
            with suppress(SettingsError):
                parsing.load_models(self.options)
        if "mask" in (self.stage, *(name for name, _ in self.following)):
            with suppress(SettingsError):
                masking.load_models(self.policy)

    def _turn(self, stage: StageName, task: Task, given: pa.Table | None) -> tuple[Outcome, pa.Table | None]:
        """One stage of one document; `given` is its input when the stage before has just made it. Returns the outcome
        and what was made, None if nothing was."""
        started = time.perf_counter()
        store = open_store(self.store)
        reads, writes = store.counter.reads, store.counter.writes
        table: pa.Table | None = None
        try:
            table, output_hash, stats = self._work(store, stage, task, given)
            ref = write_table(store, stage, task.fingerprint, table)
            fault_point(f"{stage}.written")
            outcome: dict[str, Any] = {
                "status": "ok",
                "artifact": ref,
                "output_hash": output_hash,
                "rows": table.num_rows,
                "stats": stats,
            }
        except (MemoryError, ServiceUnavailable, SettingsError):
            raise
        except KbError as error:
            table, outcome = None, failure(error)
        except Exception as error:  # noqa: BLE001 - a defect of ours costs this document alone
            table, outcome = None, failure(UnexpectedError(f"Unexpected {type(error).__name__} in stage {stage}."))
        costs = {
            "object_reads": store.counter.reads - reads,
            "object_writes": store.counter.writes - writes,
            "peak_worker_bytes": peak_rss_bytes(),
        }
        duration_ms = int((time.perf_counter() - started) * 1000)
        return Outcome(task, duration_ms=duration_ms, costs=costs, **outcome), table

    def parse(self, data: bytes, media_type: str) -> list[Element]:
        """What the stage parse does with a document's bytes."""
        from kb_pipeline.parsing import parse

        return parse(data, media_type, self.options)

    def chunk(self, elements: list[Element]) -> list[Chunk]:
        """What the stage chunk does with elements."""
        from kb_pipeline.chunking import chunk

        return chunk(elements, self.chunking)

    def mask(self, chunks: list[Chunk]) -> list[MaskedChunk]:
        """What the stage mask does with chunks."""
        from kb_pipeline.masking import mask_chunks

        return mask_chunks(chunks, self.policy, self.chunking.prefix_section_path)

    def _work(
        self, store: ObjectStore, stage: StageName, task: Task, given: pa.Table | None
    ) -> tuple[pa.Table, str, dict[str, int]]:
        if stage == "parse":
            return self._parse(store, task)
        work = self._chunk if stage == "chunk" else self._mask
        kind = Element if stage == "chunk" else Chunk
        # From the table, not from the records it was made of: what a stage gets does not depend on how it came.
        return work(load(store, task, kind) if given is None else table_to_records(given, kind))

    def _parse(self, store: ObjectStore, task: Task) -> tuple[pa.Table, str, dict[str, int]]:
        data = store.get(f"{raw_prefix(task.source_system)}/{task.key}")
        if sha256_hex(data) != task.content_hash:
            raise ObjectChanged("The object changed between listing and parsing.", "The next sync reads it anew.")
        elements = self.parse(data, task.media_type)
        table, output_hash = records_to_table(elements, Element)
        return table, output_hash, {"characters": sum(len(e.text) for e in elements)}

    def _chunk(self, elements: list[Any]) -> tuple[pa.Table, str, dict[str, int]]:
        chunks = self.chunk(elements)
        table, output_hash = records_to_table(chunks, Chunk)
        return table, output_hash, {"tokens": sum(c.tokens for c in chunks)}

    def _mask(self, chunks: list[Any]) -> tuple[pa.Table, str, dict[str, int]]:
        masked = self.mask(chunks)
        table, output_hash = records_to_table(masked, MaskedChunk)
        spans: dict[str, int] = {}
        for row in masked:
            for entity, count in row.masked.items():
                spans[f"masked.{entity}"] = spans.get(f"masked.{entity}", 0) + count
        return table, output_hash, {"tokens": sum(c.tokens for c in masked), "masked": sum(spans.values()), **spans}


def load(store: ObjectStore, task: Task, kind: type) -> list[Any]:
    """The records of a task's input artifact."""
    if task.input is None:
        raise ArtifactDamaged("An artifact named by the ledger is gone.", "Sync again: it is made anew.")
    return table_to_records(read_table(store, task.input), kind)


def failure(error: KbError) -> dict[str, Any]:
    """The part of an outcome that an error decides: transient errors wait, permanent ones go to quarantine."""
    return {
        "status": "failed" if isinstance(error, TransientError) else "quarantined",
        "error_class": type(error).__name__,
        "error_message": str(error),
    }
