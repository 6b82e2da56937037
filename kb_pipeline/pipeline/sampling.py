"""Masked passages of what a run just did: to show in its metadata, and to look through for what masking missed."""

from __future__ import annotations

from kb_pipeline.core.contracts import MaskedChunk
from kb_pipeline.core.errors import ArtifactDamaged
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.source_run import SourceRun
from kb_pipeline.store.objects.artifacts import read_table, table_to_records
from kb_pipeline.store.views import overview
from kb_pipeline.store.views.overview import Passage

SAMPLED_DOCUMENTS = 20
PASSAGES_PER_DOCUMENT = 5


def sample(run: SourceRun, report: StageReport) -> list[Passage]:
    """Passages of documents that the run takes on, spread over them; none when the stage did nothing. Of masked chunks
    while they are not published yet, then of what readers see."""
    if not report.done:
        return []
    scope = run.state.scope
    if report.stage == "publish":
        return overview.passages(run.connection, run.source_system, scope, SAMPLED_DOCUMENTS * PASSAGES_PER_DOCUMENT)
    found: list[Passage] = []
    artifacts = overview.current_artifacts(run.connection, run.source_system, "mask", scope, SAMPLED_DOCUMENTS)
    for _, name, ref in artifacts:
        try:
            chunks: list[MaskedChunk] = table_to_records(read_table(run.store, ref), MaskedChunk)
        except ArtifactDamaged:  # made again when a stage needs it: no reason to fail one that does not
            continue
        found += [
            Passage(name, " > ".join(c.section_path), str(c.page_start or ""), c.content)
            for c in chunks[:PASSAGES_PER_DOCUMENT]
        ]
    return found
