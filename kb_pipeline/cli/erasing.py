"""Verbs that take away: gc, forget, source remove; and the other ends of `kb source`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb_pipeline import console
from kb_pipeline.cli.options import confirmed, json_option, yes_option
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.store.erasing.erase import Erased


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
    rows = [(stage, count) for stage, count in found.by_stage.items()]
    rows += [("clear text past its retention", found.cleared)] if found.cleared else []
    rows += [("objects without a row", found.objects_orphaned), ("expired documents", found.documents_expired)]
    console.table("collected" if apply else "would be collected", ("", "count"), rows, numbers=("count",))
    console.say(f"{found.bytes / 1e6:.1f} MB" + ("" if apply else "; `kb gc --apply` collects it"))


@click.command()
@click.argument("document")
@click.option("--source", help="Only this source system.")
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
    _show_erased(f"forgotten: {done.document_id[:12]} of {done.source_system}", done.erased)
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
    rows = [
        (
            s.source_system,
            s.description,
            "yes" if s.configured else "no",
            "removed" if s.removed else "yes" if s.in_ledger else "no",
            console.when(s.listed_at),
        )
        for s in found
    ]
    columns = ("source system", "description", "in kb.yaml", "in the ledger", "listing changed (UTC)")
    console.table("", columns, rows)
    for s in found:
        if s.forgotten:
            console.say(f"{s.source_system}: {s.forgotten} documents are forgotten: no sync takes them in")


@source.command("add")
@click.argument("name")
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
@click.argument("name")
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
    _show_erased(f"removed: {name}", erased)
    console.say(f"Its objects stay below raw/{name}/: delete them there. `kb source add {name}` brings it back.")


def _show_erased(title: str, erased: Erased) -> None:
    rows = [("documents", erased.documents)]
    rows += [(f"kb.{table}", count) for table, count in erased.rows.items()]
    rows += [(f"artifacts/{root}/", count) for root, count in erased.objects.items()]
    console.table(title, ("from", "erased"), rows, numbers=("erased",))
    if erased.kept:
        console.say(f"{erased.kept} artifacts stay: other documents use them")
