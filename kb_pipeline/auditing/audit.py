"""Plant, sync, look everywhere, take away again."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from kb_pipeline import maintenance, syncing
from kb_pipeline.auditing.canaries import Canaries, canaries
from kb_pipeline.auditing.report import AuditReport, Leak, Place
from kb_pipeline.local.dagster_home import prepare_dagster_home
from kb_pipeline.masking import find_personal_data
from kb_pipeline.opening import connected, known_sources, object_store
from kb_pipeline.settings import Settings
from kb_pipeline.stages import raw_prefix
from kb_pipeline.store.texts import BY_DESIGN, every_text, published_texts

# A source system of its own: no reader's source is touched, and all of it can be taken away.
SOURCE = "kb-canaries"
_WINDOW, _OVERLAP = 1 << 20, 4096

Seen = Iterable[tuple[str, str]]


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
            maintenance.remove_source(settings, SOURCE)
    _write(settings, report)
    return report


def _look(settings: Settings, planted: Canaries) -> AuditReport:
    texts: Counter[str] = Counter()
    by_canary: dict[str, Counter[str]] = {}
    by_recognizer: dict[str, Counter[str]] = {}
    with connected(settings) as connection:
        for place, text in _everywhere(settings, every_text(connection)):
            texts[place] += 1
            if found := planted.found_in(text):
                by_canary.setdefault(place, Counter()).update(found)
        policies = {source: settings.masking_for(source) for source in (*known_sources(settings), SOURCE)}
        for source, passage in published_texts(connection):
            texts[f"passages of {source}"] += 1
            if found := find_personal_data(passage, policies[source]):
                by_recognizer.setdefault(f"passages of {source}", Counter()).update(found)
    leaks = [Leak(place, "canary", dict(found)) for place, found in sorted(by_canary.items())]
    leaks += [Leak(place, "recognizer", dict(found)) for place, found in sorted(by_recognizer.items())]
    return AuditReport(
        dt.datetime.now(dt.UTC),
        dict(Counter(planted.values.values())),
        tuple(Place(name, count) for name, count in sorted(texts.items())),
        tuple(leaks),
        BY_DESIGN,
    )


def _everywhere(settings: Settings, tables: Seen) -> Iterator[tuple[str, str]]:
    yield from tables
    for name, folder in (("Dagster's storage", prepare_dagster_home(settings)), ("logs", settings.home / "logs")):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and not path.is_symlink():
                yield from ((name, text) for text in _pieces(path))


def _pieces(path: Path) -> Iterator[str]:
    """A file as text, in pieces that overlap."""
    with path.open("rb") as file:
        before = b""
        while piece := file.read(_WINDOW):
            yield (before + piece).decode("utf-8", "replace")
            before = piece[-_OVERLAP:]


def _write(settings: Settings, report: AuditReport) -> None:
    folder = settings.home / "audits"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{report.at:%Y%m%dT%H%M%SZ}.json"
    path.write_text(json.dumps(asdict(report), default=str, indent=2, ensure_ascii=False), encoding="utf-8")
    path.chmod(0o600)
