"""What verifying speaks in: what must hold of a source, a check as data, and a problem that one found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from kb_pipeline.core.contracts import Stage, StageName
from kb_pipeline.store.published.spaces import Space

# How a problem is mended: by the name of what store.verify.repairs does, or not here.
Repair = Literal[
    "", "republish", "rework", "resettle", "withdraw", "words", "unvector", "revector", "relabel", "release", "hint",
    "relist", "reask", "erase", "register", "sweep",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Expected:
    """What holds for one source under the settings in force: its stages (publish if there is a `space`), and the key of
    all of them together. `removed`: it was removed, and nothing of it may be there."""

    source_system: str
    stages: Mapping[StageName, Stage]
    chain: str
    space: Space | None = None
    removed: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """One question to the database.

    `query` selects (document_id, name, can be mended, a, b) for each place where the invariant does not hold; the
    first two are null where no document is concerned. {document}, {live}, {publishable}, {table} and {unit_length} in
    it are put in by store.verify.asking. `says` puts a and b into words; `remedy` says what to do.
    """

    name: str
    invariant: int
    query: str
    says: str
    remedy: str
    repair: Repair = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that does not hold. `document` is the masked name (or the id) of the one concerned, if any; `detail`
    says what is where, how many, and what to do. `repairable`: `kb verify --repair` mends it, or lets the next sync."""

    check: str
    source_system: str
    document: str
    detail: str
    repairable: bool
    document_id: str = ""
    repair: Repair = ""
    items: tuple[str, ...] = field(default=(), repr=False)
