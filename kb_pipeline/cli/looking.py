"""Verbs that look: status, search, quarantine."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.cli.operating import show_services
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase


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
    spaces = [(s.space_id, s.model, s.dimension, s.status, s.rows) for s in found.spaces]
    console.table("spaces", ("space", "model", "dimension", "status", "rows"), spaces, numbers=("dimension", "rows"))


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
        console.print_json({"results": results})
        return
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
