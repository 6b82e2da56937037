"""What the command line shows: progress while work goes on, tables of results, errors with their remedy."""

from __future__ import annotations

import json
import logging
import shutil
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
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
    names, cells = [columns[number] for number in shown], [[str(row[number]) for number in shown] for row in rows]
    drawn = _drawn(title, names, cells, numbers, whole)
    needed = Measurement.get(out, out.options.update(max_width=MOST_WIDTH), drawn)
    if wide:
        drawn.width = needed.maximum if needed.maximum > out.width else None
    elif needed.minimum > out.width:  # narrower than 80 columns: then ids fold too, for nothing may be cut off
        drawn = _drawn(title, names, cells, numbers, ())
    out.print(drawn, crop=False)


def _drawn(
    title: str, names: Sequence[str], cells: Sequence[Sequence[str]], numbers: Sequence[str], whole: Sequence[str]
) -> Table:
    drawn = Table(title=title or None, title_justify="left", header_style="bold", title_style="bold", **_PLAIN)
    for name in names:
        justify: Literal["left", "right"] = "right" if name in numbers else "left"
        drawn.add_column(name, justify=justify, overflow="fold", no_wrap=name in whole)
    for row in cells:
        drawn.add_row(*map(Text, row))
    return drawn


# Rules between columns would take a third of a narrow line.
_PLAIN: dict[str, Any] = {"box": box.SIMPLE_HEAD, "show_edge": False, "pad_edge": False, "padding": (0, 1, 0, 0)}
MOST_WIDTH = 1000


def when(time: datetime | None) -> str:
    """A time as tables show it: UTC, to the second; empty without one."""
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S") if time else ""


def say(text: str, style: str = "") -> None:
    """A line as it is: wrapped at words on a terminal, whole in a file or a pipe."""
    out.print(text, style=style, markup=False, highlight=False, soft_wrap=not out.is_terminal)


def note(text: str) -> None:
    """A line on standard error, whole: what goes on, beside the results."""
    err.print(text, markup=False, highlight=False, soft_wrap=True)


def show_results(results: list[Any]) -> None:
    """Passages with where they stand."""
    for r in results:
        page = f", page {r.page_start}" if r.page_start else ""
        say(f"{r.rank}. {r.source_system}/{r.source_file}{page}", "cyan")
        if r.section_path:
            say("   " + " > ".join(r.section_path), "dim")
        text = " ".join(r.content.split())
        say("   " + text[:240] + (" …" if len(text) > 240 else ""))


def show_error(error: KbError, *, as_json: bool, source: str = "", debug: bool = False) -> None:
    """The message and what to do about it, of `source` where several were asked for; a JSON object with --json. With
    `debug` the traceback goes before it, with every cause."""
    if debug:
        told = "".join(traceback.format_exception(_with_causes(error)))
        err.print(told, markup=False, highlight=False, soft_wrap=True)
    if as_json:
        about = {"source_system": source} if source else {}
        print_json({"error": type(error).__name__, "message": error.message, "remedy": error.remedy, **about})
    where = f"{source}: " if source else ""
    err.print(Text("Error: ", style="bold red") + Text(where + error.message), soft_wrap=True)
    if error.remedy:
        err.print(Text("       " + error.remedy), soft_wrap=True)


def _with_causes(error: BaseException) -> BaseException:
    """`error`, which no longer hides what it was raised from: messages for people leave it out, for it may quote."""
    at: BaseException | None = error
    seen: set[int] = set()
    while at is not None and id(at) not in seen:
        seen.add(id(at))
        at.__suppress_context__ = False
        at = at.__cause__ or at.__context__
    return error


@contextmanager
def progress_shown(*, as_json: bool = False, setting: str = "plain") -> Iterator[None]:
    """Show the progress that runs report by log: a bar a source on a terminal, otherwise a line each, as JSON
    `as_json`. With the `setting` "json" they are JSON on a terminal too."""
    logger = logging.getLogger(PROGRESS_LOGGER)
    level, propagate = logger.level, logger.propagate
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        if err.is_terminal and setting != "json":
            columns = (TextColumn("{task.description}", markup=False), BarColumn(bar_width=20), TimeElapsedColumn())
            with Progress(*columns, console=err) as progress, _attached(logger, Bars(progress)):
                yield
        else:
            with _attached(logger, JsonLines() if as_json or setting == "json" else Lines()):
                yield
    finally:
        logger.setLevel(level)
        logger.propagate = propagate


@contextmanager
def _attached(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class Bars(logging.Handler):
    """A bar a source over the whole of its backlog, which moves with every stage of every run; warnings stay above."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress
        self.bars: dict[str, TaskID] = {}
        self.done: dict[str, int] = {}  # what earlier runs took off the backlog

    def emit(self, record: logging.LogRecord) -> None:
        event, source = getattr(record, "event", ""), getattr(record, "source", "")
        if event in ("", "document", "braked"):
            self.progress.console.print(Text(record.getMessage(), style="yellow"))
            return
        if source not in self.bars:
            self.bars[source] = self.progress.add_task(record.getMessage(), total=None)
        bar, total = self.bars[source], getattr(record, "total", 0)
        if event == "backlog":
            self.done[source] = max(0, total - getattr(record, "left", 0))
            self.progress.update(bar, description=record.getMessage(), total=total, completed=self.done[source])
            return
        documents = total if event == "stage" else getattr(record, "documents", 0)
        at = self.done.get(source, 0) + _of_a_run(getattr(record, "stage", ""), documents, total)
        self.progress.update(bar, description=record.getMessage(), completed=at)


def _of_a_run(stage: str, documents: int, total: int) -> float:
    """How many whole documents it comes to that `documents` of a run's `total` have passed `stage`: each of the stages
    is an equal part of each document."""
    passed = _WORKING.index(stage) if stage in _WORKING else 0
    return (total * passed + min(documents, total)) / len(_WORKING)


_WORKING = ("parse", "chunk", "mask", "embed", "publish")


class Lines(logging.Handler):
    """One plain line each on standard error; how far a stage is, every few seconds."""

    EVERY_SECONDS = 10.0

    def __init__(self) -> None:
        super().__init__()
        self.last = time.monotonic()

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "event", "") == "progress":
            if time.monotonic() - self.last < self.EVERY_SECONDS:
                return
            self.last = time.monotonic()
        sys.stderr.write(" ".join(record.getMessage().split()) + "\n")


class JsonLines(logging.Handler):
    """One JSON object a line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        line = {"level": record.levelname.lower(), "message": record.getMessage()}
        for name in ("event", "source", "stage", "documents", "left", "total"):
            if hasattr(record, name):
                line[name] = getattr(record, name)
        sys.stderr.write(json.dumps(line, ensure_ascii=False) + "\n")
