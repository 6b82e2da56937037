"""Asset checks. They report; the gates are in the stages themselves (masking checks its own output).

Each looks at what its run took on and at nothing else, so that a run costs what it does and not what the source holds;
`kb verify` looks at everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import AssetCheckEvaluation, AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey

from kb_pipeline.defs.assets.partitions import source_systems
from kb_pipeline.defs.dagster_private import in_preview
from kb_pipeline.masking import find_personal_data
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import SourceRun
from kb_pipeline.store.database import Connection
from kb_pipeline.store.ledger.sources import brakes
from kb_pipeline.store.published.spaces import active_space
from kb_pipeline.store.views import overview
from kb_pipeline.store.views.overview import Passage

DELETES_CONFIRMED = "deletes_confirmed"
NO_PERSONAL_DATA = "no_detectable_personal_data"
ROWS_EQUAL_LEDGER = "rows_equal_ledger"
UNIT_VECTORS = "vectors_finite_and_unit_length"


def _spec(name: str, asset: str, description: str) -> AssetCheckSpec:
    """A check by source system: one source's red is not overwritten by the next one's green."""
    with in_preview():
        return AssetCheckSpec(name, asset=asset, description=description, partitions_def=source_systems)


raw_documents_checks = [
    _spec(
        DELETES_CONFIRMED,
        "raw_documents",
        "No deletes wait for someone's word: a large share of the source is not suddenly gone.",
    )
]
masked_chunks_checks = [
    _spec(
        NO_PERSONAL_DATA,
        "masked_chunks",
        "No masked entity is detectable in a sample of the masked chunks that the run wrote.",
    )
]
vector_tables_checks = [
    _spec(UNIT_VECTORS, "vector_tables", "Every vector of the run's documents is finite and of unit length."),
    _spec(
        ROWS_EQUAL_LEDGER,
        "vector_tables",
        "Chunk rows and vector rows of the run's documents are exactly those the ledger names.",
    ),
]


def check_raw(run: SourceRun, report: StageReport, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Red, with the numbers, while the brake holds deletes of the source back."""
    del report, sample
    return [AssetCheckResult(check_name=DELETES_CONFIRMED, **_deletes(run.connection, run.source_system))]


def deletes_evaluation(connection: Connection, source_system: str) -> AssetCheckEvaluation:
    """The same from outside a run, for a brake that is let go of without one."""
    key, found = AssetKey("raw_documents"), _deletes(connection, source_system)
    return AssetCheckEvaluation(key, DELETES_CONFIRMED, partition=source_system, **found)


def _deletes(connection: Connection, source_system: str) -> dict[str, Any]:
    severity, held = AssetCheckSeverity.ERROR, brakes(connection).get(source_system)
    if held is None:
        return {"passed": True, "severity": severity}
    said = f"{held.gone} of {held.live} documents of {source_system} are gone from the source. None was deleted."
    numbers = {"kb/gone": held.gone, "kb/live": held.live, "kb/moved": held.moved, "kb/since": held.since}
    remedy = f"If that is right: kb sync {source_system} --confirm-deletes"
    return {"passed": False, "severity": severity, "description": f"{said} {remedy}", "metadata": numbers}


def check_masked(run: SourceRun, report: StageReport, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Rescan a sample of masked passages with all recognizers of the source's policy."""
    del report
    policy = run.settings.masking_for(run.source_system)
    found: dict[str, int] = {}
    for passage in sample:
        text = f"{passage.source_file}\n{passage.section}\n{passage.content}"
        for entity, count in find_personal_data(text, policy).items():
            found[entity] = found.get(entity, 0) + count
    counts = {"kb/passages_sampled": len(sample), **{f"kb/{entity}": count for entity, count in found.items()}}
    return [AssetCheckResult(check_name=NO_PERSONAL_DATA, passed=not found, metadata=counts)]


def check_published(run: SourceRun, report: StageReport, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Compare the tables with the ledger, and look at the vectors, for the documents that the run took on; for all of
    the source when the run chose none. A run that wrote nothing has nothing to be looked at."""
    del sample
    space, scope = active_space(run.connection), run.state.scope
    if space is None:
        return _nothing("no vectors yet")
    if scope is not None and not (report.done or report.stats.get("withdrawn")):
        return _nothing("nothing was written")
    ledger, chunks, vectors = overview.published_rows(run.connection, run.source_system, space.table_name, scope)
    bad = overview.bad_vectors(run.connection, run.source_system, space.table_name, scope)
    equal = ledger == chunks == vectors
    rows = {"kb/ledger": ledger, "kb/chunk_rows": chunks, "kb/vector_rows": vectors}
    return [
        _result(UNIT_VECTORS, bad == 0, {"kb/vectors": vectors, "kb/bad": bad}),
        _result(ROWS_EQUAL_LEDGER, equal, rows),
    ]


def _nothing(why: str) -> list[AssetCheckResult]:
    return [_result(spec.name, True, {"kb/note": why}) for spec in vector_tables_checks]


def _result(name: str, passed: bool, metadata: Mapping[str, int | str]) -> AssetCheckResult:
    return AssetCheckResult(check_name=name, passed=passed, severity=AssetCheckSeverity.ERROR, metadata=metadata)
