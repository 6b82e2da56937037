"""What a worker does with a case: the real stages, from the object to the masked artifact; then it looks at what they
made. Importable, as worker processes must import it."""

from __future__ import annotations

import resource
import shutil
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa

import kb_pipeline
from kb_pipeline.chunking import estimate_tokens
from kb_pipeline.core.contracts import Chunk, Element, MaskedChunk, Outcome, StageName, Task
from kb_pipeline.core.errors import KbError
from kb_pipeline.core.identity import sha256_hex
from kb_pipeline.core.media_type import HEAD_BYTES, detect
from kb_pipeline.execution.worker import step_done
from kb_pipeline.masking import find_personal_data
from kb_pipeline.parsing.options import ParseOptions
from kb_pipeline.pipeline.catalogue import WORKER_STAGES, WorkerJob, load, raw_prefix
from kb_pipeline.settings import ENTITIES, ChunkingSettings, MaskingPolicy
from kb_pipeline.store.objects.object_store import ObjectStore, ObjectStoreConfig, open_store
from kb_pipeline_tests.chunking.invariants import body_comes_in_order, every_heading_stands_somewhere, sent
from kb_pipeline_tests.fuzzing.documents import Case
from kb_pipeline_tests.masking.synthetic import KEY

SOURCE = "fuzzing"
MIB = 1024 * 1024
# What a stage may say of a document that is small; the others of the closed list say that something went wrong.
REASONS = {
    "parse": {"UnsupportedFormat", "EncryptedDocument", "CorruptDocument", "NoText", "DocumentTooLarge"},
    "chunk": set[str](),
    "mask": set[str](),
}
_OURS = str(Path(kb_pipeline.__file__).parent)
_CONTROLS = dict.fromkeys([*range(9), 11, 12, *range(14, 32), *range(0xD800, 0xE000)])


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a case: "ok" or a reason, by which stage, at what cost, and what was wrong about it."""

    ended: str
    stage: str
    seconds: float
    peak_bytes: int
    media_type: str
    rows: int = 0
    violations: tuple[str, ...] = ()


class Watched(WorkerJob):
    """The real job; `raised` tells of exceptions that nobody foresaw."""

    __slots__ = ("raised",)

    def _work(
        self, store: ObjectStore, stage: StageName, task: Task, given: pa.Table | None
    ) -> tuple[pa.Table, str, dict[str, int]]:
        try:
            return super()._work(store, stage, task, given)
        except Exception as error:
            self.raised.extend(unforeseen(error))
            raise


def unforeseen(error: Exception) -> Iterator[str]:
    """Type and place of an exception that is none of ours; or of one that code of ours raised and the boundary to the
    third-party parsers took for one of theirs."""
    raised = error.__context__ if _at_the_boundary(error) else None if isinstance(error, KbError) else error
    if raised is None:
        return
    place = traceback.extract_tb(raised.__traceback__)[-1]
    # What a compiled library raises seems to be raised where it is called; its types are its own.
    if raised is error or (place.filename.startswith(_OURS) and type(raised).__module__ == "builtins"):
        yield f"{type(raised).__name__} at {PurePosixPath(place.filename).name}:{place.lineno} in {place.name}"


def _at_the_boundary(error: Exception) -> bool:
    last = traceback.extract_tb(error.__traceback__)[-1:]
    return isinstance(error, KbError) and any(p.name == "parse" and p.filename.endswith("registry.py") for p in last)


@dataclass(frozen=True, slots=True)
class FuzzJob:
    """Case -> Verdict, in a folder of its own that is gone afterwards."""

    folder: str
    memory_mb: int

    def __call__(self, case: Case) -> Verdict:
        """Raises nothing but what a worker process makes a violation of."""
        folder = Path(self.folder) / str(case.number)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return self._worked_on(case, ObjectStoreConfig(folder.as_uri()))
        finally:
            shutil.rmtree(folder)

    def _worked_on(self, case: Case, config: ObjectStoreConfig) -> Verdict:
        store = open_store(config)
        task = task_of(case)
        store.put(f"{raw_prefix(SOURCE)}/{task.key}", case.data)
        before, started = _peak_bytes(), time.perf_counter()
        job = job_of(case, config)
        outcome = job(task)
        seconds, grown = time.perf_counter() - started, _peak_bytes() - before
        outcomes = (outcome, *outcome.following)
        last = outcomes[-1]
        stage = WORKER_STAGES[len(outcomes) - 1]
        wrong = [*job.raised, *_wrong_ends(stage, last)]
        if grown > self.memory_mb * MIB:
            wrong.append(f"grew by {grown // MIB} MiB")
        if last.status == "ok":
            wrong += wrong_results(store, outcomes, job)
        ended = last.error_class or "ok"
        return Verdict(ended, stage, seconds, _peak_bytes(), task.media_type, outcome.rows, tuple(wrong))


def task_of(case: Case) -> Task:
    """The case as a document that no stage has seen."""
    suffix = PurePosixPath(case.key).suffix
    key, content = f"document{suffix}", sha256_hex(case.data)
    media_type = detect(case.data[:HEAD_BYTES], key)
    return Task(content, SOURCE, key, key, media_type, content, len(case.data), content, content, fresh=True)


def job_of(case: Case, config: ObjectStoreConfig) -> Watched:
    """All stages, under the case's settings."""
    actions = dict.fromkeys(ENTITIES, "pseudonym" if case.pseudonyms else "mask")
    job = Watched(
        "parse",
        config,
        ChunkingSettings(max_tokens=case.max_tokens, prefix_section_path=case.prefix),
        MaskingPolicy(actions, KEY),
        (("chunk", "chunk"), ("mask", "mask")),
        options=ParseOptions(case.strategy, on_step=step_done),
    )
    object.__setattr__(job, "raised", [])
    return job


