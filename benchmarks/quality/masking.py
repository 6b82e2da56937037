"""What masking finds: recall and precision by entity on labelled texts, beside Presidio's own recognizers.

A labelled span is found when what is replaced covers all of it, whatever it was taken for: then it does not leak. A
finding is right when it touches a labelled span; on texts that are labelled for everything of its kind.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from benchmarks.presidio_defaults import presidio_defaults
from benchmarks.quality.truth import CORPUS
from kb_pipeline.auditing.personal_data import MAKERS, negatives, sentences
from kb_pipeline.masking import show_masking
from kb_pipeline.settings import ENTITIES, MaskingPolicy

# Labels of each set that stand for something with a shape of its own, and what we and Presidio call it.
IN_SCOPE: Mapping[str, Mapping[str, str]] = {
    "presidio_research_generated_large": {
        "CREDIT_CARD": "BANK_CARD",
        **{same: same for same in ("PHONE_NUMBER", "EMAIL_ADDRESS", "IP_ADDRESS", "IBAN_CODE", "US_SSN")},
    },
    "presidio_analyzer_tests_en": {same: same for same in ("EMAIL_ADDRESS", "IP_ADDRESS", "MAC_ADDRESS", "US_SSN")},
}
# Sets whose texts are labelled for everything in scope, so that what is found beside the labels is wrong.
FULLY_LABELLED = ("presidio_research_generated_large", "generated, Chinese")
GENERATED, SEED, EACH = "generated, Chinese", 2026, 400
PRESIDIO_NAMES = {"BANK_CARD": "CREDIT_CARD"}

Span = tuple[str, int, int]
Find = Callable[[str], Sequence[Span]]


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text and what stands in it, by our names; `others` are labelled spans that are not in scope."""

    text: str
    spans: Sequence[Span]
    others: Sequence[Span] = ()


@dataclass(slots=True)
class Tally:
    """Of one entity: labelled spans, those found, findings, those that are right."""

    labelled: int = 0
    found: int = 0
    findings: int = 0
    right: int = 0

    @property
    def recall(self) -> float:
        return self.found / self.labelled if self.labelled else float("nan")

    @property
    def precision(self) -> float:
        return self.right / self.findings if self.findings else float("nan")


@dataclass(frozen=True, slots=True)
class Row:
    """One entity in one set: ours and Presidio's. Precision only where `fully_labelled`."""

    texts: str
    entity: str
    ours: Tally
    theirs: Tally
    fully_labelled: bool = field(default=True)


def rows() -> list[Row]:
    """A row for every set and entity in scope."""
    policy = MaskingPolicy(dict.fromkeys(ENTITIES, "mask"))
    analyze = presidio_defaults()

    def ours(text: str) -> list[Span]:
        return [(span.label, span.start, span.end) for span in show_masking(text, policy).spans]

    def theirs(text: str) -> list[Span]:
        return [(result.entity_type, result.start, result.end) for result in analyze(text)]

    told = []
    for name, texts in labelled_sets():
        entities = sorted({entity for text in texts for entity, _, _ in text.spans})
        mine, other = tally(texts, ours, {}), tally(texts, theirs, PRESIDIO_NAMES)
        told += [Row(name, e, mine[e], other[e], name in FULLY_LABELLED) for e in entities]
    return told


def labelled_sets() -> Iterator[tuple[str, list[Labelled]]]:
    """The sets by name, each with its texts."""
    for name, scope in IN_SCOPE.items():
        lines = (CORPUS / "pii" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        yield name, [_labelled(json.loads(line), scope) for line in lines]
    made = chain(sentences(SEED, EACH), negatives(SEED, EACH))
    yield GENERATED, [Labelled(sentence.text, sentence.spans) for sentence in made]


def _labelled(line: Mapping[str, object], scope: Mapping[str, str]) -> Labelled:
    spans: list[tuple[str, int, int]] = [(s["label"], s["start"], s["end"]) for s in line["spans"]]  # type: ignore
    inside = [(scope[label], start, end) for label, start, end in spans if label in scope]
    return Labelled(str(line["text"]), inside, [span for span in spans if span[0] not in scope])


def tally(texts: Iterable[Labelled], find: Find, names: Mapping[str, str]) -> Mapping[str, Tally]:
    """Counts by entity. `names`: what `find` calls an entity, if otherwise than we do."""
    entities = {names.get(entity, entity): entity for entity in MAKERS}
    tallies: dict[str, Tally] = {entity: Tally() for entity in MAKERS}
    for text in texts:
        findings = list(find(text.text))
        covered = {place for _, start, end in findings for place in range(start, end)}
        for entity, start, end in text.spans:
            tallies[entity].labelled += 1
            tallies[entity].found += covered.issuperset(range(start, end))
        labels = [*text.spans, *text.others]
        for called, start, end in findings:
            if called in entities:
                tallies[entities[called]].findings += 1
                tallies[entities[called]].right += any(a < end and start < b for _, a, b in labels)
    return tallies
