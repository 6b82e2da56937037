"""Plant, sync, look everywhere, take away again."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import cache

from kb_pipeline.auditing.canaries import Canaries, canaries
from kb_pipeline.auditing.places import LEFT_OUT, everywhere
from kb_pipeline.auditing.report import AuditReport, Leak, Place
from kb_pipeline.defs.running import syncing
from kb_pipeline.masking import find_personal_data
from kb_pipeline.operations import maintenance
from kb_pipeline.pipeline.catalogue import raw_prefix
from kb_pipeline.pipeline.opening import connected, known_sources, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.settings.policy import loosest

# A source system of its own: no reader's source is touched, and all of it can be taken away.
SOURCE = "kb-canaries"


def audit(settings: Settings, *, plant: bool = True, on_event: Callable[[str], None] = lambda _: None) -> AuditReport:
    """Look for leaks, and write a dated report under KB_HOME/audits. `plant`: with canaries, which go through a sync of
    their own and are gone afterwards. Raises what a sync raises."""
    planted = canaries(secrets.randbits(32), settings.masking_for(SOURCE).entities) if plant else Canaries({}, {})
    store = object_store(settings)
    paths = [f"{raw_prefix(SOURCE)}/{key}" for key in planted.documents]
    try:
        if plant:
            on_event(f"planting {len(planted.values)} canaries in {len(paths)} documents")
            maintenance.add_source(settings, SOURCE)
            for path, data in zip(paths, planted.documents.values(), strict=True):
                store.put(path, data)
            syncing.sync(settings, (SOURCE,), syncing.SyncOptions())
        on_event("looking everywhere")
        report = _look(settings, planted)
    finally:
        for path in paths:
            store.delete(path)
        if plant and SOURCE in known_sources(settings):
            _remove(settings)
    _write(settings, report)
    return report


def _remove(settings: Settings) -> None:
    from kb_pipeline.defs.running.in_process import forget_source

    maintenance.remove_source(settings, SOURCE)
    forget_source(settings, SOURCE)


def _look(settings: Settings, planted: Canaries) -> AuditReport:
    texts: Counter[str] = Counter()
    found: dict[tuple[str, str], Counter[str]] = {}
    policy_of = cache(settings.masking_for)
    common = loosest([policy_of(source) for source in (*known_sources(settings), SOURCE)])
    with connected(settings) as connection:
        for seen in everywhere(settings, connection, policy_of, common):
            texts[seen.place] += 1
            for how, counts in (
                ("canary", planted.found_in(f"{seen.text}\n{seen.ours}")),
                ("recognizer", find_personal_data(seen.text, seen.policy)),
            ):
                if counts:
                    found.setdefault((how, seen.place), Counter()).update(counts)
    return AuditReport(
        dt.datetime.now(dt.UTC),
        dict(Counter(planted.values.values())),
        tuple(Place(name, count) for name, count in sorted(texts.items())),
        tuple(Leak(place, how, dict(counts)) for (how, place), counts in sorted(found.items())),
        LEFT_OUT,
    )


def _write(settings: Settings, report: AuditReport) -> None:
    folder = settings.home / "audits"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{report.at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(asdict(report), default=str, indent=2, ensure_ascii=False), encoding="utf-8")
    path.chmod(0o600)
