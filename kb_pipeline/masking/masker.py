"""Replace what is found, then look again: the only place where text becomes MaskedText."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from kb_pipeline import identity
from kb_pipeline.contracts import Chunk, MaskedChunk, MaskedText
from kb_pipeline.errors import MaskingIncomplete
from kb_pipeline.masking import gate
from kb_pipeline.masking.bootstrap import load_presidio
from kb_pipeline.masking.detectors import may_hold_any
from kb_pipeline.masking.folding import Folded, fold
from kb_pipeline.masking.spans import Finding, merge_overlaps, replace_spans

NAME_WITHHELD = MaskedText("(name withheld)")

_PATH_SEPARATOR = " > "
_REACH = 2
_DIGIT_LAST = re.compile(r"\d[ -]?\Z")
_DIGIT_FIRST = re.compile(r"[\dXx]")


def warm_up() -> None:
    """Load the analyzer now instead of with the first text (about a second of imports)."""
    load_presidio()
    from kb_pipeline.masking.recognizers import analyzer

    analyzer()


def mask_chunks(chunks: Sequence[Chunk], policy: Mapping[str, str], prefix_section_path: bool) -> list[MaskedChunk]:
    """Every chunk with what `policy` (entity -> "mask" or "keep") says to mask replaced by `<ENTITY>`.

    Section paths are masked with the text they stand before, so that a number across their border is seen too, and so
    is one that begins at the end of a chunk and ends in the next.
    Raises MaskingIncomplete, naming entities and counts only, when the result still holds detectable personal data.
    """
    entities = masked_entities(policy)
    apart = _mask_borders([chunk.text for chunk in chunks], entities)
    return [_mask_chunk(chunk, text, entities, prefix_section_path) for chunk, text in zip(chunks, apart, strict=True)]


def mask_text(text: str, policy: Mapping[str, str]) -> tuple[MaskedText, dict[str, int]]:
    """`text` masked, and how many spans were replaced, by entity. Raises MaskingIncomplete as mask_chunks does."""
    (masked,), counts = _mask_parts((text,), masked_entities(policy))
    return MaskedText(masked), dict(counts)


def mask_name(name: str, policy: Mapping[str, str]) -> MaskedText:
    """A file's name as people and logs are shown it. Never raises: a name must not cost more than itself."""
    try:
        return mask_text(name, policy)[0]
    except MaskingIncomplete:
        return NAME_WITHHELD


def find_personal_data(text: str, policy: Mapping[str, str]) -> dict[str, int]:
    """What is detectable in `text` of the entities that `policy` masks: by the recognizers, or by a cruder scan."""
    entities = masked_entities(policy)
    folded = fold(text)
    return dict(Counter(finding.entity for finding in _find(folded, entities)) | gate.scan(folded.text, entities))


def masked_entities(policy: Mapping[str, str]) -> tuple[str, ...]:
    """The entities that `policy` masks, in order."""
    return tuple(sorted(entity for entity, action in policy.items() if action == "mask"))


def _mask_borders(texts: list[str], entities: Sequence[str]) -> list[str]:
    """Texts of neighbouring chunks with numbers that cross from one into the next replaced on both sides."""
    for left, right in pairwise(range(len(texts))):
        if _DIGIT_LAST.search(texts[left][-_REACH:]) and _DIGIT_FIRST.match(texts[right]):
            pair, joints, border = (texts[left], texts[right]), ("\n", ""), len(texts[left])
            found = _find(fold(_join(pair, joints)), entities)
            crossing = [finding for finding in found if finding.start < border < finding.end]
            texts[left], texts[right] = replace_spans(pair, joints, crossing)
    return texts


def _mask_chunk(chunk: Chunk, text: str, entities: Sequence[str], prefix_section_path: bool) -> MaskedChunk:
    parts, counts = _mask_parts((*chunk.section_path, text), entities)
    *titles, content = parts
    path = _PATH_SEPARATOR.join(titles)
    embed_text = f"{path}\n{content}" if prefix_section_path and titles else content
    return MaskedChunk(
        ordinal=chunk.ordinal,
        content=MaskedText(content),
        embed_text=MaskedText(embed_text),
        text_hash=identity.text_hash(embed_text),
        section_path=tuple(MaskedText(title) for title in titles),
        page_start=chunk.page_start,
        page_end=chunk.page_end,
        boxes=chunk.boxes,
        language=chunk.language,
        tokens=chunk.tokens,
        masked=dict(counts),
    )


def _mask_parts(parts: Sequence[str], entities: Sequence[str]) -> tuple[tuple[str, ...], Counter[str]]:
    """Mask titles and the text under them; a span across a border is replaced on both sides of it.

    Taking one number out can free another that touched it, so this goes on until nothing is found. It ends: whatever is
    found holds a digit, a numeral, an @ or a colon, and no label does.
    """
    counts: Counter[str] = Counter()
    joints = [*(_PATH_SEPARATOR for _ in parts[2:]), *("\n" for _ in parts[1:2]), ""]
    folded = fold(_join(parts, joints))
    while found := _find(folded, entities):
        counts.update(finding.entity for finding in found)
        parts = replace_spans(parts, joints, found)
        folded = fold(_join(parts, joints))
    remaining = gate.scan(folded.text, entities)
    if remaining:
        raise _incomplete(remaining)
    return tuple(parts), counts


def _join(parts: Sequence[str], joints: Sequence[str]) -> str:
    return "".join(part + joint for part, joint in zip(parts, joints, strict=True))


def personal_data_in(text: str, entities: Collection[str]) -> list[Finding]:
    """What one look finds in `text`: places that do not overlap, in order."""
    return _find(fold(text), entities)


def _find(folded: Folded, entities: Collection[str]) -> list[Finding]:
    if not entities or not may_hold_any(folded.text):
        return []
    load_presidio()
    from kb_pipeline.masking.recognizers import analyze

    found = analyze(folded.text, tuple(entities))
    return merge_overlaps([Finding(entity, *folded.span(start, end)) for entity, start, end in found])


def _incomplete(remaining: Mapping[str, int]) -> MaskingIncomplete:
    named = ", ".join(f"{entity} ({count})" for entity, count in sorted(remaining.items()))
    return MaskingIncomplete(
        f"Masked text still holds what looks like personal data: {named}.",
        "Set the entity to keep in the source's masking policy if it is none, or report the pattern that was missed.",
    )
