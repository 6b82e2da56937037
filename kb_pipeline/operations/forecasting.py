"""`kb plan`: what the next sync of a source would do and cost. The ledger and the object store are only read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kb_pipeline.core.estimating import Estimate, Sample, Work, estimate
from kb_pipeline.core.planning import Deletes, must_brake
from kb_pipeline.pipeline.catalogue import catalogue, chain_key, raw_prefix
from kb_pipeline.pipeline.opening import checked, connected, known_sources, no_such_source, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.listings import Listing
from kb_pipeline.store.ledger.planned import Differences, differences, samples, unsettled


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What a sync of one source would do.

    Documents: `listed` objects and `live` ones of the ledger; to add, to change (their bytes are read; perhaps they are
    the same), to move and to delete. `brake`: the deletes would wait for --confirm-deletes. `bytes_to_read` of objects.
    `unsettled` counts documents that did not change and have work left (other settings, say), by the first stage that
    has any. `estimate` is of the added, changed and unsettled ones. Of the names that patterns exclude, `left_out` are
    not taken in, and `held` are documents that stay until someone confirms their delete.
    """

    source_system: str
    listed: int
    live: int
    add: int
    change: int
    move: int
    delete: int
    brake: bool
    bytes_to_read: int
    unsettled: Mapping[str, int]
    estimate: Estimate
    left_out: int = 0
    held: int = 0

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.add or self.change or self.move or self.delete or self.unsettled)


def plan(settings: Settings, names: Sequence[str]) -> list[SourcePlan]:
    """A plan for each named source, or for all that are known. Nothing is written, in the database or the store.

    Raises NotFound, SettingsError, DatabaseUnavailable, ObjectStoreUnavailable.
    """
    known, store = known_sources(settings), object_store(settings)
    plans = []
    with connected(settings) as connection:
        for name in names or known:
            checked(name)
            with Listing(name, store.list(raw_prefix(name)), settings.selection_for(name)) as listing:
                if name not in known and not listing.count:
                    raise no_such_source(name, known)
                listing.load(connection)
                plans.append(_plan(connection, settings, name, listing.count))
    return plans


def _plan(connection: Connection, settings: Settings, name: str, listed: int) -> SourcePlan:
    stages = catalogue(settings, name)
    found = differences(connection, name)
    left = unsettled(connection, name, chain_key(settings, name), stages)
    model = stages["embed"].variant
    own, speed = samples(connection, name, model)
    everywhere, any_speed = samples(connection, None, model)
    work = _together(found.added, found.changed, *(kinds for stage, kinds in left.items() if stage != "publish"))
    move = _documents(found.moved)
    return SourcePlan(
        name,
        listed,
        found.live,
        _documents(found.added),
        _documents(found.changed),
        move,
        found.gone - move,
        must_brake(Deletes(found.gone, move, found.live), settings.deletes.share, settings.deletes.least),
        _bytes(found),
        {stage: _documents(kinds) for stage, kinds in left.items()},
        estimate(work, own, sum(everywhere.values(), Sample()), speed if speed.tokens else any_speed),
        found.left_out,
        found.held,
    )


def _together(*parts: Mapping[str, Work]) -> dict[str, Work]:
    work: dict[str, Work] = {}
    for part in parts:
        for kind, todo in part.items():
            had = work.get(kind, Work(0, 0))
            work[kind] = Work(had.documents + todo.documents, had.bytes + todo.bytes)
    return work


def _documents(kinds: Mapping[str, Work]) -> int:
    return sum(work.documents for work in kinds.values())


def _bytes(found: Differences) -> int:
    return sum(work.bytes for kinds in (found.added, found.changed, found.moved) for work in kinds.values())
