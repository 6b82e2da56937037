"""Whether chunks stand under the headings that a reader sees above them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.quality.heading_labels import OF_DOCUMENTS, OF_TEXTS
from benchmarks.quality.scoring import comparable
from benchmarks.quality.truth import CORPUS, renderings
from kb_pipeline.chunking import chunk
from kb_pipeline.core.contracts import Chunk
from kb_pipeline.core.errors import KbError
from kb_pipeline.core.media_type import HEAD_BYTES, detect
from kb_pipeline.parsing import parse
from kb_pipeline.settings import ChunkingSettings

# Marks in plain text, and slides, have no headings of the text they were made from.
NO_HEADINGS = ("txt", "pptx")


@dataclass(frozen=True, slots=True)
class Judged:
    """One passage: what it stands under, and what it was put under (None: it was not found)."""

    document: str
    passage: str
    wanted: str
    got: str | None

    @property
    def right(self) -> bool:
        """Whether both are the same, however they are spelled."""
        return self.got is not None and comparable(self.got) == comparable(self.wanted)


def judged() -> Iterator[Judged]:
    """Every labelled passage of every labelled document."""
    for rendering in renderings():
        if rendering.format not in NO_HEADINGS:
            name = next(name for name in OF_TEXTS if name in rendering.path.name)
            seen = comparable(rendering.truth)
            # The Word files begin with their own name in the style Title.
            above = f"{name} > " if rendering.format == "docx" else ""
            labels = {p: f"{above}{path}" for p, path in OF_TEXTS[name].items() if comparable(p) in seen}
            yield from _judge(rendering.path, labels)
    for path, told in OF_DOCUMENTS.items():
        yield from _judge(CORPUS / "docs" / path, told)


def _judge(path: Path, labels: Mapping[str, str]) -> Iterator[Judged]:
    chunks = [(comparable(one.text), " > ".join(one.section_path)) for one in _chunks(path)]
    for passage, wanted in labels.items():
        got = next((under for text, under in chunks if comparable(passage) in text), None)
        yield Judged(path.name, passage, wanted, got)


def _chunks(path: Path) -> list[Chunk]:
    data = path.read_bytes()
    try:
        return chunk(parse(data, detect(data[:HEAD_BYTES], path.name)), ChunkingSettings(prefix_section_path=False))
    except KbError:
        return []
