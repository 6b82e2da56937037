"""Verbs that keep an installation well: up, down, doctor."""

from __future__ import annotations

import click

from kb_pipeline import console
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase
from kb_pipeline.local.stack import ServiceStatus


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
