"""Asset checks. They report; the gates are in the stages themselves (masking checks its own output).

Each looks at what its run took on and at nothing else, so that a run costs what it does and not what the source holds;
`kb verify` looks at everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagster import AssetCheckEvaluation, AssetCheckResult, AssetCheckSeverity, AssetCheckSpec, AssetKey

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

raw_documents_checks = [
    AssetCheckSpec(
        DELETES_CONFIRMED,
        asset="raw_documents",
        description="No deletes wait for someone's word: a large share of the source is not suddenly gone.",
    )
]
masked_chunks_checks = [
    AssetCheckSpec(
        NO_PERSONAL_DATA,
        asset="masked_chunks",
        description="No masked entity is detectable in a sample of the masked chunks that the run wrote.",
    )
]
vector_tables_checks = [
    AssetCheckSpec(
        UNIT_VECTORS,
        asset="vector_tables",
        description="Every vector of the run's documents is finite and of unit length.",
    ),
    AssetCheckSpec(
        ROWS_EQUAL_LEDGER,
        asset="vector_tables",
        description="Chunk rows and vector rows of the run's documents are exactly those the ledger names.",
    ),
]


def check_raw(run: SourceRun, report: StageReport, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Red, with the numbers, while the brake holds deletes of any source back: the check has one state for all."""
    del report, sample
    return [AssetCheckResult(check_name=DELETES_CONFIRMED, **_deletes(run.connection))]


def deletes_evaluation(connection: Connection) -> AssetCheckEvaluation:
    """The same from outside a run, for a brake that is let go of without one."""
    return AssetCheckEvaluation(AssetKey("raw_documents"), DELETES_CONFIRMED, **_deletes(connection))


def _deletes(connection: Connection) -> dict[str, Any]:
    held = brakes(connection)
    said = [f"{b.gone} of {b.live} documents of {name} are gone from the source" for name, b in held.items()]
    remedy = [f"kb sync {name} --confirm-deletes" for name in held]
    numbers = {
        f"{name}: {key}": value
        for name, b in held.items()
        for key, value in (("gone", b.gone), ("live", b.live), ("moved", b.moved), ("since", b.since))
    }
    words = f"{'; '.join(said)}. None was deleted. If that is right: {'; '.join(remedy)}" if held else None
    return {"passed": not held, "severity": AssetCheckSeverity.ERROR, "description": words, "metadata": numbers}


def check_masked(run: SourceRun, report: StageReport, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Rescan a sample of masked passages with all recognizers of the source's policy."""
    del report
    policy = run.settings.masking_for(run.source_system)
    found: dict[str, int] = {}
    for passage in sample:
        text = f"{passage.source_file}\n{passage.section}\n{passage.content}"
        for entity, count in find_personal_data(text, policy).items():
            found[entity] = found.get(entity, 0) + count
    counts = {"passages sampled": len(sample), **found}
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
    rows = {"ledger": ledger, "chunk rows": chunks, "vector rows": vectors}
    return [_result(UNIT_VECTORS, bad == 0, {"vectors": vectors, "bad": bad}), _result(ROWS_EQUAL_LEDGER, equal, rows)]


def _nothing(why: str) -> list[AssetCheckResult]:
    return [_result(spec.name, True, {"note": why}) for spec in vector_tables_checks]


def _result(name: str, passed: bool, metadata: Mapping[str, int | str]) -> AssetCheckResult:
    return AssetCheckResult(check_name=name, passed=passed, severity=AssetCheckSeverity.ERROR, metadata=metadata)
