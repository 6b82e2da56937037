"""The verbs mask (what a policy does to texts, before it is trusted) and audit (whether anything got through)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

import click

from kb_pipeline import console
from kb_pipeline.cli.completing import SOURCE
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase

if TYPE_CHECKING:
    from kb_pipeline.auditing import AuditReport


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"), default="-")
@click.option("--source", type=SOURCE, help="The source system whose policy holds (default: the defaults of kb.yaml).")
@json_option
@click.pass_obj
def mask(base: KnowledgeBase, file: TextIO, source: str | None, as_json: bool) -> None:
    """Mask JSON lines {"text": ..., "lang": ...} from FILE or standard input. Writes a line for each: {"text",
    "masked", "spans": [{"start", "end", "label"}]}, always as JSON. Nothing is stored, no service is asked."""
    try:
        for number, line in enumerate(file, 1):
            if line.strip():
                sample = base.mask(_text_of(line, number), source)
                json.dump(console.plain(sample), sys.stdout, ensure_ascii=False)
                sys.stdout.write("\n")
    except UnicodeDecodeError:
        raise click.UsageError("FILE holds bytes that are not UTF-8.") from None


def _text_of(line: str, number: int) -> str:
    try:
        text = json.loads(line)["text"]
        text.encode("utf-8")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise click.UsageError(f'Line {number} is no JSON object with a "text".') from None
    return str(text)


@click.command()
@click.option("--no-canaries", is_flag=True, help="Only look; plant nothing, sync nothing.")
@json_option
@click.pass_obj
def audit(base: KnowledgeBase, no_canaries: bool, as_json: bool) -> None:
    """Look everywhere for personal data that masking should have caught: canaries are planted, synced, looked for in
    every table, in Dagster's storage and the logs, and taken away again. Exit code 1 if anything is found."""
    report = base.audit(plant=not no_canaries, on_event=(lambda _: None) if as_json else console.say)
    if as_json:
        console.print_json({**console.plain(report), "clean": report.clean})
    else:
        show_audit(report)
    if not report.clean:
        raise click.exceptions.Exit(1)


def show_audit(report: AuditReport) -> None:
    """Every place that was looked through, and what was found there."""
    found = {(leak.place, leak.how): leak.entities for leak in report.leaks}
    told = {p.name: [_told(found, p.name, how) for how in ("canary", "recognizer")] for p in report.places}
    rows = [(place.name, place.texts, *told[place.name]) for place in report.places]
    columns = ("place", "texts", "canaries", "recognizers")
    console.table("looked through", columns, rows, numbers=("texts",), whole=("texts",))
    console.say("nothing found" if report.clean else "personal data was found", "" if report.clean else "red")


def _told(found: Mapping[tuple[str, str], Mapping[str, int]], place: str, how: str) -> str:
    return ", ".join(f"{entity} {count}" for entity, count in sorted(found.get((place, how), {}).items()))
