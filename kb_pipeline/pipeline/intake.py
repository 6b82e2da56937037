"""What a source has to do, before any run: its listing compared with the ledger, its backlog counted.

No lease, no Dagster: a sensor's tick, a schedule's and `kb sync` ask here first; no work, no run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb_pipeline.pipeline.catalogue import access_key, chain_key, raw_prefix
from kb_pipeline.pipeline.opening import connected, object_store, refuse_removed
from kb_pipeline.settings import Settings
from kb_pipeline.sources.reconciling import Reconciled
from kb_pipeline.sources.reconciling import reconcile as reconcile_source
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import Backlog, count_backlog, count_hints, ensure_source, note_checked, try_now
from kb_pipeline.store.ledger.hints import add_hints


@dataclass(frozen=True, slots=True)
class Intake:
    """`reconciled` is what listing the source told, None when only named keys were asked for."""

    reconciled: Reconciled | None
    backlog: Backlog


def reconcile(settings: Settings, source_system: str, *, full: bool = False, rehash: bool = False) -> Reconciled:
    """List the source and hint every difference (sources.reconciling.reconcile)."""
    with connected(settings) as connection:
        return _reconcile(connection, settings, source_system, full=full, rehash=rehash)


def backlog(settings: Settings, source_system: str, *, hinted_only: bool = False) -> Backlog:
    """What is left to do for the source now, or of it the hints alone. A source found in step is noted as checked."""
    with connected(settings) as connection:
        if hinted_only:
            return count_hints(connection, source_system)
        return _backlog(connection, settings, source_system)


def take_in(
    settings: Settings,
    source_system: str,
    *,
    keys: Sequence[str] | None = None,
    full: bool = False,
    rehash: bool = False,
    now: bool = False,
    drop_excluded: bool = False,
) -> Intake:
    """Reconcile the source, or hint `keys` alone, and count what is to be done. With `now` what failed before is tried
    again at once, whatever its pause; with `drop_excluded` documents whose names patterns leave out are gone. Raises
    NotFound when the source was removed."""
    with connected(settings) as connection:
        refuse_removed(connection, source_system)
        if now:
            ensure_source(connection, source_system)
            try_now(connection, source_system)
        if keys is not None:
            add_hints(connection, [(source_system, key) for key in keys])
            return Intake(None, count_hints(connection, source_system))
        seen = _reconcile(connection, settings, source_system, full=full, rehash=rehash, drop_excluded=drop_excluded)
        return Intake(seen, _backlog(connection, settings, source_system))


def _reconcile(
    connection: Connection,
    settings: Settings,
    source_system: str,
    *,
    full: bool,
    rehash: bool,
    drop_excluded: bool = False,
) -> Reconciled:
    return reconcile_source(
        connection,
        object_store(settings),
        source_system,
        raw_prefix(source_system),
        full=full,
        rehash=rehash,
        selection=settings.selection_for(source_system),
        drop_excluded=drop_excluded,
    )


def _backlog(connection: Connection, settings: Settings, source_system: str) -> Backlog:
    chain, access = chain_key(settings, source_system), access_key(settings, source_system)
    found = count_backlog(connection, source_system, chain, access)
    if not found.work and not found.waiting and not found.brake:
        note_checked(connection, source_system)
    return found
