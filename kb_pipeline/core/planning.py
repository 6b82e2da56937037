"""Decisions as pure functions over plain data: what changed, when deletes must wait, when to try again, and which work
is left once artifacts are reused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from kb_pipeline.core.contracts import ArtifactRef, Outcome, Task

Change = Literal["added", "changed", "touched", "moved", "copied", "deleted", "reappeared", "regrouped"]

FIRST_PAUSE_SECONDS = 30.0
LONGEST_PAUSE_SECONDS = 3600.0


def change_of(
    known_hash: str | None, deleted: bool, content_hash: str, elsewhere: Literal["", "live", "gone"]
) -> Change:
    """What reading an object's bytes says about its document.

    `known_hash` is the version the ledger has (None: no such document yet) and `deleted` whether it was deleted.
    `elsewhere` says whether another document of the source holds the same bytes: one that its listing lacks now
    ("gone": this is a move) or one that stays ("live": a copy). `touched` is a new ETag or time on the same bytes.
    """
    if known_hash is None:
        return {"": "added", "live": "copied", "gone": "moved"}[elsewhere]  # type: ignore[return-value]
    if deleted:
        return "moved" if elsewhere == "gone" else "reappeared"
    return "touched" if known_hash == content_hash else "changed"


@dataclass(frozen=True, slots=True)
class Deletes:
    """Documents that the source lacks. `moved` ones of `gone` live on under another key; `live` were there before, with
    `added` ones that came since."""

    gone: int
    moved: int
    live: int
    added: int = 0

    @property
    def lost(self) -> int:
        """Documents whose content would be gone from the source."""
        return self.gone - self.moved


def must_brake(deletes: Deletes, share: float, least: int) -> bool:
    """Whether deletes wait for someone's word: everything is gone (an empty listing), or more than `share` of the live
    documents and at least `least` are lost. Moves are no loss."""
    if not deletes.lost:
        return False
    if deletes.gone >= deletes.live + deletes.added:
        return True
    return deletes.lost >= least and deletes.lost > share * deletes.live


def pause_seconds(attempts: int, jitter: float, first: float = FIRST_PAUSE_SECONDS) -> float:
    """How long to wait after the `attempts`-th failure: doubled each time up to an hour, and spread by `jitter` (0 to
    1) over its upper half, so that what failed together does not come back together."""
    pause = min(first * 2.0 ** min(attempts - 1, 32), LONGEST_PAUSE_SECONDS)
    return pause * (0.5 + 0.5 * jitter)


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
