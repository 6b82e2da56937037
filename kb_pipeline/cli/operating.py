"""Verbs that keep an installation well: up, down, doctor, verify, plan."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from kb_pipeline import console
from kb_pipeline.cli.obstacles import say_obstacles
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local.stack import ServiceStatus

if TYPE_CHECKING:
    from kb_pipeline.operations.forecasting import SourcePlan


@click.command()
@json_option
@click.pass_obj
def up(base: KnowledgeBase, as_json: bool) -> None:
    """Start the embedded PostgreSQL and embedding server (idempotent)."""
    services = base.up((lambda _: None) if as_json else console.err.print)
    show_services(services, as_json)


@click.command()
@json_option
@click.pass_obj
def down(base: KnowledgeBase, as_json: bool) -> None:
    """Stop the embedded stack; data stays."""
    services = base.down((lambda _: None) if as_json else console.err.print)
    show_services(services, as_json)


def show_services(services: list[ServiceStatus], as_json: bool) -> None:
    """The services of the embedded stack."""
    if as_json:
        console.print_json({"services": services})
        return
    rows = [(s.name, "up" if s.running else "down", s.port or "", s.pid or "", s.detail) for s in services]
    console.table("", ("service", "state", "port", "pid", "detail"), rows)


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
@click.argument("source", metavar="[NAME]", required=False)
@click.option("--deep", is_flag=True, help="Read every current artifact, and list the objects and the source too.")
@click.option("--repair", is_flag=True, help="Mend what can be mended, at once or by the next sync.")
@json_option
@click.pass_obj
def verify(base: KnowledgeBase, source: str | None, deep: bool, repair: bool, as_json: bool) -> None:
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
        rows = [(p.source_system, p.document, p.check, p.detail, "yes" if p.repairable else "no") for p in problems]
        if rows:
            console.table("problems", ("source system", "document", "check", "what is wrong", "can be mended"), rows)
        else:
            console.say("no problems")
        say_obstacles(obstacles)
    if problems:
        raise click.exceptions.Exit(1)


# Not the items that are to be mended: keys may be among them.
SHOWN = ("check", "source_system", "document", "document_id", "detail", "repairable")


@click.command()
@click.argument("names", nargs=-1)
@json_option
@click.pass_obj
def plan(base: KnowledgeBase, names: tuple[str, ...], as_json: bool) -> None:
    """What syncing NAMES, or all source systems, would do and cost. Nothing is written."""
    plans, obstacles = base.plan(*names), base.obstacles()
    if as_json:
        console.print_json({"plans": plans, "obstacles": obstacles})
        return
    numbers = ("objects", "documents", "add", "change", "move", "delete", "unsettled", "MB to read")
    rows = [
        (
            p.source_system,
            p.listed,
            p.live,
            p.add,
            p.change,
            p.move,
            p.delete,
            sum(p.unsettled.values()),
            f"{p.bytes_to_read / 1e6:.1f}",
        )
        for p in plans
    ]
    console.table("what a sync would do", ("source system", *numbers), rows, numbers=numbers)
    for p in plans:
        _show_estimate(p)
    say_obstacles(obstacles)


def _show_estimate(p: SourcePlan) -> None:
    e = p.estimate
    if e.documents:
        basis = ", ".join(f"{count} by {BASIS[name]}" for name, count in e.basis.items())
        console.say(
            f"{p.source_system}: at most {e.chunks} chunks, {e.tokens} tokens and {e.model_seconds:g} seconds of the"
            f" model for {e.documents} documents (estimated: {basis})"
        )
    if p.left_out:
        console.say(f"{p.source_system}: {p.left_out} objects are left out by patterns (exclude in kb.yaml)")
    if p.held:
        console.say(
            f"{p.source_system}: {p.held} documents are in although patterns exclude their names: they stay until"
            f" `kb sync {p.source_system} --confirm-deletes`",
            "yellow",
        )
    for stage, count in p.unsettled.items():
        console.say(f"{p.source_system}: {count} unchanged documents have work left, from {stage} on")
    if p.brake:
        console.say(
            f"{p.source_system}: {p.delete} of {p.live} documents are gone: a sync would delete nothing before"
            f" --confirm-deletes",
            "yellow",
        )


BASIS = {
    "kind": "their kind in this source",
    "source": "this source",
    "all": "all sources",
    "default": "rules of thumb: there is no history yet",
}
