"""Progress: a bar that moves on a terminal, one plain line each off it, JSON when asked for; and it tells the truth."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable

import pytest
from rich.console import Console
from rich.progress import Progress as Drawing

from kb_pipeline import console
from kb_pipeline.core.contracts import Outcome, Task
from kb_pipeline.pipeline.progress import Progress

LOG = logging.getLogger(console.PROGRESS_LOGGER)


def backlog(left: int, total: int = 10) -> None:
    about = {"event": "backlog", "source": "hr", "left": left, "total": total}
    LOG.info("hr: %d of %d left to do", left, total, extra=about)


def stage(name: str, documents: int, event: str = "progress", total: int = 10) -> None:
    about = {"event": event, "source": "hr", "stage": name, "documents": documents, "total": total}
    LOG.info("hr/%s: %d of %d documents", name, documents, total, extra=about)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What a verb that works says on standard error off a terminal: said(as_json=..., setting=...)."""

    def run(**asked: object) -> str:
        printed = io.StringIO()
        monkeypatch.setattr("sys.stderr", printed)
        monkeypatch.setattr(console, "err", Console(file=printed, width=80))
        with console.progress_shown(**asked):  # type: ignore[arg-type]
            backlog(10)
            LOG.warning("hr/parse: quarantined torn.pdf: CorruptDocument", extra={"event": "document", "source": "hr"})
            stage("parse", 3)
            stage("parse", 10, "stage")
        return printed.getvalue()

    return run


def test_off_a_terminal_progress_is_one_plain_line_each(said: Callable[..., str]) -> None:
    assert said().splitlines() == [
        "hr: 10 of 10 left to do",
        "hr/parse: quarantined torn.pdf: CorruptDocument",
        "hr/parse: 10 of 10 documents",
    ]


@pytest.mark.parametrize("asked", [{"as_json": True}, {"setting": "json"}])
def test_progress_is_json_when_asked_for(said: Callable[..., str], asked: dict[str, object]) -> None:
    lines = [json.loads(line) for line in said(**asked).splitlines()]
    assert lines[0] == {
        "level": "info", "message": "hr: 10 of 10 left to do", "event": "backlog", "source": "hr", "left": 10,
        "total": 10,
    }  # fmt: skip
    assert [line["level"] for line in lines] == ["info", "warning", "info", "info"]


def test_nobody_listens_any_more_after_an_error() -> None:
    before = (LOG.level, LOG.propagate, list(LOG.handlers))
    with pytest.raises(KeyError), console.progress_shown():
        raise KeyError
    assert (LOG.level, LOG.propagate, list(LOG.handlers)) == before


def test_the_bar_moves_with_every_stage_of_every_run() -> None:
    drawing = Drawing(console=Console(file=io.StringIO(), force_terminal=True, width=80), auto_refresh=False)
    bars = console.Bars(drawing)
    seen: list[float] = []

    def note() -> None:
        seen.append(drawing.tasks[0].completed)

    LOG.addHandler(bars)
    before, LOG.level = LOG.level, logging.INFO
    try:
        backlog(20, 20)
        for name, documents in (("parse", 0), ("parse", 5), ("parse", 10), ("embed", 2), ("embed", 9), ("publish", 9)):
            stage(name, documents)
            note()
        stage("publish", 9, "stage")
        note()
        backlog(10, 20)
        note()
        stage("parse", 5)
        note()
    finally:
        LOG.removeHandler(bars)
        LOG.level = before
    assert seen == sorted(seen)
    assert len(set(seen)) >= 7, "it moves"
    assert seen[-3:] == [10, 10, 11]
    assert drawing.tasks[0].total == 20
    assert len(drawing.tasks) == 1, "one bar a source"


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.INFO, console.PROGRESS_LOGGER)
    return lambda: [record.getMessage() for record in caplog.records]


def test_work_done_in_one_turn_is_told_where_it_was_done(told: Callable[[], list[str]]) -> None:
    Progress("parse", "hr").end({"parse": 8, "chunk": 8, "mask": 8}, 0, 1, 0, 5.84)
    Progress("chunk", "hr").end({"chunk": 0, "mask": 0}, 0, 0, 0, 0.01)
    Progress("mask", "hr").end({"mask": 0}, 3, 0, 2, 0.01)
    assert told() == [
        "hr/parse: 8 parsed, 8 chunked, 8 masked, 1 quarantined, 5.8 s",
        "hr/mask: 3 reused, 2 waiting, 0.0 s",
    ]


def test_how_far_a_stage_is_says_of_how_many(told: Callable[[], list[str]]) -> None:
    task = Task.__new__(Task)
    progress = Progress("embed", "hr", total=11, every_seconds=0)
    for _ in range(2):
        progress.advance(Outcome(task, "ok"))
    assert told() == ["hr/embed: 1 of 11 documents", "hr/embed: 2 of 11 documents"]


def test_a_line_beside_the_results_is_not_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    printed = io.StringIO()
    monkeypatch.setattr(console, "err", Console(file=printed, width=80))
    line = "postgres: making the database files in /srv/" + "a-long-name/" * 10 + " [bold]"
    console.note(line)
    assert printed.getvalue() == line + "\n"
