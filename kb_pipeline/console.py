"""What the command line shows: progress while work goes on, tables of results, errors with their remedy."""

from __future__ import annotations

import json
import logging
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from kb_pipeline.core.errors import KbError

# Of standard output's own terminal, not of one that standard error has: off a terminal COLUMNS, or 80.
out = Console(width=shutil.get_terminal_size().columns)
err = Console(stderr=True)
PROGRESS_LOGGER = "kb_pipeline.progress"


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    out.print(json.dumps(plain(value), ensure_ascii=False, default=str), soft_wrap=True, highlight=False, markup=False)


def plain(value: Any) -> Any:
    """Dataclasses to dicts, deeply."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    numbers: Sequence[str] = (),
    whole: Sequence[str] = (),
    extra: Sequence[str] = (),
    wide: bool = False,
) -> None:
    """A table that fits the width: cells fold, nothing is cut off.

    Columns named in `numbers` are set flush right, those in `whole` never fold (ids, for people copy them). Those in
    `extra` are left out unless `wide`: such a table takes the width that it needs, whatever the terminal's.
    """
    shown = [number for number, column in enumerate(columns) if wide or column not in extra]
    drawn = Table(title=title or None, title_justify="left", header_style="bold", title_style="bold", **_PLAIN)
    for name in (columns[number] for number in shown):
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        drawn.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
    for row in rows:
        drawn.add_row(*(Text(str(row[number])) for number in shown))
    if wide:
        wanted = Measurement.get(out, out.options.update(max_width=MOST_WIDTH), drawn).maximum
        drawn.width = wanted if wanted > out.width else None
    out.print(drawn, crop=False)


# Rules between columns would take a third of a narrow line.
_PLAIN: dict[str, Any] = {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "padding": (0, 1, 0, 0)}
MOST_WIDTH = 1000


def when(time: datetime | None) -> str:
    """A time as tables show it: UTC, to the second; empty without one."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time else ""


def say(text: str, style: str = "") -> None:
    """A line as it is: wrapped at words on a terminal, whole in a file or a pipe."""
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=not out.is_terminal)


def show_results(results: list[Any]) -> None:
    """Passages with where they stand."""
    for r in results:
        page = f", page {r.page_start}" if r.page_start else ""
        say(f"{r.rank}. {r.source_system}/{r.source_file}{page}", "cyan")
        if r.section_path:
            say("   " + " > ".join(r.section_path), "dim")
        text = " ".join(r.content.split())
        say("   " + text[:240] + (" …" if len(text) > 240 else ""))


def show_error(error: KbError, *, as_json: bool) -> None:
    """The message and what to do about it; a JSON object with --json."""
    if as_json:
        print_json({"error": type(error).__name__, "message": error.message, "remedy": error.remedy})
    err.print(Text("Error: ", style="bold red") + Text(error.message), soft_wrap=True)
    if error.remedy:
        err.print(Text("       " + error.remedy), soft_wrap=True)


@contextmanager
def progress_shown() -> Iterator[None]:
    """Show the progress that runs report by log: a live line a stage on a terminal, JSON lines otherwise."""
    logger = logging.getLogger(PROGRESS_LOGGER)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    if err.is_terminal:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(bar_width=20), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=False) as progress:
            handler: logging.Handler = _Live(progress)
            with _attached(logger, handler):
                yield
    else:
        with _attached(logger, _Lines()):
            yield
    logger.setLevel(level)
    logger.propagate = propagate


@contextmanager
def _attached(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Live(logging.Handler):
    """A bar a source over the whole of its backlog, and one line a stage of the run in progress, rewritten as it goes
    on; warnings stay above."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.lines: dict[tuple[str, str], Any] = {}

    def emit(self, record: logging.LogRecord) -> None:
        event, stage = getattr(record, "event", ""), getattr(record, "stage", "")
        if event in ("", "document", "braked"):
            self.progress.console.print(Text(record.getMessage(), style="yellow"))
            return
        if event == "backlog":
            self._show_left(record)
            return
        name = (getattr(record, "source", ""), stage)
        if name not in self.lines:
            self.lines[name] = self.progress.add_task("", total=None)
        ended = event == "stage"
        self.progress.update(
            self.lines[name], description=record.getMessage(), total=1 if ended else None, completed=int(ended)
        )

    def _show_left(self, record: logging.LogRecord) -> None:
        name = (getattr(record, "source", ""), "")
        total, left = getattr(record, "total", 0), getattr(record, "left", 0)
        if name not in self.lines:
            self.lines[name] = self.progress.add_task("", total=total)
        self.progress.update(
            self.lines[name], description=record.getMessage(), total=total, completed=max(0, total - left)
        )


class _Lines(logging.Handler):
    """One JSON object a line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        line = {"level": record.levelname.lower(), "message": record.getMessage()}
        for name in ("event", "source", "stage", "documents", "left", "total"):
            if hasattr(record, name):
                line[name] = getattr(record, name)
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
