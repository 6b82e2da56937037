"""A folder as a source: mirrored below the source's raw prefix, or only compared with it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kb_pipeline.core.identity import document_id
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.pipeline.opening import checked, connected, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.sources.folder import Rules
from kb_pipeline.sources.mirror import ForgottenFile, MirrorPlan, MirrorReport, mirror, plan_mirror
from kb_pipeline.store.database import Connection
from kb_pipeline.store.erasing import tombstones
from kb_pipeline.store.ledger.documents import known_versions
from kb_pipeline.store.ledger.sources import bring_back


def mirror_folder(settings: Settings, folder: Path, source: str, *, drop_excluded: bool = False) -> MirrorReport:
    """Make the source's raw prefix mirror `folder`. A source that was removed comes back. Names in the report are
    masked. Raises NotFound, SettingsError."""
    checked(source)
    with connected(settings) as connection:
        bring_back(connection, source)
        rules = _rules(connection, settings, source, drop_excluded)
    report = mirror(object_store(settings), folder, raw_prefix(source), rules)
    report.failed = _masked(settings, source, report.failed)
    report.forgotten = _forgotten(settings, source, report.forgotten)
    return report


def plan_folder(settings: Settings, folder: Path, source: str, *, drop_excluded: bool = False) -> MirrorPlan:
    """What `mirror_folder` would do; names are masked. Nothing is written. Raises NotFound, SettingsError."""
    checked(source)
    with connected(settings) as connection:
        rules = _rules(connection, settings, source, drop_excluded)
    plan = plan_mirror(object_store(settings), folder, raw_prefix(source), rules)
    for names in (plan.upload, plan.replace, plan.remove, plan.left_out, plan.held, plan.failed):
        names[:] = _masked(settings, source, names)
    plan.forgotten = _forgotten(settings, source, plan.forgotten)
    return plan


def _rules(connection: Connection, settings: Settings, source: str, drop_excluded: bool) -> Rules:
    known, gone = known_versions(connection, source), tombstones.forgotten(connection, source)
    return Rules(
        known=known,
        selection=settings.selection_for(source),
        forgotten=lambda key: bool(gone) and document_id(source, key) in gone,
        drop_excluded=drop_excluded,
    )


def _masked(settings: Settings, source: str, names: Iterable[str]) -> list[str]:
    found = list(names)
    if not found:  # masking takes a second to load
        return found
    from kb_pipeline.masking import mask_name

    policy = settings.masking_for(source)
    return [mask_name(name, policy) for name in found]


def _forgotten(settings: Settings, source: str, files: Iterable[ForgottenFile]) -> list[ForgottenFile]:
    keys = [file.name for file in files]
    shown = _masked(settings, source, keys)
    return [ForgottenFile(name, document_id(source, key)) for name, key in zip(shown, keys, strict=True)]
