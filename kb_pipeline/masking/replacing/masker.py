"""Replace what is found, then look again: the only place where text becomes MaskedText."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise

from kb_pipeline.core import identity
from kb_pipeline.core.contracts import Chunk, MaskedChunk, MaskedText
from kb_pipeline.core.errors import MaskingIncomplete
from kb_pipeline.masking.bootstrap import load_presidio
from kb_pipeline.masking.finding.folding import fold
from kb_pipeline.masking.finding.spans import Finding, merge_overlaps
from kb_pipeline.masking.models.named_entities import find_named
from kb_pipeline.masking.replacing import gate
from kb_pipeline.masking.replacing.redacting import TAKEN, find_all, find_once, replace_spans
from kb_pipeline.masking.replacing.replacing import replacement
from kb_pipeline.settings.policy import ENTITIES, MaskingPolicy

NAME_WITHHELD = MaskedText("(name withheld)")

_PATH_SEPARATOR = " > "
_REACH = 2
_DIGIT_LAST = re.compile(r"\d[ -]?\Z")
_DIGIT_FIRST = re.compile(r"[\dXx]")

# Findings that are known before a text is looked at, with what they stand for as a whole.
Known = Mapping[Finding, str]


def warm_up() -> None:
    """Load the analyzer now instead of with the first text (about a second of imports)."""
    load_presidio()
    from kb_pipeline.masking.finding.recognizers import analyzer

    analyzer()


def mask_chunks(chunks: Sequence[Chunk], policy: MaskingPolicy, prefix_section_path: bool) -> list[MaskedChunk]:
    """Every chunk with what `policy` does not keep replaced as it says.

    Section paths are masked with the text they stand before, so that a number across their border is seen too, and so
    is one that begins at the end of a chunk and ends in the next.
    Raises MaskingIncomplete, naming entities and counts only, when the result still holds detectable personal data.
    """
    crossing = _crossing_borders([chunk.text for chunk in chunks], policy)
    return [
        _mask_chunk(chunk, known, policy, prefix_section_path) for chunk, known in zip(chunks, crossing, strict=True)
    ]


def mask_text(text: str, policy: MaskingPolicy) -> tuple[MaskedText, dict[str, int]]:
    """`text` masked, and how many spans were replaced, by entity. Raises MaskingIncomplete as mask_chunks does."""
    (masked,), counts = _mask_parts((text,), policy)
    return MaskedText(masked), dict(counts)


def mask_name(name: str, policy: MaskingPolicy) -> MaskedText:
    """A file's name as people and logs are shown it. Never raises: a name must not cost more than itself."""
    try:
        return mask_text(name, policy)[0]
    except MaskingIncomplete:
        return NAME_WITHHELD


def spans_of(text: str, policy: MaskingPolicy) -> Sequence[Finding]:
    """The places of `text` that `policy` replaces. Raises MaskingIncomplete as mask_chunks does."""
    found = find_all(text, policy.entities, seen=find_named(text, policy))
    _check(found.rest, policy)
    return found.findings


def find_personal_data(masked: str, policy: MaskingPolicy) -> dict[str, int]:
    """What is detectable in a masked text of the entities that `policy` replaces: by the recognizers, or by a cruder
    scan, not by models, which guess anew from every text. What `policy` itself puts in is left out."""
    rest = fold(_tokens_of(policy.shown_labels).sub(TAKEN, masked))
    found = Counter(finding.entity for finding in find_once(rest, policy.entities))
    return dict(found | gate.scan(rest.text, policy.entities))


@cache
def _tokens_of(labels: tuple[str, ...]) -> re.Pattern[str]:
    hexadecimal = f"[0-9a-f]{{{2 * identity.PSEUDONYM_BYTES}}}"
    own = "".join(f"|{re.escape(label)}" for label in labels)
    return re.compile(f"<(?:{'|'.join(ENTITIES)})(?:_{hexadecimal})?>{own}")


def _crossing_borders(texts: Sequence[str], policy: MaskingPolicy) -> list[Known]:
    """For each of neighbouring texts, the parts in it of numbers that cross from one into the next."""
    known: list[dict[Finding, str]] = [{} for _ in texts]
    for left, right in pairwise(range(len(texts))):
        if not (_DIGIT_LAST.search(texts[left][-_REACH:]) and _DIGIT_FIRST.match(texts[right])):
            continue
        border, both = len(texts[left]), f"{texts[left]}\n{texts[right]}"
        for entity, start, end in find_all(both, policy.entities).findings:
            if start < border < end:
                known[left][Finding(entity, start, border)] = both[start:end]
                known[right][Finding(entity, 0, end - border - 1)] = both[start:end]
    return [dict(sorted(of_one.items(), key=lambda item: item[0].start)) for of_one in known]


def _mask_chunk(chunk: Chunk, known: Known, policy: MaskingPolicy, prefix_section_path: bool) -> MaskedChunk:
    parts, counts = _mask_parts((*chunk.section_path, chunk.text), policy, known)
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


def _mask_parts(
    parts: Sequence[str], policy: MaskingPolicy, known: Known | None = None
) -> tuple[tuple[str, ...], Counter[str]]:
    """Mask titles and the text under them (the last part, where `known` findings stand); a span across a border is
    replaced on both sides of it."""
    joints = [*(_PATH_SEPARATOR for _ in parts[2:]), *("\n" for _ in parts[1:2]), ""]
    text = "".join(part + joint for part, joint in zip(parts, joints, strict=True))
    begins = [0, *accumulate(len(part) + len(joint) for part, joint in zip(parts, joints, strict=True))][:-1]
    values = {_moved(finding, begins[-1]): value for finding, value in (known or {}).items()}
    found = find_all(text, policy.entities, merge_overlaps(list(values)), find_named(text, policy))
    _check(found.rest, policy)
    if not found.findings:
        return tuple(parts), Counter()

    def shown(finding: Finding) -> str:
        return replacement(finding.entity, values.get(finding, text[finding.start : finding.end]), policy)

    instead = {finding: shown(finding) for finding in found.findings}
    masked = []
    for begin, part in zip(begins, parts, strict=True):
        within = {_moved(f, -begin).within(len(part)): instead[f] for f in found.findings}
        masked.append(replace_spans(part, [f for f in within if f.start < f.end], within.__getitem__))
    return tuple(masked), Counter(finding.entity for finding in found.findings)


def _moved(finding: Finding, by: int) -> Finding:
    return Finding(finding.entity, finding.start + by, finding.end + by)


def _check(rest: str, policy: MaskingPolicy) -> None:
    remaining = gate.scan(rest, policy.entities)
    if remaining:
        named = ", ".join(f"{entity} ({count})" for entity, count in sorted(remaining.items()))
        raise MaskingIncomplete(
            f"Masked text still holds what looks like personal data: {named}.",
            "Set the entity to keep in the source's masking policy if it is none, or report the pattern that was"
            " missed.",
        )
