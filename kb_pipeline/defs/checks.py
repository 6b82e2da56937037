"""Asset checks. They report; the gates are in the stages themselves (masking checks its own output)."""

from __future__ import annotations

from collections.abc import Sequence

from dagster import AssetCheckResult, AssetCheckSeverity, AssetCheckSpec

from kb_pipeline.masking import find_personal_data
from kb_pipeline.pipeline import SourceRun
from kb_pipeline.store import overview
from kb_pipeline.store.overview import Passage
from kb_pipeline.store.spaces import active_space

NO_PERSONAL_DATA = "no_detectable_personal_data"
ROWS_EQUAL_LEDGER = "rows_equal_ledger"
UNIT_VECTORS = "vectors_finite_and_unit_length"

masked_chunks_checks = [
    AssetCheckSpec(
        NO_PERSONAL_DATA,
        asset="masked_chunks",
        description="No masked entity is detectable in a sample of the masked chunks.",
    )
]
vector_tables_checks = [
    AssetCheckSpec(
        UNIT_VECTORS, asset="vector_tables", description="Every vector of the source is finite and of unit length."
    ),
    AssetCheckSpec(
        ROWS_EQUAL_LEDGER,
        asset="vector_tables",
        description="Chunk rows and vector rows of the source are exactly those the ledger names.",
    ),
]


def check_masked(run: SourceRun, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Rescan a sample of masked passages with all recognizers of the source's policy."""
    policy = run.settings.masking_for(run.source_system)
    found: dict[str, int] = {}
    for passage in sample:
        for entity, count in find_personal_data(f"{passage.section}\n{passage.content}", policy).items():
            found[entity] = found.get(entity, 0) + count
    counts = {"passages sampled": len(sample), **found}
    return [AssetCheckResult(check_name=NO_PERSONAL_DATA, passed=not found, metadata=counts)]


def check_published(run: SourceRun, sample: Sequence[Passage]) -> list[AssetCheckResult]:
    """Compare the tables with the ledger, and look at every vector of the source; needs no sample."""
    del sample
    space = active_space(run.connection)
    if space is None:
        nothing = {"note": "no vectors yet"}
        return [AssetCheckResult(check_name=s.name, passed=True, metadata=nothing) for s in vector_tables_checks]
    ledger, chunks, vectors = overview.published_rows(run.connection, run.source_system, space.table_name)
    bad = overview.bad_vectors(run.connection, run.source_system, space.table_name)
    return [
        AssetCheckResult(check_name=UNIT_VECTORS, passed=bad == 0, metadata={"vectors": vectors, "bad": bad}),
        AssetCheckResult(
            check_name=ROWS_EQUAL_LEDGER,
            passed=ledger == chunks == vectors,
            severity=AssetCheckSeverity.ERROR,
            metadata={"ledger": ledger, "chunk rows": chunks, "vector rows": vectors},
        ),
    ]
