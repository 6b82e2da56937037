"""Sections become chunks: blocks are packed up to the size limit, and what is longer than that is cut first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kb_pipeline.chunking.sections import SEPARATOR_TOKENS, Block, Section, build_sections, merge_small
from kb_pipeline.chunking.splitting import sentences, split_table, split_text
from kb_pipeline.chunking.tokens import count_each, counting_with
from kb_pipeline.chunking.vocabulary import Vocabulary
from kb_pipeline.core.contracts import Chunk, Element
from kb_pipeline.settings import ChunkingSettings

# The heading path may take this share of a chunk, so that text always has the larger part.
_PATH_SHARE = 3
# And what is repeated from the chunk before this one.
_REPEATED_SHARE = 3
_WHOLE = ("table", "code")


@dataclass(frozen=True, slots=True)
class _Piece:
    """Part of one element. `glue` stands before it when the piece before it is in the same chunk."""

    text: str
    tokens: int
    glue: str
    element: Element

    @property
    def cost(self) -> int:
        return self.tokens + (SEPARATOR_TOKENS if self.glue else 0)


def chunk(elements: Sequence[Element], settings: ChunkingSettings) -> list[Chunk]:
    """Passages of one document in reading order, ordinals from 0.

    No chunk costs more than `settings.max_tokens` by the estimate, or by the tokenizer that `settings.tokenizer` names,
    the heading path that masking puts before the text sent to the model included (`settings.prefix_section_path`);
    `Chunk.tokens` counts the same text. Only white space is lost; what is said twice is the first row of a table that
    is cut, and `settings.overlap_sentences` where a section is.
    """
    if not settings.tokenizer:
        return _chunks(elements, settings)
    with counting_with(Vocabulary(settings.tokenizer)):
        return _chunks(elements, settings)


def _chunks(elements: Sequence[Element], settings: ChunkingSettings) -> list[Chunk]:
    cap = settings.max_tokens // _PATH_SHARE if settings.prefix_section_path else None
    sections = merge_small(build_sections(elements, cap), settings.min_tokens, settings.max_tokens)
    groups = [(section, group) for section in sections for group in _groups(section, settings) if _join(group)]
    texts = [_join(group) for _, group in groups]
    sent = [_as_sent(section, text, settings) for (section, _), text in zip(groups, texts, strict=True)]
    return [
        _chunk(ordinal, section, group, text, tokens)
        for ordinal, ((section, group), text, tokens) in enumerate(zip(groups, texts, count_each(sent), strict=True))
    ]


def _as_sent(section: Section, text: str, settings: ChunkingSettings) -> str:
    titles = section.path.titles
    return f"{' > '.join(titles)}\n{text}" if settings.prefix_section_path and titles else text


def _groups(section: Section, settings: ChunkingSettings) -> list[list[_Piece]]:
    """The pieces of each chunk of a section. A short last chunk takes pieces from the one before it."""
    budget = settings.max_tokens - (section.path.tokens if settings.prefix_section_path else 0)
    groups: list[list[_Piece]] = []
    used = 0
    for block in section.blocks:
        for piece in _pieces(block, budget):
            if not groups or used + piece.cost > budget:
                groups.append(_repeated(groups, piece, budget, settings.overlap_sentences))
                used = _cost(groups[-1])
            groups[-1].append(piece)
            used += piece.cost
    if len(groups) > 1:
        _fill_last(groups[-2], groups[-1], settings.min_tokens)
    return groups


def _repeated(groups: list[list[_Piece]], piece: _Piece, budget: int, wanted: int) -> list[_Piece]:
    """The last sentences of the chunk before, for the beginning of the next, as far as there is room. Of tables and
    code nothing is repeated."""
    if not (wanted and groups) or piece.element.kind in _WHOLE or groups[-1][-1].element.kind in _WHOLE:
        return []
    before = groups[-1][-1]
    last = sentences(before.text)[-wanted:]
    while last:
        text = "".join(last)
        tokens = count_each([text])[0]
        if tokens <= budget // _REPEATED_SHARE and tokens + SEPARATOR_TOKENS + piece.cost <= budget:
            return [_Piece(text, tokens, "\n", before.element)]
        last = last[1:]
    return []


def _fill_last(before: list[_Piece], last: list[_Piece], min_tokens: int) -> None:
    left, right = _cost(before), _cost(last)
    while right < min_tokens and len(before) > 1 and left - before[-1].cost >= max(min_tokens, right + before[-1].cost):
        piece = before.pop()
        last.insert(0, piece)
        left, right = left - piece.cost, right + piece.cost


def _cost(group: list[_Piece]) -> int:
    return sum(piece.cost for piece in group)


def _pieces(block: Block, budget: int) -> Iterator[_Piece]:
    element = block.element
    room = budget - SEPARATOR_TOKENS
    if block.tokens <= room:
        yield _Piece(element.text, block.tokens, "\n", element)
        return
    table = element.kind == "table"
    parts = split_table(element.text, room) if table else split_text(element.text, room)
    for number, (part, tokens) in enumerate(parts):
        yield _Piece(part, tokens, "\n" if table or number == 0 else "", element)


def _join(group: list[_Piece]) -> str:
    return "".join(piece.glue + piece.text for piece in group).strip()


def _chunk(ordinal: int, section: Section, group: list[_Piece], text: str, tokens: int) -> Chunk:
    elements = [piece.element for piece in group]
    pages = [element.page for element in elements if element.page is not None]
    return Chunk(
        ordinal=ordinal,
        text=text,
        section_path=section.path.titles,
        page_start=min(pages, default=None),
        page_end=max(pages, default=None),
        boxes=tuple(dict.fromkeys(element.box for element in elements if element.box is not None)),
        language=_language(group),
        tokens=tokens,
    )


def _language(group: list[_Piece]) -> str:
    """The language of most of the characters; "und" where no element says."""
    spoken = {piece.element.language for piece in group}
    if len(spoken) == 1:
        return spoken.pop() or "und"
    weights: Counter[str] = Counter()
    for piece in group:
        if piece.element.language:
            weights[piece.element.language] += len(piece.text)
    return weights.most_common(1)[0][0] if weights else "und"
