"""The verb mask: what a policy does to texts, before it is trusted."""

from __future__ import annotations

import json
import sys
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
