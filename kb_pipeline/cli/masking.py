"""The verbs mask (what a policy does to texts, before it is trusted) and audit (whether anything got through)."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import TextIO

import click

from kb_pipeline import console
from kb_pipeline.cli.options import json_option
from kb_pipeline.knowledge_base import KnowledgeBase


@click.command()
@click.argument("file", type=click.File(encoding="utf-8"), default="-")
@click.option("--source", help="The source system whose policy holds (default: the defaults of kb.yaml).")
@json_option
@click.pass_obj
def mask(base: KnowledgeBase, file: TextIO, source: str | None, as_json: bool) -> None:
    """Mask JSON lines {"text": ..., "lang": ...} from FILE or standard input. Writes a line for each: {"text",
    "masked", "spans": [{"start", "end", "label"}]}, always as JSON. Nothing is stored, no service is asked."""
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        sample = base.mask(_text_of(line, number), source)
        json.dump(console.plain(sample), sys.stdout, ensure_ascii=False)
        sys.stdout.write("\n")


def _text_of(line: str, number: int) -> str:
    try:
        text = json.loads(line)["text"]
    except (ValueError, KeyError, TypeError):
        text = None
    if not isinstance(text, str):
        raise click.UsageError(f'Line {number} is no JSON object with a "text".')
    return text


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
        found = {(leak.place, leak.how): leak.entities for leak in report.leaks}
        told = {p.name: [_told(found, p.name, how) for how in ("canary", "recognizer")] for p in report.places}
        rows = [(place.name, place.texts, *told[place.name]) for place in report.places]
        console.table("looked through", ("place", "texts", "canaries", "recognizers"), rows, numbers=("texts",))
        console.say("nothing found" if report.clean else "personal data was found", "" if report.clean else "red")
    if not report.clean:
        raise click.exceptions.Exit(1)


def _told(found: Mapping[tuple[str, str], Mapping[str, int]], place: str, how: str) -> str:
    return ", ".join(f"{entity} {count}" for entity, count in sorted(found.get((place, how), {}).items()))
