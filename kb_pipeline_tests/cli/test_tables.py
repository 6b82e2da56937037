"""Every table fits 80 columns with numbers as large as they get, cuts nothing off, and shows all with --wide."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from kb_pipeline import console
from kb_pipeline.auditing.report import AuditReport, Leak, Place
from kb_pipeline.cli import document_tables, tables
from kb_pipeline.cli.masking import show_audit
from kb_pipeline.core.estimating import Estimate
from kb_pipeline.local.stack import ServiceStatus
from kb_pipeline.operations.forecasting import SourcePlan
from kb_pipeline.operations.maintenance import KnownSource
from kb_pipeline.operations.quarantine import QuarantineReport
from kb_pipeline.pipeline.reports import SyncReport, no_stages
from kb_pipeline.store.erasing.collect import Collected
from kb_pipeline.store.erasing.erase import Erased
from kb_pipeline.store.verify import Problem
from kb_pipeline.store.views.freshness import SourceStatus
from kb_pipeline.store.views.history import DocumentHistory, QuarantinedDocument, StageHistory, VersionHistory
from kb_pipeline.store.views.overview import Quarantined, SpaceOverview

AT = datetime(2026, 11, 30, 19, 44, 5, tzinfo=UTC)
ID = "5ea8578c222e563d6deb8a7d2b264c10"
HASH = "52b85bbbe5b7d85aabd36947b25038b6056d99040a383471ff07d1c3245f7cd6"
SOURCE = "contracts_archive-2026"
NAME = "采购合同-存储服务器/warehouse-lease-scan-damaged-second-copy-of-the-annex.pdf"
MESSAGE = "The file is no readable PDF. Open it in a PDF viewer and save it again."

SERVICES = [ServiceStatus("embedding", True, 4194304, 29972, "/srv/knowledge/base/of/ours/postgres/data" * 2, 511.4)]
SOURCES = [
    SourceStatus(SOURCE, 1234567, 123456, 123456, 98765432, 123456, 12, 123456, 3, AT, 86400.5, AT, AT, AT, AT, None)
]
SPACES = [SpaceOverview("qwen3-embedding-0.6b-a1b2c3@1024", "Qwen/Qwen3-Embedding-0.6B", 1024, "building", 98765432)]
PLANS = [
    SourcePlan(SOURCE, 1234567, 1234567, 123456, 12345, 12345, 12345, False, 123456789012, {"parse": 123456},
               Estimate(1, 2, 3, 0.5, {"kind": 1}))
]  # fmt: skip
HISTORY = DocumentHistory(
    ID, SOURCE, NAME, "application/pdf", 1529, HASH, "quarantined", AT, AT, AT, None, None, 7,
    [VersionHistory(HASH, AT, AT, AT)],
    [
        StageHistory("publish", "qwen3-embedding-0.6b@1024", "quarantined", HASH[:32], 123456789, 1234567, 12, 119.999,
                     "MemoryLimitExceeded", MESSAGE, ID, AT)
    ],
)  # fmt: skip
QUARANTINED = [Quarantined(ID, SOURCE, NAME, "application/pdf", "parse", "MemoryLimitExceeded", MESSAGE, 8, AT)]
IN_QUARANTINE = QuarantineReport(
    QuarantinedDocument(ID, SOURCE, NAME, "parse", "CorruptDocument", MESSAGE, 1, AT, "application/pdf", 1, HASH, 0),
    "Open it in its application and save it anew.",
    f"kb quarantine retry {ID[:12]} && kb sync {SOURCE}",
)
KNOWN = [KnownSource(SOURCE, "Employee handbook and policies, Chinese and English", True, True, AT, True)]
PROBLEMS = [Problem("rows are those of the ledger", SOURCE, NAME, MESSAGE * 2, True, ID)]
ERASED = Erased(1, {"vector_qwen3_embedding_0_6b_1024": 12345678, "chunk": 8}, {"clear": 2}, 1, 0)
COLLECTED = Collected(1234567, 12, 123456789, 12345678, 12, {"parse": 12345678})
AUDIT = AuditReport(
    AT, {"BANK_CARD": 6}, (Place("kb.document_version", 12345678),),
    (Leak("kb.document_version", "canary", {"BANK_CARD": 12, "EMAIL_ADDRESS": 3, "CN_RESIDENT_ID": 4}),), (),
)  # fmt: skip


def synced() -> SyncReport:
    stages = no_stages(1234567)
    for report in stages.values():
        report.update(considered=1234567, done=1234567, reused=1234567, quarantined=123456, failed=123456, seconds=9e4)
    return SyncReport(SOURCE, ID, 12, 90000.0, 1234567, stages, 1234567, 1234567, 123456, 12345678)


# What is shown, and what of it must be found whole: ids, times, names of columns.
SHOWN: dict[str, tuple[Callable[[bool], None], tuple[str, ...]]] = {
    "services": (lambda w: tables.show_services(SERVICES, wide=w), ("embedding", "29972", "4194304")),
    "sources": (lambda w: tables.show_sources(SOURCES, wide=w), ("documents", "quarantined", "2026-11-30 19:44")),
    "spaces": (lambda w: tables.show_spaces(SPACES, wide=w), ("dimension", "98765432", "building")),
    "plan": (lambda w: tables.show_plans(PLANS, wide=w), ("unsettled", "MB to read", "123456.8")),
    "history": (
        lambda w: document_tables.show_history(HISTORY, wide=w),
        (ID, HASH[:12], "2026-11-30 19:44:05", "quarantined"),
    ),
    "sync": (lambda _: tables.show_sync(synced()), ("considered", "quarantined", "1234567")),
    "quarantine list": (lambda w: document_tables.show_quarantined(QUARANTINED, wide=w), (ID[:12],)),
    "quarantine show": (lambda _: document_tables.show_quarantined_document(IN_QUARANTINE), (ID, "still searchable")),
    "source list": (lambda _: tables.show_known(KNOWN), ("2026-11-30 19:44:05", "listing changed (UTC)")),
    "verify": (lambda w: tables.show_problems(PROBLEMS, wide=w), (ID[:12],)),
    "forget": (lambda _: tables.show_erased("forgotten", ERASED), ("12345678", "kb.chunk")),
    "gc": (lambda _: tables.show_collected(COLLECTED, applied=False), ("12345678",)),
    "audit": (lambda _: show_audit(AUDIT), ("12345678", "kb.document_version")),
}


def lines(paper: io.StringIO) -> list[str]:
    return paper.getvalue().splitlines()


@pytest.mark.parametrize("name", SHOWN)
def test_a_table_fits_80_columns_and_cuts_nothing_off(paper: io.StringIO, name: str) -> None:
    show, whole = SHOWN[name]
    show(False)
    drawn = [line for line in lines(paper) if "  " in line or "─" in line]
    assert drawn
    assert [line for line in drawn if cell_len(line) > 80] == []
    assert "…" not in paper.getvalue()
    assert [part for part in whole if part not in paper.getvalue()] == []


@pytest.mark.parametrize("name", ["plan", "history", "quarantine list"])
def test_a_narrower_table_folds_even_ids_and_cuts_nothing_off(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    show, _ = SHOWN[name]
    printed = {}
    for width in (40, 200):
        paper = io.StringIO()
        monkeypatch.setattr(console, "out", Console(file=paper, width=width))
        show(False)
        assert [line for line in lines(paper) if "─" in line and cell_len(line) > width] == []
        printed[width] = Counter(paper.getvalue().replace("─", ""))
        del printed[width][" "], printed[width]["\n"]
    assert printed[40] == printed[200]


@pytest.mark.parametrize("name", ["sources", "spaces", "plan", "history", "quarantine list", "verify"])
def test_wide_shows_more_columns_and_folds_none(paper: io.StringIO, name: str) -> None:
    show, whole = SHOWN[name]
    show(False)
    narrow = paper.getvalue()
    paper.seek(0)
    paper.truncate()
    show(True)
    assert max(map(cell_len, lines(paper))) > 80
    assert "…" not in paper.getvalue()
    assert [part for part in whole if part not in paper.getvalue()] == []
    assert len(set(paper.getvalue().split()) - set(narrow.split())) >= 1
    if "NAME" in name:
        assert NAME in paper.getvalue()


def test_all_that_status_knows_is_in_the_wide_table(paper: io.StringIO) -> None:
    tables.show_sources(SOURCES, wide=True)
    header = next(line for line in lines(paper) if "quarantined" in line)
    for name in ("deleted", "hints", "lag s", "gone", "backlog", "waiting", "tried again", "published"):
        assert name in header


def test_what_the_narrow_table_leaves_out_is_said_where_it_matters(paper: io.StringIO) -> None:
    tables.show_sources([*SOURCES, SourceStatus("hr", 3, checked_at=AT, state="in step")])
    said = " ".join(paper.getvalue().split())
    assert f"{SOURCE}: 123456 objects to look at" in said
    assert "12 documents gone from the source" in said
    assert "tried again from 2026-11-30 19:44:05 UTC on" in said
    assert "hr:" not in said, "nothing is out of the ordinary there"


def test_a_sync_with_nothing_to_do_is_one_line(paper: io.StringIO) -> None:
    tables.show_sync(SyncReport("hr", seconds=0.31, listed=11, stages=no_stages(11)))
    assert lines(paper) == ["hr: nothing to do, 11 objects listed, 0.3 s"]
    paper.seek(0)
    paper.truncate()
    tables.show_sync(SyncReport("hr", seconds=0.31, listed=11, stages=no_stages(11), waiting=2))
    assert lines(paper) == ["hr: nothing to do, 11 objects listed, 2 wait for another try, 0.3 s"]


def test_a_table_off_a_terminal_has_no_escape_sequences(paper: io.StringIO) -> None:
    console.table("sources", ("source", "documents"), [("hr", 3)], numbers=("documents",))
    assert "\x1b" not in paper.getvalue()
