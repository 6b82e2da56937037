"""Verbs that do work: ingest, sync, demo. Dagster is loaded by these alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from kb_pipeline import console
from kb_pipeline.cli.ingesting import say_left_out, show_plan
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.pipeline.reports import SyncReport


_confirm_option = click.option(
    "--confirm-deletes", is_flag=True, help="Delete what is gone from the source, although it is a large share of it."
)
_rehash_option = click.option("--rehash", is_flag=True, help="Read every object's bytes, whatever its ETag and time.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--source", required=True, help="Source system: lower-case letters, digits, '-' and '_'.")
@click.option("--dry-run", is_flag=True, help="Only say what would be uploaded, replaced, removed and left out.")
@_confirm_option
@_rehash_option
@json_option
@click.pass_obj
def ingest(
    base: KnowledgeBase,
    folder: str,
    source: str,
    dry_run: bool,
    confirm_deletes: bool,
    rehash: bool,
    as_json: bool,
) -> None:
    """Make a source system mirror FOLDER, then sync it. Files gone from FOLDER are deleted from the source."""
    if dry_run:
        show_plan(base, folder, source, confirm_deletes=confirm_deletes, as_json=as_json)
        return
    with console.progress_shown():
        report = base.ingest(folder, source, confirm_deletes=confirm_deletes, rehash=rehash)
    if as_json:
        console.print_json({**console.plain(report.sync), "mirror": report.mirror})
        _end_braked([report.sync])
        return
    m = report.mirror
    console.out.print(f"{source}: {m.uploaded} uploaded, {m.unchanged} unchanged, {m.deleted} deleted")
    for name in m.failed:
        console.err.print(f"could not be read: {name}", markup=False)
    say_left_out(source, m)
    _show_sync(report.sync)
    _end_braked([report.sync])


@click.command()
@click.argument("names", nargs=-1)
@click.option("--key", "keys", multiple=True, help="Look at this key of the source alone; may be repeated.")
@click.option("--full", is_flag=True, help="Compare the whole listing, even if it is the one compared last.")
@_confirm_option
@_rehash_option
@json_option
@click.pass_obj
def sync(
    base: KnowledgeBase,
    names: tuple[str, ...],
    keys: tuple[str, ...],
    full: bool,
    confirm_deletes: bool,
    rehash: bool,
    as_json: bool,
) -> None:
    """Bring source systems in step: NAMES, or all. With --json one object a source."""
    if keys and len(names) != 1:
        raise click.UsageError("--key needs the name of one source system")
    with console.progress_shown():
        reports = base.sync(*names, confirm_deletes=confirm_deletes, rehash=rehash, full=full, keys=list(keys) or None)
    for report in reports:
        if as_json:
            console.print_json(report)
        else:
            _show_sync(report)
    _end_braked(reports)


def _end_braked(reports: Sequence[SyncReport]) -> None:
    """Deletes that wait for a word are an error of their own, after everything else was done."""
    from kb_pipeline.pipeline.reports import deletes_unconfirmed

    for report in reports:
        if report.brake:
            raise deletes_unconfirmed(report.source_system, report.brake)


def _show_sync(report: Any) -> None:
    columns = ("stage", "considered", "done", "reused", "quarantined", "waiting", "seconds")
    rows = [
        (name, s["considered"], s["done"], s["reused"], s["quarantined"], s["failed"], s["seconds"])
        for name, s in report.stages.items()
    ]
    runs = "no run" if not report.runs else f"run {report.run_id[:8]}" if report.runs == 1 else f"{report.runs} runs"
    title = f"{report.source_system}: {runs}, {report.seconds:.1f} s"
    console.table(title, columns, rows, numbers=columns[1:])
    console.out.print(
        f"object reads {report.object_reads}, object writes {report.object_writes}, "
        f"model calls {report.model_calls}, texts embedded {report.model_texts}"
    )
    if not report.object_reads and not any(s["done"] or s["deleted"] or s["failed"] for s in report.stages.values()):
        console.out.print(f"{report.source_system}: nothing changed")


@click.command()
@json_option
@click.pass_obj
def demo(base: KnowledgeBase, as_json: bool) -> None:
    """Run the main job on about thirty documents of our own and show three searches."""
    from kb_pipeline.demo.showing import run_demo, show_demo

    report = run_demo(base)
    if as_json:
        console.print_json(report)
    else:
        show_demo(report)
