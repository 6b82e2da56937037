"""A document's elements as sections: what stands under one heading path, in reading order.

Every heading is said in full once at least: in a section's path or, where no path has room or no text follows
it, as text of the next section.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from kb_pipeline.chunking.splitting import shorten
from kb_pipeline.chunking.tokens import count_each
from kb_pipeline.core.contracts import Element

SEPARATOR_TOKENS = 1
_SHORTEST_PREFIX = 4


@dataclass(frozen=True, slots=True)
class Block:
    """An element that has text, measured."""

    element: Element
    tokens: int


@dataclass(slots=True, eq=False)
class _Heading:
    block: Block
    level: int
    title: str
    said: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """Headings from the outermost in, as far as they fit, and what the line " > ".join(titles) costs in tokens."""

    titles: tuple[str, ...] = ()
    tokens: int = 0


@dataclass(slots=True)
class Section:
    """Blocks under one path. `siblings` is equal for sections under the same parent heading; `heading` is the section's
    own, None before the first heading of a document; `lead` counts the blocks that came before it."""

    path: Path
    parent: Path = field(default_factory=Path)
    siblings: tuple[int, ...] = ()
    heading: Block | None = None
    lead: int = 0
    blocks: list[Block] = field(default_factory=list)

    @property
    def tokens(self) -> int:
        return sum(block.tokens + SEPARATOR_TOKENS for block in self.blocks)


def build_sections(elements: Sequence[Element], path_tokens: int | None) -> list[Section]:
    """Sections with text, in order. `path_tokens` bounds what a path may cost; None: no bound."""
    builder = _Builder(path_tokens)
    for block in _measured(elements):
        builder.add(block)
    return builder.finish()


def _measured(elements: Sequence[Element]) -> list[Block]:
    kept = [
        element if text == element.text else replace(element, text=text)
        for element in elements
        if (text := element.text.strip())
    ]
    return [Block(*pair) for pair in zip(kept, count_each([element.text for element in kept]), strict=True)]


class _Builder:
    """The heading stack while a document is read. `waiting` holds headings that ended with no text under them."""

    def __init__(self, path_tokens: int | None) -> None:
        self.path_tokens = path_tokens
        self.stack: list[_Heading] = []
        self.waiting: list[_Heading] = []
        self.sections: list[Section] = []
        self.open = False

    def add(self, block: Block) -> None:
        if block.element.kind == "title":
            self._enter(_Heading(block, block.element.level or 1, " ".join(block.element.text.split())))
            return
        if not self.open:
            self.sections.append(self._begin())
            self.open = True
        self.sections[-1].blocks.append(block)

    def finish(self) -> list[Section]:
        """Headings at the end that no text follows stand as text under the last heading that was said."""
        unsaid = [heading for heading in self.stack if not heading.said]
        if self.waiting or unsaid:
            said = [heading for heading in self.stack if heading.said]
            rest = [heading.block for heading in (*self.waiting, *unsaid)]
            self.sections.append(Section(self._path(said)[0], blocks=rest))
        return self.sections

    def _enter(self, heading: _Heading) -> None:
        keep = len(self.stack)
        while keep and self.stack[keep - 1].level >= heading.level:
            keep -= 1
        self.waiting += [left for left in self.stack[keep:] if not left.said]
        self.stack[keep:] = [heading]
        self.open = False

    def _begin(self) -> Section:
        path, shown = self._path(self.stack)
        for heading in shown:
            heading.said = True
        unsaid = [heading for heading in self.stack if not heading.said]
        lead = len(self.waiting)
        section = Section(path, lead=lead, blocks=[heading.block for heading in (*self.waiting, *unsaid)])
        self.waiting = []
        if self.stack and self.stack[-1] not in unsaid:
            section.parent = self._path(self.stack[:-1])[0]
            section.siblings = tuple(id(heading) for heading in self.stack[:-1])
            section.heading = self.stack[-1].block
        for heading in unsaid:
            heading.said = True
        return section

    def _path(self, headings: list[_Heading]) -> tuple[Path, list[_Heading]]:
        """The innermost headings that fit, and which of them are there in full. A single one too long is shortened."""
        kept = list(headings)
        tokens = sum([heading.block.tokens + SEPARATOR_TOKENS for heading in kept])
        if self.path_tokens is None:
            return Path(tuple([heading.title for heading in kept]), tokens), kept
        while len(kept) > 1 and tokens > self.path_tokens:
            tokens -= kept.pop(0).block.tokens + SEPARATOR_TOKENS
        if tokens <= self.path_tokens:
            return Path(tuple([heading.title for heading in kept]), tokens), kept
        room = self.path_tokens - 2 * SEPARATOR_TOKENS
        if room < _SHORTEST_PREFIX:
            return Path(), []
        return Path((shorten(kept[0].title, room) + "…",), self.path_tokens), []


def merge_small(sections: list[Section], min_tokens: int, max_tokens: int) -> list[Section]:
    """Join runs of neighbouring sections that are each under `min_tokens` and stand under the same parent.

    Their headings become text under the parent's path. A small section with no such neighbour stays as it is.
    """
    merged: list[Section] = []
    run: list[Section] = []
    for section in sections:
        if run and _joins(run, section, min_tokens, max_tokens):
            run.append(section)
        else:
            merged += _close(run)
            run = [section]
    return merged + _close(run)


def _joins(run: list[Section], section: Section, min_tokens: int, max_tokens: int) -> bool:
    first = run[-1]
    if first.heading is None or section.heading is None or first.siblings != section.siblings:
        return False
    if first.tokens >= min_tokens or section.tokens >= min_tokens:
        return False
    return section.parent.tokens + sum(_with_heading(part) for part in (*run, section)) <= max_tokens


def _with_heading(section: Section) -> int:
    return section.tokens + (section.heading.tokens + SEPARATOR_TOKENS if section.heading else 0)


def _close(run: list[Section]) -> list[Section]:
    if len(run) < 2:
        return run
    blocks = [block for part in run for block in _heading_as_text(part)]
    return [Section(run[0].parent, blocks=blocks)]


def _heading_as_text(section: Section) -> list[Block]:
    heading = [section.heading] if section.heading else []
    return [*section.blocks[: section.lead], *heading, *section.blocks[section.lead :]]
