"""A source's whole listing compared with the ledger as a set: what differs becomes hints. Reads no object body."""

from __future__ import annotations

from dataclasses import dataclass

from kb_pipeline.core.faults import fault_point
from kb_pipeline.core.selection import Selection
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.backlog import ensure_source
from kb_pipeline.store.ledger.hints import hint_listing
from kb_pipeline.store.ledger.listings import Listing
from kb_pipeline.store.ledger.sources import listing_state
from kb_pipeline.store.objects.object_store import ObjectStore


@dataclass(frozen=True, slots=True)
class Reconciled:
    """`listed` objects, of which `hinted` keys differ from the ledger (or are gone). `unchanged`: the listing is the
    one compared last, so nothing was compared again. `excluded` objects have names that patterns leave out."""

    listed: int
    hinted: int
    unchanged: bool
    digest: str
    excluded: int = 0


def reconcile(
    connection: Connection,
    store: ObjectStore,
    source_system: str,
    prefix: str,
    *,
    full: bool = False,
    rehash: bool = False,
    selection: Selection | None = None,
    drop_excluded: bool = False,
) -> Reconciled:
    """List what lies below `prefix` and hint every difference.

    A listing equal to the one compared last (by digest) ends it there; `full` compares all the same. `rehash` hints
    every key, so that all bytes are read: on file:// an edit that keeps size and time is noticed only so. Needs no
    lease: hints are a set, and a run answers each by looking. Raises ServiceUnavailable when the store is down: then
    nothing is known to be gone.

    What `selection` leaves out is not taken in; a document that is in already stays in step, unless `drop_excluded`
    says that it is gone.
    """
    ensure_source(connection, source_system)
    began, last = listing_state(connection, source_system)
    with Listing(source_system, store.list(prefix), selection) as listing:
        dropped = drop_excluded and listing.excluded > 0
        if listing.digest == last and not full and not rehash and not dropped:
            return Reconciled(listing.count, 0, True, listing.digest, listing.excluded)
        listing.load(connection)
        fault_point("reconcile.loaded")
        hinted = hint_listing(connection, source_system, listing.digest, began, rehash=rehash, drop_excluded=dropped)
        fault_point("reconcile.hinted")
        return Reconciled(listing.count, hinted, False, listing.digest, listing.excluded)
