"""Verbs that make an installation and keep it well: init, up, down, doctor, verify, plan."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.cli import tables
from kb_pipeline.cli.completing import SOURCE
from kb_pipeline.cli.obstacles import say_obstacles
from kb_pipeline.cli.options import WORDS, json_option, wide_option
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local.stack import ServiceStatus


@click.command()
@click.argument("place", metavar="[FOLDER|URL]", required=False, type=WORDS)
@click.option("--source", type=WORDS, help="Name of the source system (default: from the folder's name).")
@click.option("--force", is_flag=True, help="Write the file anew if it is there.")
@json_option
@click.pass_obj
def init(base: KnowledgeBase, place: str | None, source: str | None, force: bool, as_json: bool) -> None:
    """Write a commented kb.yaml for a FOLDER of your own documents, or for a bucket: s3://BUCKET/PREFIX."""
    begun = base.init(place, source, force=force)
    if as_json:
        console.print_json(begun)
        return
    console.say(f"{begun.path} written: source system {begun.source_system}. What to type next:")
    for command in begun.next:
        console.say(f"  {command}")


@click.command()
@json_option
@click.pass_obj
def up(base: KnowledgeBase, as_json: bool) -> None:
    """Start the embedded PostgreSQL and embedding server (idempotent)."""
    services = base.up((lambda _: None) if as_json else console.note)
    _show_services(services, as_json)


@click.command()
@json_option
@click.pass_obj
def down(base: KnowledgeBase, as_json: bool) -> None:
    """Stop the embedded stack; data stays."""
    services = base.down((lambda _: None) if as_json else console.note)
    _show_services(services, as_json)


def _show_services(services: list[ServiceStatus], as_json: bool) -> None:
    if as_json:
        console.print_json({"services": services})
    else:
        tables.show_services(services)


@click.command()
@json_option
@click.pass_obj
def doctor(base: KnowledgeBase, as_json: bool) -> None:
    """Check the installation; exit code 1 if something needs mending."""
    findings = base.doctor()
    if as_json:
        console.print_json({"findings": findings, "ok": all(f.ok for f in findings)})
    else:
        rows = [("ok" if f.ok else "MEND", f.name, f.detail, "" if f.ok else f.remedy) for f in findings]
        console.table("", ("", "check", "seen", "remedy"), rows)
    if not all(f.ok for f in findings):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("source", metavar="[NAME]", required=False, type=SOURCE)
@click.option("--deep", is_flag=True, help="Read every current artifact, and list the objects and the source too.")
@click.option("--repair", is_flag=True, help="Mend what can be mended, at once or by the next sync.")
@wide_option
@json_option
@click.pass_obj
def verify(base: KnowledgeBase, source: str | None, deep: bool, repair: bool, wide: bool, as_json: bool) -> None:
    """Check what must always hold, of source system NAME or of all; exit code 1 if something does not."""
    repaired = base.repair(source, deep=deep) if repair else None
    problems = repaired.problems if repaired else base.verify(source, deep=deep)
    obstacles = base.obstacles()
    if as_json:
        shown = [{name: getattr(problem, name) for name in SHOWN} for problem in problems]
        mended = {"mended": repaired.mended} if repaired else {}
        console.print_json({"problems": shown, **mended, "obstacles": obstacles})
    else:
        if repaired:
            console.say(f"{repaired.mended} mended, at once or by the next sync")
        if problems:
            tables.show_problems(problems, wide=wide)
        else:
            console.say("no problems")
        say_obstacles(obstacles)
    if problems:
        raise click.exceptions.Exit(1)


# Not the items that are to be mended: keys may be among them.
SHOWN = ("check", "source_system", "document", "document_id", "detail", "repairable")


@click.command()
@click.argument("names", nargs=-1, type=SOURCE)
@wide_option
@json_option
@click.pass_obj
def plan(base: KnowledgeBase, names: tuple[str, ...], wide: bool, as_json: bool) -> None:
    """What syncing NAMES, or all source systems, would do and cost. Nothing is written."""
    plans, obstacles = base.plan(*names), base.obstacles()
    if as_json:
        console.print_json({"plans": plans, "obstacles": obstacles})
    else:
        tables.show_plans(plans, wide=wide)
        say_obstacles(obstacles)
