"""The verb remember: the way back from forget."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.cli.completing import SOURCE
from kb_pipeline.cli.options import WORDS, json_option
from kb_pipeline.knowledge_base import KnowledgeBase


@click.command()
@click.argument("document", type=WORDS)
@click.option("--source", type=SOURCE, help="Only this source system.")
@json_option
@click.pass_obj
def remember(base: KnowledgeBase, document: str, source: str | None, as_json: bool) -> None:
    """Let the next sync take a forgotten DOCUMENT in again (its id, its beginning, or SOURCE/KEY as it was)."""
    found = base.remember(document, source)
    if as_json:
        console.print_json({"document_id": found.document_id, "source_system": found.source_system})
        return
    console.say(
        f"{found.document_id[:12]} of {found.source_system} is no longer forgotten: `kb sync {found.source_system}`"
        " takes it in if the source still has it, `kb ingest` if the folder has it"
    )
