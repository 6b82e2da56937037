"""Verbs that look: status, history, search, quarantine."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.cli import document_tables, tables
from kb_pipeline.cli.completing import DOCUMENT, SOURCE
from kb_pipeline.cli.options import WORDS, json_option, wide_option
from kb_pipeline.knowledge_base import KnowledgeBase


@click.command()
@wide_option
@json_option
@click.pass_obj
def status(base: KnowledgeBase, wide: bool, as_json: bool) -> None:
    """How the services, sources and embedding spaces stand."""
    found = base.status()
    if as_json:
        console.print_json(found)
        return
    console.say(f"KB_HOME: {base.settings.home}")
    tables.show_services(found.services, wide=wide)
    console.out.print()
    tables.show_sources(found.sources, wide=wide)
    console.out.print()
    tables.show_spaces(found.spaces, wide=wide)


@click.command()
@click.argument("document", type=DOCUMENT)
@click.option("--source", type=SOURCE, help="Only this source system.")
@wide_option
@json_option
@click.pass_obj
def history(base: KnowledgeBase, document: str, source: str | None, wide: bool, as_json: bool) -> None:
    """What became of DOCUMENT (an id, its beginning, or a name): its versions and its stages."""
    found = base.history(document, source)
    if as_json:
        console.print_json(found)
    else:
        document_tables.show_history(found, wide=wide)


@click.command()
@click.argument("text", type=WORDS)
@click.option("--source", type=SOURCE, help="Only this source system.")
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
        console.note("Nothing found. `kb status` shows what the knowledge base holds.")


@click.group()
def quarantine() -> None:
    """Documents that a stage could not take."""


@quarantine.command("list")
@click.option("--source", type=SOURCE, help="Only this source system.")
@wide_option
@json_option
@click.pass_obj
def quarantine_list(base: KnowledgeBase, source: str | None, wide: bool, as_json: bool) -> None:
    """Documents in quarantine, the newest first, with the reason and what to do."""
    found = base.quarantine(source)
    if as_json:
        console.print_json({"quarantined": found})
    else:
        document_tables.show_quarantined(found, wide=wide)


@quarantine.command("show")
@click.argument("document", type=DOCUMENT)
@click.option("--source", type=SOURCE, help="Only this source system.")
@json_option
@click.pass_obj
def quarantine_show(base: KnowledgeBase, document: str, source: str | None, as_json: bool) -> None:
    """Everything about one document in quarantine (an id, its beginning, or a name)."""
    found = base.quarantined(document, source)
    if as_json:
        console.print_json(found)
    else:
        document_tables.show_quarantined_document(found)


@quarantine.command("retry")
@click.argument("documents", nargs=-1, type=DOCUMENT)
@click.option("--source", type=SOURCE, help="All of this source system.")
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
        console.say(f"{count} to be tried again by the next sync")
