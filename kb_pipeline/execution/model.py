"""The model service as an executor: texts of many documents in one batch, each distinct text sent once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

import numpy as np

from kb_pipeline.core.contracts import ArtifactRef, MaskedChunk, MaskedText, Outcome, Status, Task
from kb_pipeline.core.errors import (
    EmbeddingUnavailable,
    KbError,
    PermanentError,
    ServiceUnavailable,
    TextRejected,
    TextUnanswered,
    TransientError,
)
from kb_pipeline.core.faults import fault_point
from kb_pipeline.embedding.vectors import to_half

DOCUMENTS_PER_GROUP = 64
TEXTS_PER_GROUP = 256
# More than the runner commits at once: what the ledger does not know yet is known from here.
TEXTS_REMEMBERED = 8192
# So many documents without a single vector show that it is not the documents.
DOCUMENTS_THAT_PROVE = 5


class Embedded(Protocol):
    """What the embedding client returns: (n, d) vectors of unit length, and why some texts have none."""

    @property
    def vectors(self) -> np.ndarray: ...
    @property
    def rejected(self) -> Mapping[int, TextRejected]: ...
    @property
    def unanswered(self) -> Mapping[int, TextUnanswered]: ...


@dataclass(frozen=True, slots=True)
class ModelPorts:
    """What the executor needs from the rest: reading chunks, vectors already known, the model, and writing vectors."""

    load: Callable[[Task], list[MaskedChunk]]
    known: Callable[[Sequence[str]], dict[str, np.ndarray]]
    embed: Callable[[Sequence[MaskedText]], Embedded]
    save: Callable[[Task, Sequence[str], np.ndarray], tuple[ArtifactRef, str]]


@dataclass(slots=True)
class _Document:
    task: Task
    chunks: list[MaskedChunk]
    texts: dict[str, MaskedText] = field(default_factory=dict)


class ModelBatches:
    """Embeds documents in groups; a text that already has a vector of this model is not sent again."""

    def __init__(self, ports: ModelPorts) -> None:
        self.ports = ports
        self._recent: dict[str, np.ndarray] = {}

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        """Yield one outcome a task. Raises ServiceUnavailable (no model server, no object store): the run stops."""
        group: list[_Document] = []
        texts = 0
        for task in tasks:
            try:
                chunks = self.ports.load(task)
            except ServiceUnavailable:
                raise
            except KbError as error:
                yield _failed(task, error)
                continue
            group.append(_Document(task, chunks, {c.text_hash: c.embed_text for c in chunks}))
            texts += len(group[-1].texts)
            if len(group) >= DOCUMENTS_PER_GROUP or texts >= TEXTS_PER_GROUP:
                yield from self._embed_group(group)
                group, texts = [], 0
        if group:
            yield from self._embed_group(group)

    def _embed_group(self, group: Sequence[_Document]) -> Iterator[Outcome]:
        started = time.perf_counter()
        wanted = {name: text for document in group for name, text in document.texts.items()}
        vectors = {name: self._recent[name] for name in wanted if name in self._recent}
        vectors.update(self.ports.known([name for name in wanted if name not in vectors]))
        new = {name: text for name, text in wanted.items() if name not in vectors}
        found, missing = self._embed(new) if new else ({}, {})
        vectors.update(found)
        self._remember(found)
        concerned = sum(1 for document in group if document.texts.keys() & new.keys())
        if missing and not found and concerned >= DOCUMENTS_THAT_PROVE:
            raise _of_no_use(list(missing.values()), concerned)
        each_ms = int((time.perf_counter() - started) * 1000 / len(group))
        for document in group:
            yield self._finish(document, vectors, missing, each_ms)

    def _remember(self, found: Mapping[str, np.ndarray]) -> None:
        self._recent.update(found)
        for name in list(islice(self._recent, max(0, len(self._recent) - TEXTS_REMEMBERED))):
            del self._recent[name]

    def _embed(self, new: Mapping[str, MaskedText]) -> tuple[dict[str, np.ndarray], dict[str, KbError]]:
        """Vectors by the names of the texts, and why some texts have none."""
        result = self.ports.embed(list(new.values()))
        halves = to_half(result.vectors)
        why: dict[int, KbError] = {**result.unanswered, **result.rejected}
        found = {name: halves[index] for index, name in enumerate(new) if index not in why}
        return found, {name: why[index] for index, name in enumerate(new) if index in why}

    def _finish(
        self,
        document: _Document,
        vectors: Mapping[str, np.ndarray],
        missing: Mapping[str, KbError],
        duration_ms: int,
    ) -> Outcome:
        names = list(document.texts)
        if errors := [missing[name] for name in names if name in missing]:
            permanent = [error for error in errors if isinstance(error, PermanentError)]
            return _failed(document.task, (permanent or errors)[0])
        matrix = np.stack([vectors[name] for name in names]) if names else np.zeros((0, 1), np.float16)
        try:
            ref, output_hash = self.ports.save(document.task, names, matrix)
        except ServiceUnavailable:
            raise
        except TransientError as error:
            return _failed(document.task, error)
        fault_point("embed.written")
        return Outcome(
            document.task,
            "ok",
            ref,
            output_hash,
            rows=len(names),
            duration_ms=duration_ms,
            stats={"tokens": sum(chunk.tokens for chunk in document.chunks)},
            payload=[(name, row) for row, name in enumerate(names)],
        )


def _of_no_use(errors: Sequence[KbError], documents: int) -> EmbeddingUnavailable:
    return EmbeddingUnavailable(
        f"The embedding service embeds single words, but none of the {len(errors)} texts of {documents} documents:"
        f" {errors[0].message}",
        "See what the service logs; then sync again: what is done stays done.",
    )


def _failed(task: Task, error: KbError) -> Outcome:
    status: Status = "failed" if isinstance(error, TransientError) else "quarantined"
    return Outcome(task, status, error_class=type(error).__name__, error_message=str(error))
