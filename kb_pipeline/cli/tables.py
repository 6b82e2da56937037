"""Results as people read them: tables of at most 80 columns, with --wide all that is known."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from kb_pipeline import console

if TYPE_CHECKING:
    from kb_pipeline.local.stack import ServiceStatus
    from kb_pipeline.operations.forecasting import SourcePlan
    from kb_pipeline.operations.maintenance import KnownSource
    from kb_pipeline.pipeline.reports import SyncReport
    from kb_pipeline.store.erasing.collect import Collected
    from kb_pipeline.store.erasing.erase import Erased
    from kb_pipeline.store.verify import Problem
    from kb_pipeline.store.views.freshness import SourceStatus
    from kb_pipeline.store.views.overview import SpaceOverview


def show_services(services: Sequence[ServiceStatus], *, wide: bool = False) -> None:
    """The services of the embedded stack."""
    columns = ("service", "state", "port", "pid", "MB", "detail")
    rows = [
        (s.name, "up" if s.running else "down", given(s.port), given(s.pid), given(s.rss_mb), s.detail)
        for s in services
    ]
    console.table("", columns, rows, numbers=("MB",), whole=columns[:-1], extra=("MB",), wide=wide)


def show_sources(sources: Sequence[SourceStatus], *, wide: bool = False) -> None:
    """How each source stands, and in words what is out of the ordinary."""
    columns = (
        *("source", "state", "documents", "quarantined", "deleted", "chunks", "hints", "lag s", "gone", "backlog"),
        *("waiting", "tried again", "published (UTC)", "checked (UTC)"),
    )
    rows = [
        (
            *(s.source_system, s.state, s.documents, s.quarantined, s.deleted, s.chunks, s.hints),
            *(round(s.lag_seconds), s.gone, s.backlog, s.waiting, console.when(s.retry_at)),
            *(_minute(s.published_at), _minute(s.checked_at)),
        )
        for s in sources
    ]
    console.table(
        "sources",
        columns,
        rows,
        numbers=("documents", "quarantined", "deleted", "chunks", "hints", "lag s", "gone", "backlog", "waiting"),
        whole=columns[1:],
        extra=("deleted", "hints", "lag s", "gone", "backlog", "waiting", "tried again", "published (UTC)"),
        wide=wide,
    )
    for s in sources:
        _show_left(s)


def _show_left(s: SourceStatus) -> None:
    left = [
        (s.hints, f"objects to look at, the first for {round(s.lag_seconds)} s"),
        (s.backlog, "documents with work left"),
        (s.gone, "documents gone from the source"),
        (s.waiting, f"tried again from {console.when(s.retry_at)} UTC on"),
    ]
    told = "; ".join(f"{count} {what}" for count, what in left if count)
    if told:
        console.say(f"{s.source_system}: {told}")
    if s.brake:
        console.say(
            f"{s.source_system}: deletes wait: {s.brake.get('gone')} of {s.brake.get('live')} documents are gone."
            f" If that is right: kb sync {s.source_system} --confirm-deletes",
            "yellow",
        )


def show_spaces(spaces: Sequence[SpaceOverview], *, wide: bool = False) -> None:
    """The embedding spaces."""
    columns = ("space", "model", "status", "dimension", "rows")
    rows = [(s.space_id, s.model, s.status, s.dimension, s.rows) for s in spaces]
    console.table("spaces", columns, rows, numbers=columns[3:], whole=columns[2:], extra=("model",), wide=wide)


def show_known(found: Sequence[KnownSource]) -> None:
    """Source systems, and where they are known from."""
    columns = ("source", "kb.yaml", "ledger", "listing changed (UTC)", "description")
    rows = [
        (
            s.source_system,
            "yes" if s.configured else "no",
            "removed" if s.removed else "yes" if s.in_ledger else "no",
            console.when(s.listed_at),
            s.description,
        )
        for s in found
    ]
    console.table("", columns, rows, whole=columns[1:4])
    for s in found:
        if s.forgotten:
            console.say(f"{s.source_system}: {s.forgotten} documents are forgotten: no sync takes them in")


def show_plans(plans: Sequence[SourcePlan], *, wide: bool = False) -> None:
    """What a sync would do to each source, and what that comes to."""
    numbers = ("objects", "documents", "add", "change", "move", "delete", "unsettled", "MB to read")
    rows = [
        (
            *(p.source_system, p.listed, p.live, p.add, p.change, p.move, p.delete),
            *(sum(p.unsettled.values()), f"{p.bytes_to_read / 1e6:.1f}"),
        )
        for p in plans
    ]
    columns = ("source", *numbers)
    console.table("what a sync would do", columns, rows, numbers=numbers, whole=numbers, extra=("objects",), wide=wide)
    for p in plans:
        _show_estimate(p)


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


def show_sync(report: SyncReport) -> None:
    """What a sync did to one source; one line where it had nothing to do."""
    if not report.runs:
        listed = "" if report.listed is None else f", {report.listed} objects listed"
        waits = f", {report.waiting} wait for another try" if report.waiting else ""
        console.say(f"{report.source_system}: nothing to do{listed}{waits}, {report.seconds:.1f} s")
        return
    columns = ("stage", "considered", "done", "reused", "quarantined", "waiting", "seconds")
    rows = [
        (name, s["considered"], s["done"], s["reused"], s["quarantined"], s["failed"], s["seconds"])
        for name, s in report.stages.items()
    ]
    runs = f"run {report.run_id[:8]}" if report.runs == 1 else f"{report.runs} runs"
    title = f"{report.source_system}: {runs}, {report.seconds:.1f} s"
    console.table(title, columns, rows, numbers=columns[1:], whole=columns)
    deleted = f", documents deleted {report.deleted}" if report.deleted else ""
    console.say(
        f"object reads {report.object_reads}, object writes {report.object_writes}, "
        f"model calls {report.model_calls}, texts embedded {report.model_texts}{deleted}"
    )


def show_problems(problems: Sequence[Problem], *, wide: bool = False) -> None:
    """What does not hold."""
    columns = ("source", "document", "id", "check", "what is wrong", "can be mended")
    rows = [
        (p.source_system, p.document, p.document_id[:12], p.check, p.detail, "yes" if p.repairable else "no")
        for p in problems
    ]
    console.table("problems", columns, rows, whole=("id",), extra=("check",), wide=wide)


def show_collected(found: Collected, *, applied: bool) -> None:
    """What garbage collection took, or would take."""
    rows = list(found.by_stage.items())
    rows += [("clear text past its retention", found.cleared)] if found.cleared else []
    rows += [("objects without a row", found.objects_orphaned), ("expired documents", found.documents_expired)]
    title = "collected" if applied else "would be collected"
    console.table(title, ("", "count"), rows, numbers=("count",), whole=("count",))
    console.say(f"{found.bytes / 1e6:.1f} MB" + ("" if applied else "; `kb gc --apply` collects it"))


def show_erased(title: str, erased: Erased) -> None:
    """From where something was erased, and how much."""
    rows = [("documents", erased.documents)]
    rows += [(f"kb.{name}", count) for name, count in erased.rows.items()]
    rows += [(f"artifacts/{root}/", count) for root, count in erased.objects.items()]
    console.table(title, ("from", "erased"), rows, numbers=("erased",), whole=("erased",))
    if erased.kept:
        console.say(f"{erased.kept} artifacts stay: other documents use them")


def given(value: object) -> object:
    """A cell: empty for what is not known."""
    return "" if value is None else value


def _minute(time: datetime | None) -> str:
    return console.when(time)[:16]
