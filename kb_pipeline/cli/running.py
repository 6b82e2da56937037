"""Verbs that do work: ingest, sync, demo. Dagster is loaded by these alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import click

from kb_pipeline import console
from kb_pipeline.cli import tables
from kb_pipeline.cli.completing import SOURCE
from kb_pipeline.cli.ingesting import say_left_out, show_plan
from kb_pipeline.cli.options import WORDS, json_option
from kb_pipeline.core.errors import KbError, SourcesFailed
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.pipeline.reports import SyncReport


_confirm_option = click.option(
    "--confirm-deletes", is_flag=True, help="Delete what is gone from the source, although it is a large share of it."
)
_rehash_option = click.option("--rehash", is_flag=True, help="Read every object's bytes, whatever its ETag and time.")


@click.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False))
@click.option("--source", required=True, type=SOURCE, help="Source system: lower-case letters, digits, '-' and '_'.")
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
    with console.progress_shown(as_json=as_json, setting=base.settings.progress):
        report = base.ingest(folder, source, confirm_deletes=confirm_deletes, rehash=rehash)
    m = report.mirror
    for name in m.failed:
        console.note(f"could not be read: {name}")
    if as_json:
        console.print_json({**console.plain(report.sync), "mirror": m})
    else:
        console.say(f"{source}: {m.uploaded} uploaded, {m.unchanged} unchanged, {m.deleted} deleted")
        say_left_out(source, m)
        tables.show_sync(report.sync)
    _end(_braked([report.sync]), as_json, unread=len(m.failed))


@click.command()
@click.argument("names", nargs=-1, type=SOURCE)
@click.option("--key", "keys", multiple=True, type=WORDS, help="Look at this key of the source alone; may be repeated.")
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
    reports: Sequence[SyncReport]
    errors: Mapping[str, KbError] = {}
    with console.progress_shown(as_json=as_json, setting=base.settings.progress):
        try:
            reports = base.sync(
                *names, confirm_deletes=confirm_deletes, rehash=rehash, full=full, keys=list(keys) or None
            )
        except SourcesFailed as failed:
            reports, errors = failed.reports, failed.errors
    for report in reports:
        if as_json:
            console.print_json(report)
        else:
            tables.show_sync(report)
    _end([*errors.items(), *_braked(reports)], as_json, several=len(reports) + len(errors) > 1)


def _braked(reports: Sequence[SyncReport]) -> list[tuple[str, KbError]]:
    """Deletes that wait for a word are an error of their own, after everything else was done."""
    from kb_pipeline.pipeline.reports import deletes_unconfirmed

    return [(r.source_system, deletes_unconfirmed(r.source_system, r.brake)) for r in reports if r.brake]


def _end(errors: Sequence[tuple[str, KbError]], as_json: bool, *, several: bool = False, unread: int = 0) -> None:
    """Show what stopped each source, with its name if there are `several`. End with the exit code of the first, or with
    1 when files were not read."""
    debug = click.get_current_context().find_root().meta.get("debug", False)
    for source, error in errors:
        console.show_error(error, as_json=as_json, source=source if several else "", debug=debug)
    if unread:
        raise click.exceptions.Exit(1)
    if errors:
        raise click.exceptions.Exit(errors[0][1].exit_code)


@click.command()
@json_option
@click.pass_obj
def demo(base: KnowledgeBase, as_json: bool) -> None:
    """Run the main job on about thirty documents of our own and show three searches."""
    from kb_pipeline.demo.showing import run_demo, show_demo

    report = run_demo(base, as_json=as_json)
    if as_json:
        console.print_json(report)
    else:
        show_demo(report)
