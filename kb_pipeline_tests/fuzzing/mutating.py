"""Which mutations suit a document, by its first bytes and its name, and a document after some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from kb_pipeline.core import media_type as types
from kb_pipeline_tests.fuzzing.binaries import OLE, PICTURE
from kb_pipeline_tests.fuzzing.mails import MAIL, attached
from kb_pipeline_tests.fuzzing.markup import LINES, TAGS
from kb_pipeline_tests.fuzzing.octets import ANY, Mutation, bounded, spliced
from kb_pipeline_tests.fuzzing.packages import PACKAGE, PACKAGE_WEIGHTS
from kb_pipeline_tests.fuzzing.pdfs import PDF
from kb_pipeline_tests.fuzzing.words import TEXT

_TAGGED = (types.HTML, types.XML, types.MARKDOWN)
# Shares of the mutations that know nothing of the format.
_BLIND, _OF_TWO = 0.2, 0.06


def suited(data: bytes, key: str) -> tuple[Mapping[str, Mutation], Sequence[int] | None]:
    """Mutations by name that know the format, and their weights; None where they are alike."""
    if data.startswith(b"PK\x03\x04"):
        return PACKAGE, PACKAGE_WEIGHTS
    found = types.detect(data[: types.HEAD_BYTES], key)
    if found == types.PDF:
        return PDF, None
    if found.startswith("image/"):
        return PICTURE, None
    if data.startswith(b"\xd0\xcf\x11\xe0"):
        return OLE, None
    if found == types.EML:
        return {**MAIL, **TEXT, **TAGS}, (10,) * len(MAIL) + (6,) * len(TEXT) + (3,) * len(TAGS)
    if found in _TAGGED:
        return {**TAGS, **TEXT, **LINES}, None
    return {**LINES, **TEXT}, None


def mutated(data: bytes, key: str, other: Callable[[], bytes], chosen: Random) -> tuple[bytes, tuple[str, ...]]:
    """`data` after one mutation or several, with their names. `other` gives another document, to take parts of."""
    names = []
    for _ in range(chosen.choice((1, 1, 2, 3, 5))):
        # Packages that are damaged blindly cannot be opened: little is learned.
        kind = chosen.random() * (8 if data.startswith(b"PK") else 1)
        if kind < _OF_TWO:
            of_two = chosen.choice((spliced, attached))
            data = of_two(data, chosen, other())
            names.append(of_two.__name__)
            continue
        among, weights = (ANY, None) if kind < _OF_TWO + _BLIND else suited(data, key)
        (name,) = chosen.choices(list(among), weights)
        data = among[name](data, chosen)
        names.append(name)
    return bounded(data), tuple(names)
