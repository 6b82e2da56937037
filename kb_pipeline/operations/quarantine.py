"""What to do about documents in quarantine."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kb_pipeline.core.errors import NotFound
from kb_pipeline.pipeline.opening import connected, known_sources, no_such_source
from kb_pipeline.settings import Settings

if TYPE_CHECKING:
    from kb_pipeline.store.views.finding import Found
    from kb_pipeline.store.views.history import QuarantinedDocument
    from kb_pipeline.store.views.overview import Quarantined

REMEDIES: Mapping[str, str] = {
    "UnsupportedFormat": "Save it in a format that is read, or leave it: nothing else waits for it.",
    "EncryptedDocument": "Put it into the source without its password.",
    "CorruptDocument": "Open it in its application and save it anew.",
    "NoText": "Give it a text layer, or leave it: there is nothing in it to search for.",
    "DocumentTooLarge": "Raise limits.document_mb, or split the document.",
    "UnusableKey": "Copy the object to another key, and delete this one.",
    "TimeLimitExceeded": "Raise limits.seconds, or split the document.",
    "MemoryLimitExceeded": "Raise limits.memory_mb, or split the document.",
    "GaveUp": "Mend what the message names last, then retry.",
    "WorkerCrashed": "Save it anew in its application.",
    "MaskingIncomplete": "Look at the document; if what it shows is harmless, report it.",
    "TextRejected": "Look at the log of the embedding server.",
    "UnexpectedError": "Report it: it is a defect of kb_pipeline. Retry after an upgrade.",
}


def listed(settings: Settings, source: str | None = None) -> list[Quarantined]:
    """Documents in quarantine, the newest first; of one source or of all. Raises NotFound."""
    from kb_pipeline.store.views import overview

    _refuse_unknown(settings, source)
    with connected(settings) as connection:
        return overview.quarantined(connection, source)


def _refuse_unknown(settings: Settings, source: str | None) -> None:
    known = known_sources(settings)
    if source is not None and source not in known:
        raise no_such_source(source, known)


def retry(settings: Settings, documents: Sequence[str] | None = None, source: str | None = None) -> int:
    """Let the next sync try again what is in quarantine: `documents` by id, its beginning, or name, or all; of one
    source or of any. Returns how many. Raises NotFound, before anything is marked, for one that is not there."""
    from kb_pipeline.store.views import overview
    from kb_pipeline.store.views.finding import find_document

    _refuse_unknown(settings, source)
    with connected(settings) as connection:
        if documents is None:
            return overview.retry(connection, None, source)
        held = [item.document_id for item in overview.quarantined(connection, source, limit=None)]
        wanted = []
        for text in documents:
            found = text
            if not any(one.startswith(text) for one in held):
                found = _named(text, lambda name: find_document(connection, name, source)).document_id
                if found not in held:
                    raise NotFound(f"{text} is not in quarantine.", f"`kb history {found[:12]}` shows how it stands.")
            wanted.append(found)
        return overview.retry(connection, wanted, source)


def _named(text: str, find: Callable[[str], Found]) -> Found:
    try:
        return find(text)
    except NotFound as error:
        raise NotFound(f"{text}: {error.message}", "`kb quarantine list` shows what is there.") from None


@dataclass(frozen=True, slots=True)
class QuarantineReport:
    """A document in quarantine, what to do about its kind of error, and the command that tries it again."""

    document: QuarantinedDocument
    remedy: str
    retry: str


def show(settings: Settings, text: str, source: str | None = None) -> QuarantineReport:
    """Everything about one document in quarantine. Raises NotFound when none has that name, or it is not there."""
    from kb_pipeline.store.views.finding import find_document
    from kb_pipeline.store.views.history import quarantined_document

    with connected(settings) as connection:
        found = find_document(connection, text, source)
        document = quarantined_document(connection, found.document_id)
    if document is None:
        raise NotFound(f"{found} is not in quarantine.", f"`kb history {found.document_id[:12]}` shows how it stands.")
    retry = f"kb quarantine retry {found.document_id[:12]} && kb sync {found.source_system}"
    return QuarantineReport(document, REMEDIES.get(document.error_class, ""), retry)
