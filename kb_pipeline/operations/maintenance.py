"""What an operator does now and then: collect garbage, forget a document, add and remove source systems."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from kb_pipeline.core.errors import NotFound
from kb_pipeline.local.stack import database_dsn
from kb_pipeline.pipeline.catalogue import chain_key
from kb_pipeline.pipeline.opening import checked, connected, no_such_source, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.store.erasing import collect as collecting
from kb_pipeline.store.erasing import erase, tombstones
from kb_pipeline.store.erasing.collect import Clear, Collected
from kb_pipeline.store.erasing.erase import Erased
from kb_pipeline.store.ledger.backlog import ensure_source
from kb_pipeline.store.ledger.lease import Lease, acquire, release
from kb_pipeline.store.ledger.sources import bring_back, ledger_sources
from kb_pipeline.store.views.finding import Found, find_document

log = logging.getLogger("kb_pipeline.progress")


@dataclass(frozen=True, slots=True)
class KnownSource:
    """A source system: whether kb.yaml names it, whether the ledger knows it, when its listing last differed, whether
    it was removed, and how many of its documents were forgotten."""

    source_system: str
    description: str
    configured: bool
    in_ledger: bool
    listed_at: datetime | None
    removed: bool
    forgotten: int = 0


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A document that was forgotten (its name is gone with it), and what was erased."""

    document_id: str
    source_system: str
    erased: Erased


def collect(settings: Settings, *, dry_run: bool) -> Collected:
    """Collect garbage (store.collect) under the settings' retention; with `dry_run` only say what would go."""
    retention, clear = settings.retention, None
    with connected(settings) as connection:
        if retention.clear_days is not None:
            chains = {source.name: chain_key(settings, source.name) for source in ledger_sources(connection)}
            clear = Clear(retention.clear_days, chains)
        return collecting.collect(
            connection,
            object_store(settings),
            retention_days=retention.days,
            grace_hours=retention.grace_hours,
            dry_run=dry_run,
            clear=clear,
        )


def find(settings: Settings, document: str, source: str | None) -> Found:
    """The document that is meant. Raises NotFound when it is none or several."""
    with connected(settings) as connection:
        return find_document(connection, document, source)


def forget(settings: Settings, document: str, source: str | None) -> Forgotten:
    """Erase what was made of a document at once, and leave a tombstone (store.erase). Raises NotFound, SourceBusy."""
    found = find(settings, document, source)
    with connected(settings) as connection, held_lease(settings, found.source_system) as lease:
        erased = erase.forget(connection, object_store(settings), lease, found.document_id)
    return Forgotten(found.document_id, found.source_system, erased)


def remember(settings: Settings, document: str, source: str | None) -> Found:
    """Take a forgotten document's tombstone away, so that the next sync takes it in again. Raises NotFound when there
    is no such document or it is not forgotten, SourceBusy."""
    found = find(settings, document, source)
    if not found.forgotten:
        raise NotFound(f"{found} is not forgotten.", f"`kb history {found.document_id[:12]}` says how it stands.")
    with connected(settings) as connection, held_lease(settings, found.source_system) as lease:
        erase.forget(connection, object_store(settings), lease, found.document_id)  # one that was interrupted
        tombstones.remove(connection, lease, found.document_id)
    return found


def sources(settings: Settings) -> list[KnownSource]:
    """Source systems of kb.yaml and of the ledger, by name, removed ones too."""
    with connected(settings) as connection:
        ledger = {source.name: source for source in ledger_sources(connection)}
        forgotten = tombstones.count(connection)
    found = []
    for name in sorted(ledger.keys() | settings.sources.keys()):
        known, configured = ledger.get(name), settings.sources.get(name)
        found.append(
            KnownSource(
                name,
                configured.description if configured else "",
                configured is not None,
                known is not None,
                known.listed_at if known else None,
                bool(known and known.removed),
                forgotten.get(name, 0),
            )
        )
    return found


def add_source(settings: Settings, name: str) -> KnownSource:
    """Make the ledger know a source system, so that it is looked after from now on; a removed one comes back."""
    checked(name)
    with connected(settings) as connection:
        ensure_source(connection, name)
        bring_back(connection, name)
    return next(source for source in sources(settings) if source.source_system == name)


def remove_source(settings: Settings, name: str) -> Erased:
    """Erase a source system from every table, space and artifact (store.erase); its raw documents stay where they lie.

    Raises NotFound, SourceBusy.
    """
    known = {source.source_system: source for source in sources(settings)}
    if name not in known:
        raise no_such_source(name, sorted(known))
    if not known[name].in_ledger:
        raise NotFound(f"Nothing is stored of source system {name}.", "Take it out of kb.yaml to be rid of it.")
    with connected(settings) as connection, held_lease(settings, name) as lease:
        return erase.remove_source(connection, object_store(settings), lease)


@contextmanager
def held_lease(settings: Settings, source_system: str) -> Iterator[Lease]:
    """The source's lease, for what someone asked for by hand. Raises SourceBusy."""
    dsn = database_dsn(settings)
    lease = acquire(
        dsn,
        source_system,
        f"by hand {uuid.uuid4()}",
        wait_seconds=settings.lease.wait_seconds,
        ttl_seconds=settings.lease.ttl_seconds,
        on_wait=log.warning,
    )
    try:
        yield lease
    finally:
        release(dsn, lease)
