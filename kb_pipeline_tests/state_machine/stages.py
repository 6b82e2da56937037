"""Small stages whose results can be foretold, in the places of the real ones: worker stages in this process, and a
model that can be made to refuse, to stay silent, or to be down. Everything around them is the product's own.

A document is lines of text. One passage holds one line or two; a line with "REFUSED" cannot be masked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from typing import NamedTuple

from kb_pipeline.core import identity
from kb_pipeline.core.contracts import Chunk, Element, MaskedChunk, MaskedText, Outcome, StageName, Task
from kb_pipeline.core.errors import (
    CorruptDocument,
    EmbeddingUnavailable,
    MaskingIncomplete,
    TextRejected,
    TextUnanswered,
)
from kb_pipeline.core.faults import fault_point
from kb_pipeline.embedding.batch import EmbeddingUsage
from kb_pipeline.embedding.client import EmbeddingResult
from kb_pipeline.pipeline.catalogue import WorkerJob
from kb_pipeline.pipeline.executors import Executors
from kb_pipeline.settings import Settings
from kb_pipeline_tests.support.lines import vectors_of

TOKENS_A_LINE = 16
HUGE = b"x" * (1024 * 1024 + 1)
BROKEN = b"\xff\xfe broken"
SECTION = "Notes"


class How(NamedTuple):
    """The settings that shape passages."""

    keeps_money: bool = True
    lines: int = 1
    prefixed: bool = True


class Passage(NamedTuple):
    """A chunk as it is shown, and as it is sent to the model."""

    content: str
    sent: str


def passages(data: bytes, how: How) -> list[Passage] | None:
    """What must come of a document; None when a stage refuses it."""
    if data == BROKEN:
        return None
    lines = data.decode().splitlines()
    if not how.keeps_money:
        if any("REFUSED" in line for line in lines):
            return None
        lines = [line.replace("$", "<MONEY>") for line in lines]
    texts = ["\n".join(lines[at : at + how.lines]) for at in range(0, len(lines), how.lines)]
    return [Passage(text, f"{SECTION}\n{text}" if how.prefixed else text) for text in texts]


class LineJob(WorkerJob):
    """The worker stages on lines; reading, checking, writing and reporting are those of the product."""

    def parse(self, data: bytes, media_type: str) -> list[Element]:
        fault_point("lines.parse")
        if data == BROKEN:
            raise CorruptDocument("No text.")
        return [Element(line, "paragraph") for line in data.decode().splitlines()]

    def chunk(self, elements: list[Element]) -> list[Chunk]:
        fault_point("lines.chunk")
        size = self.chunking.max_tokens // TOKENS_A_LINE
        groups = [elements[at : at + size] for at in range(0, len(elements), size)]
        return [Chunk(n, "\n".join(e.text for e in group), (SECTION,)) for n, group in enumerate(groups)]

    def mask(self, chunks: list[Chunk]) -> list[MaskedChunk]:
        fault_point("lines.mask")
        keeps = self.policy.action("MONEY") == "keep"
        if not keeps and any("REFUSED" in chunk.text for chunk in chunks):
            raise MaskingIncomplete("Masked text still holds 1 MONEY.")
        made = []
        for chunk in chunks:
            content = MaskedText(chunk.text if keeps else chunk.text.replace("$", "<MONEY>"))
            sent = MaskedText(f"{SECTION}\n{content}") if self.chunking.prefix_section_path else content
            path = (MaskedText(SECTION),)
            made.append(MaskedChunk(chunk.ordinal, content, sent, identity.text_hash(sent), path))
        return made


@dataclass
class LineModel:
    """The model service. Texts with a word of `refused` are rejected, those with one of `silent` never answered.
    `on_texts` is told of every text before it is answered; `sent` holds them since it was last emptied."""

    on_texts: Callable[[Sequence[str]], None] = lambda texts: None
    refused: set[str] = field(default_factory=set)
    silent: set[str] = field(default_factory=set)
    down: bool = False
    sent: list[str] = field(default_factory=list)

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
        pass


def holds(text: str, words: set[str]) -> bool:
    """Whether one of `words` is in the text."""
    return any(word in text for word in words)


@dataclass
class LineExecutors(Executors):
    """Worker stages in this process, and `provider` as the model. `on_task` is told of every task that is computed."""

    provider: LineModel
    on_task: Callable[[StageName, Task], None]

    def workers(self, job: WorkerJob, settings: Settings) -> _Inline:
        return _Inline(LineJob(**{one.name: getattr(job, one.name) for one in fields(job)}), self.on_task)

    def model(self, settings: Settings) -> LineModel:
        return self.provider


@dataclass
class _Inline:
    job: LineJob
    on_task: Callable[[StageName, Task], None]

    def run(self, tasks: Iterable[Task]) -> Iterator[Outcome]:
        for task in tasks:
            self.on_task(self.job.stage, task)
            yield self.job(task)