def _wrong_ends(stage: StageName, last: Outcome) -> Iterator[str]:
    if last.status != "ok" and last.error_class not in REASONS[stage]:
        yield f"{stage}: {last.error_class}: {last.error_message}"
    elif last.status == "ok" and stage != WORKER_STAGES[-1]:
        yield f"ended after {stage}"


def wrong_results(store: ObjectStore, outcomes: Sequence[Outcome], job: WorkerJob) -> list[str]:
    """What is not as it must be between elements, chunks and masked chunks."""
    elements, chunks, masked = (
        _records(store, outcome, kind) for outcome, kind in zip(outcomes, (Element, Chunk, MaskedChunk), strict=True)
    )
    return [*wrong_chunks(elements, chunks, job.chunking), *wrong_masking(chunks, masked, job.policy)]


def _records(store: ObjectStore, outcome: Outcome, kind: type) -> list[Any]:
    return load(store, replace(outcome.task, input=outcome.artifact), kind)


def wrong_chunks(elements: Sequence[Element], chunks: Sequence[Chunk], settings: ChunkingSettings) -> Iterator[str]:
    """Text that is gone, chunks that are too large."""
    if not body_comes_in_order(elements, chunks):
        yield "text is lost between elements and chunks"
    if not every_heading_stands_somewhere(elements, chunks):
        yield "a heading is lost between elements and chunks"
    for chunk in chunks:
        tokens = estimate_tokens(sent(chunk, settings))
        if not chunk.text.strip() or not chunk.tokens == tokens <= settings.max_tokens:
            yield f"chunk {chunk.ordinal} has {tokens} tokens, says {chunk.tokens}, may have {settings.max_tokens}"
            return


def wrong_masking(chunks: Sequence[Chunk], masked: Sequence[MaskedChunk], policy: MaskingPolicy) -> Iterator[str]:
    """Masked text in which something is still to be found, and what no database takes."""
    if len(chunks) != len(masked):
        yield f"{len(chunks)} chunks, {len(masked)} masked"
    for each in masked:
        for text in {each.content, each.embed_text, *each.section_path}:
            if found := find_personal_data(text, policy):
                yield f"chunk {each.ordinal} still holds {found}"
                return
            if text.translate(_CONTROLS) != text:
                yield f"chunk {each.ordinal} holds control characters or lone surrogates"
                return


def _peak_bytes() -> int:
    """Of this process, or of the largest that it started (pandoc)."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * 1024
