"""What a tick looks at: the source systems, what their listings or the queue tell, and what is left to do."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kb_pipeline.core.errors import KbError, NotificationsUnavailable
from kb_pipeline.defs.automation.listings import LISTINGS, Going
from kb_pipeline.defs.automation.ticks import Cursor, Look, Past, said_of_prefixes, said_of_queue
from kb_pipeline.pipeline import intake
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.pipeline.opening import connected, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.sources.notifications import Notified, drain
from kb_pipeline.sources.prefixes import new_prefixes
from kb_pipeline.store.ledger.backlog import ensure_source
from kb_pipeline.store.ledger.hints import add_hints
from kb_pipeline.store.ledger.sources import ledger_sources

# Dagster ends a tick after 60 s. The queue gets some of them, the listings the next, counting backlogs the rest.
QUEUE_SECONDS = 15.0
TICK_SECONDS = 25.0


@dataclass(slots=True)
class Watched:
    """Source systems that a tick looks at, by name; those of them that are to be listed; and words about the whole."""

    sources: dict[str, Look] = field(default_factory=dict)
    to_list: set[str] = field(default_factory=set)
    words: list[str] = field(default_factory=list)


def find_sources(settings: Settings) -> Watched:
    """Every source system of kb.yaml, of the ledger and, where allowed, of new prefixes; all are to be listed.

    Raises DatabaseUnavailable. A store that cannot be asked for new prefixes is said in words.
    """
    watched = _known(settings)
    allowed = settings.notifications.new_sources
    try:
        new = new_prefixes(object_store(settings), raw_prefix("").rstrip("/"), watched.sources)
    except KbError as error:
        watched.words.append(f"new prefixes: {error}")
        return watched
    watched.words += said_of_prefixes(new.names, allowed, new.unusable)
    for name in new.names if allowed else ():
        watched.sources[name] = Look(name)
        watched.to_list.add(name)
    return watched


def take_notifications(settings: Settings) -> Watched:
    """Turn what is in the queue into hints. Only sources that were never listed are to be listed: their first documents
    came before any notification.

    Raises DatabaseUnavailable. A queue that cannot be used is said in words.
    """
    watched = _known(settings)
    watched.to_list = {name for name in watched.to_list if watched.sources[name].listed_at is None}
    known = [name for name, look in watched.sources.items() if not look.removed]
    with connected(settings) as connection:

        def write(keys: Sequence[Notified]) -> None:
            for name in sorted({key.source_system for key in keys} - watched.sources.keys()):
                ensure_source(connection, name)
                watched.sources[name] = Look(name)
                watched.words.append(f"new source system {name}")
            add_hints(connection, keys)

        try:
            watched.words.append(said_of_queue(drain(settings, write, known, seconds=QUEUE_SECONDS)))
        except NotificationsUnavailable as error:
            watched.words.append(f"queue: {error}")
    return watched


def find_source(settings: Settings, source_system: str) -> Watched:
    """One source system, to be listed. Raises DatabaseUnavailable."""
    known = _known(settings)
    look = known.sources.get(source_system, Look(source_system))
    return Watched({source_system: look}, set() if look.removed else {source_system})


def known_sources(settings: Settings) -> Watched:
    """Source systems of kb.yaml and the ledger, none to be listed. Raises DatabaseUnavailable."""
    return Watched(_known(settings).sources)


def _known(settings: Settings) -> Watched:
    with connected(settings) as connection:
        rows = ledger_sources(connection)
    sources = {name: Look(name) for name in settings.sources}
    sources |= {row.name: Look(row.name, row.listed_at, row.removed) for row in rows}
    return Watched(sources, {name for name, look in sources.items() if not look.removed})


def look_at(
    settings: Settings,
    watched: Watched,
    running: Mapping[str, str],
    past: Callable[[str], Past],
    cursor: Cursor,
    *,
    seconds: float = TICK_SECONDS,
) -> list[Look]:
    """List the sources that are to be listed, count every one's backlog, within about so many seconds.

    `running` are runs in progress by source system: those sources wait. `past` says how a source's latest runs ended.
    What goes wrong with one source is said of it and concerns no other. Changes `cursor`.
    """
    ends = time.monotonic() + seconds
    names = cursor.in_turn(list(watched.sources))
    busy = {name for name in names if watched.sources[name].removed or name in running}
    listings = {name: _listing(settings, name) for name in names if name in watched.to_list and name not in busy}
    cursor.next = ""
    looks = []
    for name in names:
        look = replace(watched.sources[name], run_id=running.get(name, ""))
        if name not in busy and time.monotonic() > ends:
            cursor.next = cursor.next or name
            look = replace(look, late=True)
        elif name not in busy:
            if name in listings:
                look = listings[name].look(look, ends - time.monotonic())
            if look.seen:
                cursor.digests[name] = look.seen.digest
            look = look if look.error else _with_backlog(settings, look, past)
        looks.append(look)
    cursor.braked = sorted(look.source_system for look in looks if _braked(look, cursor))
    cursor.digests = {name: digest for name, digest in cursor.digests.items() if name in watched.sources}
    return looks


def _braked(look: Look, before: Cursor) -> bool:
    if look.run_id or look.late or look.error:  # nothing was learnt of it in this tick
        return look.source_system in before.braked
    return look.backlog.brake is not None


@dataclass(frozen=True, slots=True)
class _Listing:
    key: tuple[str, str, str]
    going: Going

    def look(self, look: Look, seconds: float) -> Look:
        """What it told, or that it goes on. One that a tick waited for before costs the others no more time."""
        if not LISTINGS.wait(self.key, self.going, min(seconds, TICK_SECONDS - self.going.seconds)):
            return replace(look, listing_seconds=self.going.seconds)
        return replace(look, seen=self.going.seen, error=self.going.error)


def _listing(settings: Settings, source_system: str) -> _Listing:
    key = (str(settings.home), settings.object_store_url, source_system)
    return _Listing(key, LISTINGS.begin(key, lambda: intake.reconcile(settings, source_system)))


def _with_backlog(settings: Settings, look: Look, past: Callable[[str], Past]) -> Look:
    try:
        backlog = intake.backlog(settings, look.source_system)
    except KbError as error:
        return replace(look, error=str(error))
    return replace(look, backlog=backlog, past=past(look.source_system) if backlog.work else Past())
