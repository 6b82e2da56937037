"""Looking at hinted keys: bytes are read and hashed; the ledger is told, and the hint goes, in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

from kb_pipeline.core.errors import (
    DocumentTooLarge,
    KbError,
    ObjectUnavailable,
    PermanentError,
    ServiceUnavailable,
    UnusableKey,
)
from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.identity import document_id, hash_stream
from kb_pipeline.core.media_type import HEAD_BYTES, detect
from kb_pipeline.core.planning import Change, change_of
from kb_pipeline.core.selection import Selection
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.documents import Observation, Recorded, Version, held_elsewhere, record, recorded
from kb_pipeline.store.ledger.hints import Hint, due_hints, mark_gone, remove_hints
from kb_pipeline.store.ledger.lease import Lease
from kb_pipeline.store.objects.object_store import ObjectInfo, ObjectStore

READERS = 8
BATCH = 200


@dataclass(slots=True)
class Observed:
    """What looking at hinted keys told. `changes` counts documents by planning.Change, `documents` are the ids of those
    that were read, `unread` of those that could not be, `absent` the keys that are not there."""

    looked_at: int = 0
    quarantined: int = 0
    failed: int = 0
    changes: dict[Change, int] = field(default_factory=dict)
    documents: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)

    def count(self, observations: Sequence[Observation]) -> None:
        """Add what became of these."""
        for o in observations:
            self.looked_at += 1
            self.quarantined += o.status == "quarantined"
            self.failed += o.status == "failed"
            if o.change:
                self.changes[o.change] = self.changes.get(o.change, 0) + 1


@dataclass(frozen=True, slots=True)
class Looker:
    """Looks at keys of one source. `max_bytes` is the largest document; `groups` says who may read a key, `takes`
    whether a new object of that key is taken in."""

    connection: Connection
    store: ObjectStore
    lease: Lease
    run_id: str
    prefix: str
    max_bytes: int
    groups: Callable[[str], Sequence[str]]
    takes: Callable[[str], bool] = Selection().takes

    def look(self, limit: int) -> Observed:
        """Look at up to `limit` keys that are due. One that cannot be read waits, and one over the size limit is
        quarantined; neither stops the others. Raises ServiceUnavailable when the store itself is down."""
        counts = Observed()
        source = self.lease.source_system
        with ThreadPoolExecutor(READERS) as readers:
            while counts.looked_at < limit:
                hints = due_hints(self.connection, source, min(BATCH, limit - counts.looked_at))
                if not hints:
                    break
                observations = self._classified(self._observations(readers, hints, counts))
                counts.documents += record(self.connection, self.lease, self.run_id, observations)
                counts.unread += [document_id(source, o.seen.key) for o in observations if o.version is None]
                fault_point("raw.recorded")
                counts.count(observations)
        return counts

    def _observations(self, readers: ThreadPoolExecutor, hints: Sequence[Hint], counts: Observed) -> list[Observation]:
        """Read what the hints name. Keys that are not there or not wanted, and forgotten documents, are settled on the
        way."""
        source = self.lease.source_system
        known = recorded(self.connection, source, [hint.key for hint in hints])
        wanted = {hint.key for hint in hints if self._wanted(hint.key, known.get(hint.key))}
        asked = [hint for hint in hints if hint.key in wanted]
        unwanted = [(hint.key, hint.received_at) for hint in hints if hint.key not in wanted]
        if unwanted:
            remove_hints(self.connection, source, unwanted)
        found = list(readers.map(self._find, asked))
        absent = [hint for hint, seen in zip(asked, found, strict=True) if seen is None]
        if absent:
            mark_gone(self.connection, source, absent)
            fault_point("raw.marked_gone")
            counts.absent += [hint.key for hint in absent]
        counts.looked_at += len(unwanted) + len(absent)
        present = [(hint, seen) for hint, seen in zip(asked, found, strict=True) if seen is not None]
        return list(readers.map(lambda one: self._read(one[0], one[1], known.get(one[0].key)), present))

    def _wanted(self, key: str, known: Recorded | None) -> bool:
        """Patterns keep out what is new; a document that is held stays in step until someone lets it go."""
        if known and known.forgotten:
            return False
        return bool(known and not known.deleted) or self.takes(key)

    def _find(self, hint: Hint) -> ObjectInfo | None:
        # A listing shows the folder that a console made, an empty object "NAME/", as NAME: nobody can ask for that.
        if hint.seen and hint.seen.size:
            return hint.seen
        try:
            return self.store.head(self.prefix, hint.key)
        except (ObjectUnavailable, UnusableKey):  # reading it fails too, and is put on record
            return hint.seen or ObjectInfo(hint.key, 0, None, hint.received_at)

    def _read(self, hint: Hint, seen: ObjectInfo, known: Recorded | None) -> Observation:
        observation = Observation(
            seen, hint.received_at, known, None, attempts=hint.attempts, groups=self.groups(hint.key)
        )
        try:
            self._check_size(seen.size)
            return replace(observation, version=self._version(seen))
        except ServiceUnavailable:
            raise
        except KbError as error:
            status = "quarantined" if isinstance(error, PermanentError) else "failed"
            return replace(observation, status=status, error_class=type(error).__name__, error_message=str(error))

    def _version(self, seen: ObjectInfo) -> Version:
        head = bytearray()

        def pieces() -> Iterator[bytes]:
            size = 0
            for piece in self.store.stream(f"{self.prefix}/{seen.key}"):
                size += len(piece)
                self._check_size(size)  # it may have grown since it was listed
                if len(head) < HEAD_BYTES:
                    head.extend(piece[: HEAD_BYTES - len(head)])
                yield piece

        content_hash, size = hash_stream(pieces())
        return Version(content_hash, detect(bytes(head), seen.key), size)

    def _check_size(self, size: int) -> None:
        if size > self.max_bytes:
            raise DocumentTooLarge(
                f"{size / 1e6:.0f} MB; the limit is {self.max_bytes / 1e6:.0f} MB.",
                "Raise limits.document_mb in kb.yaml and retry.",
            )

    def _classified(self, observations: Sequence[Observation]) -> list[Observation]:
        """Say of each version what it means, now that its bytes are known."""
        hashes = [o.version.content_hash for o in observations if o.version]
        held = held_elsewhere(self.connection, self.lease.source_system, hashes)
        first: dict[str, str] = {}  # equal bytes that came together: all but the first are copies
        return [
            replace(o, change=_change(o, held.get(o.version.content_hash, {}), first)) if o.version else o
            for o in observations
        ]


def _change(o: Observation, held: dict[str, bool], first: dict[str, str]) -> Change:
    """`held` are the other keys with these bytes and whether they are gone."""
    assert o.version
    others = [gone for key, gone in held.items() if key != o.seen.key]
    earlier = first.setdefault(o.version.content_hash, o.seen.key) != o.seen.key
    elsewhere: Literal["", "live", "gone"] = (
        "gone" if any(others) and not earlier else "live" if others or earlier else ""
    )
    known_hash = o.known.content_hash if o.known else None
    return change_of(known_hash, bool(o.known and o.known.deleted), o.version.content_hash, elsewhere)
