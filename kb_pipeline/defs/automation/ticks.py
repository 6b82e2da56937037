"""What a tick decides and says of each source system: plain data in, launches and words out. Nothing of Dagster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

from kb_pipeline.core.planning import pause_seconds
from kb_pipeline.sources.notifications import Drained
from kb_pipeline.sources.reconciling import Reconciled
from kb_pipeline.store.ledger.backlog import Backlog

NOTHING_KNOWN = Backlog()


@dataclass(frozen=True, slots=True)
class Past:
    """How the latest runs over a source ended: `failures` in a row up to now, and when the last of them ended."""

    failures: int = 0
    ended_at: datetime | None = None

    def seconds_left(self, now: datetime) -> float:
        """How long to leave the source alone: twice as long after each failure, up to an hour."""
        if not self.failures or self.ended_at is None:
            return 0.0
        return max(0.0, pause_seconds(self.failures, 1.0) - (now - self.ended_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Look:
    """What a tick knows of one source system.

    `listed_at` is when its listing last differed from the one before. `seen` is None where nothing was listed; one that
    goes on longer than the tick says so in `listing_seconds`. `run_id` is a run in progress. `error` is why the source
    could not be looked at, `late` that the tick's time was over before its turn.
    """

    source_system: str
    listed_at: datetime | None = None
    removed: bool = False
    seen: Reconciled | None = None
    listing_seconds: float | None = None
    backlog: Backlog = NOTHING_KNOWN
    run_id: str = ""
    past: Past = Past()
    error: str = ""
    late: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether to launch a run over the source, and why or why not. `size` is how much there is to do."""

    source_system: str
    launch: bool
    words: str
    size: int = 0

    def __str__(self) -> str:
        return f"{self.source_system}: {self.words}"


def decide(look: Look, now: datetime) -> Verdict:
    """Launch when there is work, nobody is at it, and the last failure is long enough ago."""

    def verdict(words: str, launch: bool = False) -> Verdict:
        return Verdict(look.source_system, launch, words, look.backlog.size)

    if look.removed:
        return verdict("removed, not looked at")
    if look.late:
        return verdict("not reached in this tick, the next one begins here")
    if look.error:
        return verdict(look.error)
    if look.run_id:
        return verdict(f"run {look.run_id[:8]} is in progress; what came in meanwhile is for the next tick")
    backlog, seen = look.backlog, said_of_listing(look)
    if not backlog.work:
        return verdict(_joined(seen, *_waiting(backlog)))
    left = said_of_work(backlog)
    if backlog.paused:
        return verdict(_joined(seen, left, "paused after a run that a service failed"))
    wait = look.past.seconds_left(now)
    if wait:
        return verdict(_joined(seen, left, f"{_last_runs(look.past.failures)} failed, next try in {in_words(wait)}"))
    return verdict(_joined(seen, left, *_waiting(backlog), "run requested"), launch=True)


def said_of_listing(look: Look) -> str:
    """What comparing the listing gave, or that it goes on."""
    if look.listing_seconds is not None:
        return f"still being listed after {in_words(look.listing_seconds)}"
    if look.seen is None:
        return ""
    listed = f"{counted(look.seen.listed, 'object')} listed"
    if look.seen.unchanged:
        return f"{listed}, nothing changed" + (f" since {_moment(look.listed_at)}" if look.listed_at else "")
    return f"{listed}, {counted(look.seen.hinted, 'difference')}"


def said_of_work(backlog: Backlog) -> str:
    """What a run would find to do."""
    parts = []
    if backlog.hints:
        parts.append(f"{counted(backlog.hints, 'key')} to look at")
    if backlog.documents:
        parts.append(f"{counted(backlog.documents, 'document')} not finished")
    if backlog.deletable and not backlog.brake:
        parts.append(f"{counted(backlog.deletable, 'document')} to delete")
    elif backlog.deletable and not parts and not backlog.regroup:
        parts.append(f"{counted(backlog.gone, 'document')} gone, another number than before")
    if backlog.regroup:
        parts.append("access rules changed")
    return ", ".join(parts)


def _waiting(backlog: Backlog) -> list[str]:
    parts = []
    if backlog.brake:
        gone, live = int(backlog.brake.get("gone", 0)), int(backlog.brake.get("live", 0))
        parts.append(f"{gone:,} of {counted(live, 'document')} gone and not deleted without --confirm-deletes")
    if backlog.waiting:
        parts.append(f"{backlog.waiting:,} waiting for another try")
    return parts


def said_of_queue(drained: Drained) -> str:
    """What was taken from the queue of notifications."""
    if not drained.messages:
        return "queue: empty"
    parts = [counted(drained.messages, "message"), f"{counted(drained.hints, 'key')} to look at"]
    if drained.ignored:
        parts.append(f"{drained.ignored:,} of no source system here")
    if drained.malformed:
        parts.append(f"{drained.malformed:,} not understood")
    if drained.more:
        parts.append("more to come")
    return f"queue: {', '.join(parts)}"


def said_of_prefixes(new: Sequence[str], allowed: bool, unusable: int) -> list[str]:
    """What lies under raw/ that is no source system yet."""
    words = []
    if new:
        names = ", ".join(sorted(new))
        words.append(f"new under raw/: {names}" + ("" if allowed else " (notifications.new_sources is off)"))
    if unusable:
        words.append(f"{counted(unusable, 'folder')} under raw/ with names that no source system can have")
    return words


@dataclass(slots=True)
class Cursor:
    """The sensor's cursor: each source's last digest, to be read by people, the source that the next tick begins with,
    and those whose deletes are held back. What is to be done is decided from the ledger: a cursor that is lost
    costs nothing."""

    digests: dict[str, str] = field(default_factory=dict)
    next: str = ""
    braked: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, text: str | None) -> Cursor:
        """The cursor of the tick before; an empty one in place of what is none."""
        try:
            found = json.loads(text or "{}")
            digests = {str(name): str(digest) for name, digest in found["digests"].items()}
            return cls(digests, str(found["next"]), [str(name) for name in found["braked"]])
        except (ValueError, TypeError, KeyError, AttributeError):
            return cls()

    def in_turn(self, sources: Sequence[str]) -> list[str]:
        """The sources in the order of this tick: by name, beginning where the last one ended."""
        ordered = sorted(sources)
        first = next((n for n, name in enumerate(ordered) if name >= self.next), 0)
        return ordered[first:] + ordered[:first]

    def __str__(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)


BACKLOG, IDLE = "kb/backlog", "kb/runs_without_progress"
# A lost artifact is made again from the stage before, and that one from its own: as many runs as there are stages.
RUNS_WITHOUT_PROGRESS = 5


def idle_runs(tags: Mapping[str, str], size: int) -> int:
    """How many runs in a row left no less to do than they found, the one with these tags the last of them."""
    before = tags.get(BACKLOG, "")
    if not before.isdecimal() or size < int(before):
        return 0
    idle = tags.get(IDLE, "")
    return (int(idle) if idle.isdecimal() else 0) + 1


def counted(number: int, noun: str) -> str:
    """1 key, 1,204 keys."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def in_words(seconds: float) -> str:
    """A duration as people say it: 40 s, 3 min, 2 h."""
    if seconds < 100:
        return f"{round(seconds)} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600)} h"


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _last_runs(failures: int) -> str:
    return "the last run" if failures == 1 else f"the last {failures} runs"


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part) or "nothing to do"
