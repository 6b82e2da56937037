"""Documents that are planted to see whether anything in them gets through: personal data of nobody, made from a seed by
formulas of its own (personal_data.py), so that what the recognizers do not know is missed by both of them but not here.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from email.message import EmailMessage
from html import escape

from kb_pipeline.auditing.personal_data import Sentence, sentences

# Their values are long and strange enough that they stand nowhere by chance.
TELLING = (
    *("CN_RESIDENT_ID", "CN_CREDIT_CODE", "BANK_CARD", "IBAN_CODE", "PHONE_NUMBER", "EMAIL_ADDRESS", "MAC_ADDRESS"),
    *("US_SSN", "PASSPORT", "SECRET"),
)
EACH = 6
_BETWEEN_GROUPS = re.compile(r"[\s·-]")


@dataclass(frozen=True, slots=True)
class Canaries:
    """`documents` by key; `values` are what must be nowhere else, each with its entity."""

    documents: Mapping[str, bytes]
    values: Mapping[str, str]

    def found_in(self, text: str) -> dict[str, int]:
        """How many of the values stand in `text`, by entity: as they were written, or without blanks and hyphens."""
        squeezed = _BETWEEN_GROUPS.sub("", text)
        found: dict[str, int] = {}
        for value, entity in self.values.items():
            if value in text or _BETWEEN_GROUPS.sub("", value) in squeezed:
                found[entity] = found.get(entity, 0) + 1
        return found


def canaries(seed: int, masked: Collection[str]) -> Canaries:
    """A document of each kind of text, with sentences that hold every entity of `masked`."""
    made = [
        sentence
        for sentence in sentences(seed, EACH)
        if sentence.spans[0][0] in masked and sentence.spans[0][0] in TELLING
    ]
    kinds = {"md": _markdown, "txt": _plain, "html": _html, "csv": _csv, "json": _json, "eml": _mail}
    parts = {kind: made[place :: len(kinds)] for place, kind in enumerate(kinds)}
    values = {sentence.text[start:end]: entity for sentence in made for entity, start, end in sentence.spans}
    documents = {f"canaries.{kind}": kinds[kind](part).encode() for kind, part in parts.items()}
    return Canaries(documents, values)


def _plain(part: Collection[Sentence]) -> str:
    return "\n\n".join(sentence.text for sentence in part)


def _markdown(part: Collection[Sentence]) -> str:
    first, *rest = part
    rows = "\n".join(f"| {n} | {sentence.text} |" for n, sentence in enumerate(rest))
    return f"# {first.text}\n\n{_plain(rest)}\n\n| | |\n|---|---|\n{rows}\n"


def _html(part: Collection[Sentence]) -> str:
    paragraphs = "".join(f"<p>{escape(sentence.text)}</p>" for sentence in part)
    return f"<!DOCTYPE html><html><head><meta charset='utf-8'></head><body>{paragraphs}</body></html>"


def _csv(part: Collection[Sentence]) -> str:
    file = io.StringIO()
    csv.writer(file).writerows([[str(n), sentence.text] for n, sentence in enumerate(part)])
    return file.getvalue()


def _json(part: Collection[Sentence]) -> str:
    return json.dumps([{"n": n, "text": sentence.text} for n, sentence in enumerate(part)], ensure_ascii=False)


def _mail(part: Collection[Sentence]) -> str:
    first, *rest = part
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = first.text, "a@example.com", "b@example.com"
    message.set_content(_plain(rest))
    return message.as_string()
