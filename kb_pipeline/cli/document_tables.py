"""One document as people read it: its history, and why it is in quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kb_pipeline import console
from kb_pipeline.cli.tables import given

if TYPE_CHECKING:
    from kb_pipeline.operations.quarantine import QuarantineReport
    from kb_pipeline.store.views.history import DocumentHistory, StageHistory
    from kb_pipeline.store.views.overview import Quarantined


def show_history(found: DocumentHistory, *, wide: bool = False) -> None:
    """A document's versions and stages."""
    until = f" until {console.when(found.retry_at)} UTC" if found.retry_at else ""
    console.say(f"{found.source_system}/{found.name}", "cyan")
    console.say(f"{found.document_id}: {found.state}{until}; searches find {found.chunks} passages of it")
    columns = ("content", "seen (UTC)", "published (UTC)", "withdrawn (UTC)")
    versions = [
        (v.content_hash[:12], console.when(v.seen_at), console.when(v.published_at), console.when(v.withdrawn_at))
        for v in found.versions
    ]
    console.out.print()
    console.table("versions", columns, versions, whole=columns)
    console.out.print()
    _show_stages(found.stages, wide=wide)
    for s in found.stages:
        if s.error_message:
            console.say(f"{s.stage}: {s.error_message}")


def _show_stages(stages: Sequence[StageHistory], *, wide: bool) -> None:
    columns = (
        *("stage", "variant", "status", "fingerprint", "bytes", "rows", "attempts", "seconds"),
        *("at (UTC)", "run", "error"),
    )
    rows = [
        (
            *(s.stage, s.variant, s.status, (s.fingerprint or "")[:12], given(s.size), given(s.rows), s.attempts),
            *(given(s.seconds), console.when(s.at), (s.run_id or "")[:8], s.error_class or ""),
        )
        for s in stages
    ]
    console.table(
        "stages",
        columns,
        rows,
        numbers=("bytes", "rows", "attempts", "seconds"),
        whole=columns[:-1],
        extra=("variant", "fingerprint", "bytes", "attempts", "run"),
        wide=wide,
    )


def show_quarantined(found: Sequence[Quarantined], *, wide: bool = False) -> None:
    """What is in quarantine, with ids that the other verbs take."""
    if not found:
        console.say("nothing in quarantine")
        return
    columns = ("id", "document", "stage", "media type", "attempts", "since (UTC)", "reason")
    rows = [
        (
            *(q.document_id[:12], f"{q.source_system}/{q.name}", q.stage, q.media_type, q.attempts),
            *(console.when(q.since), f"{q.error_class}: {q.error_message}"),
        )
        for q in found
    ]
    extra = ("stage", "media type", "attempts", "since (UTC)")
    console.table("", columns, rows, numbers=("attempts",), whole=("id",), extra=extra, wide=wide)


def show_quarantined_document(found: QuarantineReport) -> None:
    """Everything about one document in quarantine."""
    d = found.document
    still = f"yes: {d.searchable} passages of an older version" if d.searchable else "no"
    rows = [
        ("document", f"{d.source_system}/{d.name}"),
        ("id", d.document_id),
        ("stage", d.stage),
        ("reason", d.error_class),
        ("message", d.error_message),
        ("what to do", found.remedy),
        ("attempts", d.attempts),
        ("since (UTC)", console.when(d.since)),
        ("media type", d.media_type or ""),
        ("size in bytes", given(d.size)),
        ("version", d.content_hash or ""),
        ("still searchable", still),
        ("try again", found.retry),
    ]
    console.table("", ("", "in quarantine"), rows, whole=("",))
