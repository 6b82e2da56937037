"""What work will come to, from what such work came to before: chunks, tokens and the model's seconds. Pure.

A listing tells keys and sizes, no media type, so documents are told apart by kind: the ending of their name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ENOUGH_DOCUMENTS = 20
# Without any history: what 637 real documents of every kind came to, in order of magnitude, and MiniLM on two cores.
DEFAULT_TOKENS_PER_BYTE = 0.1
DEFAULT_TOKENS_PER_CHUNK = 100.0
DEFAULT_TOKENS_PER_SECOND = 3000.0


@dataclass(frozen=True, slots=True)
class Sample:
    """Documents that passed all stages, and what they came to."""

    documents: int = 0
    bytes: int = 0
    chunks: int = 0
    tokens: int = 0

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.documents + other.documents,
            self.bytes + other.bytes,
            self.chunks + other.chunks,
            self.tokens + other.tokens,
        )

    @property
    def enough(self) -> bool:
        return self.documents >= ENOUGH_DOCUMENTS and self.bytes > 0


@dataclass(frozen=True, slots=True)
class Work:
    """Documents to do, and their size."""

    documents: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Speed:
    """What the model took for how many tokens."""

    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """At most so much: texts that have a vector already are not sent again, and nobody knows them before reading.

    `basis` says how many documents were estimated from what: kind (of this source), source, all (sources), or default.
    """

    documents: int = 0
    chunks: int = 0
    tokens: int = 0
    model_seconds: float = 0.0
    basis: Mapping[str, int] = field(default_factory=dict)


def estimate(work: Mapping[str, Work], own: Mapping[str, Sample], everywhere: Sample, speed: Speed) -> Estimate:
    """What `work` (by kind) comes to, by the size of the documents: as those of its kind in this source (`own`) came to
    where there are enough, else as the source's, else as those of all sources, else as the stated defaults say."""
    source = sum(own.values(), Sample())
    chunks = tokens = 0.0
    basis: dict[str, int] = {}
    for kind, todo in work.items():
        name, sample = _closest(own.get(kind, Sample()), source, everywhere)
        basis[name] = basis.get(name, 0) + todo.documents
        if sample:
            chunks += todo.bytes * sample.chunks / sample.bytes
            tokens += todo.bytes * sample.tokens / sample.bytes
        else:
            tokens += todo.bytes * DEFAULT_TOKENS_PER_BYTE
            chunks += todo.bytes * DEFAULT_TOKENS_PER_BYTE / DEFAULT_TOKENS_PER_CHUNK
    measured = speed.tokens > 0 and speed.seconds > 0
    each = speed.seconds / speed.tokens if measured else 1 / DEFAULT_TOKENS_PER_SECOND
    documents = sum(todo.documents for todo in work.values())
    return Estimate(documents, round(chunks), round(tokens), round(tokens * each, 1), basis)


def _closest(kind: Sample, source: Sample, everywhere: Sample) -> tuple[str, Sample | None]:
    for name, sample in (("kind", kind), ("source", source), ("all", everywhere)):
        if sample.enough:
            return name, sample
    return "default", None
