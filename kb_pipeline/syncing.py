"""Bringing source systems in step from the command line or Python: the job of the UI, in this process."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kb_pipeline.opening import checked, connected, known_sources, no_such_source, object_store
from kb_pipeline.settings import Settings

if TYPE_CHECKING:
    from kb_pipeline.defs.running import SyncReport
    from kb_pipeline.sources.mirror import MirrorReport


@dataclass(frozen=True, slots=True)
class IngestReport:
    """What mirroring the folder did, and the sync that followed."""

    mirror: MirrorReport
    sync: SyncReport


def ingest(settings: Settings, folder: Path | str, source: str) -> IngestReport:
    """Make the source's raw prefix mirror `folder`, then sync it."""
    from kb_pipeline.sources.mirror import mirror
    from kb_pipeline.stages import raw_prefix
    from kb_pipeline.store.documents import known_versions

    checked(source)
    with connected(settings) as connection:
        known = known_versions(connection, source)
    mirrored = mirror(object_store(settings), Path(folder), raw_prefix(source), known)
    if mirrored.failed:
        from kb_pipeline.masking import mask_name

        policy = settings.masking_for(source)
        mirrored.failed = [mask_name(name, policy) for name in mirrored.failed]
    return IngestReport(mirrored, run(settings, [source])[0])


def sync(settings: Settings, names: Sequence[str]) -> list[SyncReport]:
    """Run the sync job for the named sources, or for all."""
    known = known_sources(settings)
    for name in names:
        checked(name)
        if name not in known and not has_objects(settings, name):
            raise no_such_source(name, known)
    return run(settings, names or known)


def run(settings: Settings, names: Sequence[str]) -> list[SyncReport]:
    """Run the sync job once a source, in the order given."""
    from kb_pipeline.definitions import defs
    from kb_pipeline.defs.running import run_sync

    return [run_sync(defs, settings, name) for name in names]


def has_objects(settings: Settings, name: str) -> bool:
    """Is there any object under the source's raw prefix?"""
    from kb_pipeline.stages import raw_prefix

    return next(object_store(settings).list(raw_prefix(name)), None) is not None
