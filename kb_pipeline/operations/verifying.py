"""Whether a knowledge base is what it promises to be: the invariants checked on the live system, and mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kb_pipeline.operations.maintenance import held_lease
from kb_pipeline.pipeline.catalogue import catalogue, chain_key, raw_prefix
from kb_pipeline.pipeline.opening import connected, no_such_source, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.store import verify as checking
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.sources import ledger_sources
from kb_pipeline.store.published.spaces import active_space
from kb_pipeline.store.verify import Expected, Problem

ROUNDS = 3  # of repairing: what one mends may show what was hidden behind it


@dataclass(frozen=True, slots=True)
class Repaired:
    """How many problems were mended or given to the next sync, and those that are left."""

    mended: int
    problems: list[Problem]


def verify(settings: Settings, source: str | None = None, *, deep: bool = False) -> list[Problem]:
    """Check the invariants of one source, or of all and of what they share; empty when all hold. Raises NotFound.

    `deep` reads every current artifact, compares what is published with it, and lists the object store.
    """
    with connected(settings) as connection:
        return _verify(connection, settings, source, deep=deep)


def repair(settings: Settings, source: str | None = None, *, deep: bool = False) -> Repaired:
    """Verify, and mend what can be: at once, or by giving it to the next sync. Raises NotFound, SourceBusy."""
    mended: set[Problem] = set()
    store, grace = object_store(settings), settings.retention.grace_hours
    with connected(settings) as connection:
        problems = _verify(connection, settings, source, deep=deep)
        for _ in range(ROUNDS):
            new = [problem for problem in problems if problem.repairable and problem not in mended]
            if not new:
                break
            checking.repair_shared(connection, store, new, grace)
            for one in _expected(connection, settings, source):
                if any(problem.source_system == one.source_system for problem in new):
                    with held_lease(settings, one.source_system) as lease:
                        checking.repair(connection, store, lease, one, new)
            mended.update(new)
            problems = _verify(connection, settings, source, deep=deep)
    return Repaired(len(mended), problems)


def _verify(connection: Connection, settings: Settings, source: str | None, *, deep: bool) -> list[Problem]:
    expected = _expected(connection, settings, source)
    problems = checking.verify(connection, expected, whole=source is None)
    if deep:
        store = object_store(settings)
        for one in expected:
            problems += checking.verify_deep(connection, store, one)
            selection = settings.selection_for(one.source_system)
            problems += checking.verify_listing(connection, store, one, raw_prefix(one.source_system), selection)
        if source is None:
            problems += checking.verify_objects(connection, store, settings.retention.grace_hours)
    return problems


def _expected(connection: Connection, settings: Settings, source: str | None) -> Sequence[Expected]:
    known = {source.name: source.removed for source in ledger_sources(connection)}
    if source is not None and source not in known:
        raise no_such_source(source, sorted(known))
    space = active_space(connection)
    return [
        Expected(name, catalogue(settings, name, space), chain_key(settings, name), space, removed)
        for name, removed in known.items()
        if source in (None, name)
    ]
