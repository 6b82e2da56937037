"""Verbs that take away: gc, forget, source remove; and the other ends of `kb source`."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.cli import tables
from kb_pipeline.cli.completing import DOCUMENT, SOURCE
from kb_pipeline.cli.options import confirmed, json_option, yes_option
from kb_pipeline.knowledge_base import KnowledgeBase


@click.command()
@click.option("--apply", is_flag=True, help="Collect it. Without this, only say what would go.")
@json_option
@click.pass_obj
def gc(base: KnowledgeBase, apply: bool, as_json: bool) -> None:
    """Collect artifacts that nothing needs any more, and objects that no row names. A dry run unless --apply."""
    found = base.collect(dry_run=not apply)
    if as_json:
        console.print_json({"applied": apply, **console.plain(found)})
        return
    tables.show_collected(found, applied=apply)


@click.command()
@click.argument("document", type=DOCUMENT)
@click.option("--source", type=SOURCE, help="Only this source system.")
@yes_option
@json_option
@click.pass_obj
def forget(base: KnowledgeBase, document: str, source: str | None, yes: bool, as_json: bool) -> None:
    """Erase what was made of DOCUMENT (an id, its beginning, or a name) at once; no later sync brings it back."""
    found = base.find(document, source)
    confirmed(yes, f"Erase {found} and everything made of it?")
    done = base.forget(found.document_id, found.source_system)
    if as_json:
        console.print_json(done)
        return
    tables.show_erased(f"forgotten: {done.document_id[:12]} of {done.source_system}", done.erased)
    if done.erased.copies:
        console.say(
            f"{done.erased.copies} other documents hold the same bytes: they stay, with what they share", "yellow"
        )
    console.say("The object itself stays in the source: delete it there.")
    console.say(f"To take the document in again: kb remember {done.document_id}")


@click.group()
def source() -> None:
    """Source systems: list, add, remove."""


@source.command("list")
@json_option
@click.pass_obj
def source_list(base: KnowledgeBase, as_json: bool) -> None:
    """Source systems of kb.yaml and of the ledger, removed ones too."""
    found = base.known_sources()
    if as_json:
        console.print_json({"sources": found})
        return
    tables.show_known(found)


@source.command("add")
@click.argument("name", type=SOURCE)
@json_option
@click.pass_obj
def source_add(base: KnowledgeBase, name: str, as_json: bool) -> None:
    """Look after a source system from now on; one that was removed comes back."""
    found = base.add_source(name)
    if as_json:
        console.print_json(found)
        return
    console.say(f"{name} is looked after: put its documents below raw/{name}/, then `kb sync {name}`")


@source.command("remove")
@click.argument("name", type=SOURCE)
@yes_option
@json_option
@click.pass_obj
def source_remove(base: KnowledgeBase, name: str, yes: bool, as_json: bool) -> None:
    """Erase a source system from every table, space and artifact. Its raw documents stay where they lie."""
    confirmed(yes, f"Erase source system {name} and everything made of its documents?")
    erased = base.remove_source(name)
    if as_json:
        console.print_json({"source_system": name, "erased": erased})
        return
    tables.show_erased(f"removed: {name}", erased)
    console.say(f"Its objects stay below raw/{name}/: delete them there. `kb source add {name}` brings it back.")
