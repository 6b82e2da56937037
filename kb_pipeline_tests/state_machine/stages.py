"""Small worker stages whose results can be foretold, in the places of the real ones. Everything around them is the
product's own.

A document is lines of text. One passage holds one line or two; a line with "REFUSED" cannot be masked.
"""

from __future__ import annotations

from typing import NamedTuple

from kb_pipeline.core.contracts import Chunk, Element, MaskedChunk
from kb_pipeline.core.errors import CorruptDocument
from kb_pipeline.core.faults import fault_point
from kb_pipeline_tests.support.lines import LineJob

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


class NotesJob(LineJob):
    """Passages of several lines below one title, with a fault point in each stage."""

    def parse(self, data: bytes, media_type: str) -> list[Element]:
        fault_point("lines.parse")
        if data == BROKEN:
            raise CorruptDocument("No text.")
        return super().parse(data, media_type)

    def chunk(self, elements: list[Element]) -> list[Chunk]:
        fault_point("lines.chunk")
        size = self.chunking.max_tokens // TOKENS_A_LINE
        groups = [elements[at : at + size] for at in range(0, len(elements), size)]
        return [Chunk(n, "\n".join(e.text for e in group), (SECTION,)) for n, group in enumerate(groups)]

    def mask(self, chunks: list[Chunk]) -> list[MaskedChunk]:
        fault_point("lines.mask")
        return super().mask(chunks)
