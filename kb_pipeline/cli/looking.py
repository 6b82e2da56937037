"""Verbs that look: status, history, search, quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb_pipeline import console
from kb_pipeline.cli.operating import show_services
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.store.views.freshness import SourceStatus


@click.command()
@json_option
@click.pass_obj
def status(base: KnowledgeBase, as_json: bool) -> None:
    """How the services, sources and embedding spaces stand."""
    found = base.status()
    if as_json:
        console.print_json(found)
        return
    show_services(found.services, as_json=False)
    columns = ("source system", "documents", "quarantined", "deleted", "chunks")
    rows = [(s.source_system, s.documents, s.quarantined, s.deleted, s.chunks) for s in found.sources]
    console.table("sources", columns, rows, numbers=columns[1:])
    _show_freshness(found.sources)
    spaces = [(s.space_id, s.model, s.dimension, s.status, s.rows) for s in found.spaces]
    console.table("spaces", ("space", "model", "dimension", "status", "rows"), spaces, numbers=("dimension", "rows"))


def _show_freshness(sources: list[SourceStatus]) -> None:
    numbers = ("hints", "lag s", "gone", "backlog", "waiting")
    columns = ("source system", "state", *numbers, "tried again", "checked", "published")
    rows = [
        (
            s.source_system,
            s.state,
            s.hints,
            round(s.lag_seconds),
            s.gone,
            s.backlog,
            s.waiting,
            console.when(s.retry_at),
            console.when(s.checked_at),
            console.when(s.published_at),
        )
        for s in sources
    ]
    console.table("freshness (times in UTC)", columns, rows, numbers=numbers)
    for s in sources:
        if s.brake:
            console.say(
                f"{s.source_system}: deletes wait: {s.brake.get('gone')} of {s.brake.get('live')} documents are gone."
                f" If that is right: kb sync {s.source_system} --confirm-deletes",
                "yellow",
            )


@click.command()
@click.argument("document")
@click.option("--source", help="Only this source system.")
@json_option
@click.pass_obj
def history(base: KnowledgeBase, document: str, source: str | None, as_json: bool) -> None:
    """What became of DOCUMENT (an id, its beginning, or a name): its versions and its stages."""
    found = base.history(document, source)
    if as_json:
        console.print_json(found)
        return
    until = f" until {console.when(found.retry_at)}" if found.retry_at else ""
    console.say(f"{found.source_system}/{found.name}", "cyan")
    console.say(f"{found.document_id}: {found.state}{until}; searches find {found.chunks} passages of it")
    versions = [
        (v.content_hash[:12], console.when(v.seen_at), console.when(v.published_at), console.when(v.withdrawn_at))
        for v in found.versions
    ]
    console.table("versions (times in UTC)", ("content", "seen", "published", "withdrawn"), versions)
    columns = ("stage", "status", "fingerprint", "bytes", "rows", "attempts", "seconds", "error", "run", "at")
    stages = [
        (
            s.stage,
            s.status,
            (s.fingerprint or "")[:12],
            "" if s.size is None else s.size,
            "" if s.rows is None else s.rows,
            s.attempts,
            "" if s.seconds is None else s.seconds,
            s.error_class or "",
            (s.run_id or "")[:8],
            console.when(s.at),
        )
        for s in found.stages
    ]
    console.table("stages", columns, stages, numbers=("bytes", "rows", "attempts", "seconds"))
    for s in found.stages:
        if s.error_message:
            console.say(f"{s.stage}: {s.error_message}")


@click.command()
@click.argument("text")
@click.option("--source", help="Only this source system.")
@click.option("--limit", default=5, show_default=True, type=click.IntRange(1, 200))
@json_option
@click.pass_obj
def search(base: KnowledgeBase, text: str, source: str | None, limit: int, as_json: bool) -> None:
    """Find the passages that best answer TEXT, by meaning and by word."""
    results = base.search(text, source, limit)
    if as_json:
        console.print_json({"results": results, "answered_by": results.answered_by, "reason": results.reason})
        return
    if results.reason:
        console.err.print(f"Answered by words alone: {results.reason}", markup=False, soft_wrap=True)
    console.show_results(results)
    if not results:
        console.err.print("Nothing found. `kb status` shows what the knowledge base holds.")


@click.group()
def quarantine() -> None:
    """Documents that a stage could not take."""


@quarantine.command("list")
@click.option("--source", help="Only this source system.")
@json_option
@click.pass_obj
def quarantine_list(base: KnowledgeBase, source: str | None, as_json: bool) -> None:
    """Documents in quarantine, the newest first, with the reason and what to do."""
    found = base.quarantine(source)
    if as_json:
        console.print_json({"quarantined": found})
        return
    rows = [(q.source_system, q.name, q.stage, q.error_class, q.error_message, q.document_id[:12]) for q in found]
    console.table("", ("source", "document", "stage", "reason", "message", "id"), rows)


@quarantine.command("show")
@click.argument("document")
@click.option("--source", help="Only this source system.")
@json_option
@click.pass_obj
def quarantine_show(base: KnowledgeBase, document: str, source: str | None, as_json: bool) -> None:
    """Everything about one document in quarantine (an id, its beginning, or a name)."""
    found = base.quarantined(document, source)
    if as_json:
        console.print_json(found)
        return
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
        ("size in bytes", "" if d.size is None else d.size),
        ("version", d.content_hash or ""),
        ("still searchable", still),
        ("try again", found.retry),
    ]
    console.table("", ("", "in quarantine"), rows)


@quarantine.command("retry")
@click.argument("documents", nargs=-1)
@click.option("--source", help="All of this source system.")
@click.option("--all", "everything", is_flag=True, help="All of every source system.")
@json_option
@click.pass_obj
def quarantine_retry(
    base: KnowledgeBase, documents: tuple[str, ...], source: str | None, everything: bool, as_json: bool
) -> None:
    """Let the next sync try documents again: by id (or its beginning), or all of a source."""
    if not (documents or source or everything):
        raise click.UsageError("name documents, or use --source NAME or --all")
    count = base.retry(list(documents) or None, source)
    if as_json:
        console.print_json({"retried": count})
    else:
        console.out.print(f"{count} to be tried again by the next sync")
