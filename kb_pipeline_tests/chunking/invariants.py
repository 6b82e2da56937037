"""What holds for the chunks of any elements, however they are cut."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kb_pipeline.core.contracts import Chunk, Element
from kb_pipeline.settings import ChunkingSettings


def ink(texts: Iterable[str]) -> str:
    """What is left without white space."""
    return "".join("".join(texts).split())


def sent(of: Chunk, settings: ChunkingSettings) -> str:
    """What the model gets of a chunk."""
    path = " > ".join(of.section_path)
    return f"{path}\n{of.text}" if settings.prefix_section_path and path else of.text


def body_comes_in_order(elements: Sequence[Element], chunks: Sequence[Chunk]) -> bool:
    """Whether every character of the bodies stands in the chunks, in order; more may stand between."""
    letters = iter(ink(chunk.text for chunk in chunks))
    return all(letter in letters for letter in ink(e.text for e in elements if e.kind != "title"))


def every_heading_stands_somewhere(elements: Sequence[Element], chunks: Sequence[Chunk]) -> bool:
    """Whether each is said in full, in a path or in a text."""
    somewhere = {ink([title]) for chunk in chunks for title in chunk.section_path}
    text = ink(chunk.text for chunk in chunks)
    return all(ink([e.text]) in somewhere or ink([e.text]) in text for e in elements if e.kind == "title")
