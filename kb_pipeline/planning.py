"""Decisions as pure functions over plain data: what changed, and which work is left once artifacts are reused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from kb_pipeline.contracts import ArtifactRef, Outcome, Task

Change = Literal["added", "changed", "touched", "reappeared"]


def change_of(known_hash: str | None, deleted: bool, content_hash: str) -> Change:
    """What reading an object's bytes says about its document. `touched` is a new ETag on the same bytes."""
    if known_hash is None:
        return "added"
    if deleted:
        return "reappeared"
    return "touched" if known_hash == content_hash else "changed"


class Known(Protocol):
    """An artifact that exists (store.ledger.KnownArtifact)."""

    @property
    def ref(self) -> ArtifactRef: ...
    @property
    def output_hash(self) -> str: ...
    @property
    def rows(self) -> int: ...
    @property
    def stats(self) -> Mapping[str, int]: ...


@dataclass(frozen=True, slots=True)
class BatchPlan:
    """`reuse` needs no work; `compute` holds one task a fingerprint; `copies` are documents that share its result."""

    reuse: list[Outcome]
    compute: list[Task]
    copies: Mapping[str, list[Task]]


def plan_batch(tasks: Iterable[Task], known: Mapping[str, Known]) -> BatchPlan:
    """Equal input through an equal stage is done once, whatever the number of documents that hold it."""
    reuse: list[Outcome] = []
    first: dict[str, Task] = {}
    copies: dict[str, list[Task]] = {}
    for task in tasks:
        artifact = known.get(task.fingerprint)
        if artifact:
            reuse.append(
                Outcome(task, "ok", artifact.ref, artifact.output_hash, artifact.rows, stats=dict(artifact.stats))
            )
        elif task.fingerprint in first:
            copies.setdefault(task.fingerprint, []).append(task)
        else:
            first[task.fingerprint] = task
    return BatchPlan(reuse, list(first.values()), copies)
