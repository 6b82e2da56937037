"""Six assets, one partition a source system. Each body makes its stage complete for one source and reports."""

from collections.abc import Callable, Sequence
from typing import Any

from dagster import (
    AssetCheckResult,
    AssetExecutionContext,
    AssetKey,
    AssetRecordsFilter,
    AssetsDefinition,
    Config,
    DataVersion,
    Failure,
    MaterializeResult,
    MetadataValue,
    asset,
)
from dagster._core.definitions.data_version import extract_data_version_from_entry
from pydantic import Field

from kb_pipeline.core.contracts import StageName
from kb_pipeline.core.errors import KbError
from kb_pipeline.defs.assets import checks, metadata
from kb_pipeline.defs.assets.partitions import source_systems
from kb_pipeline.defs.resources import KnowledgeBaseResource, SGLangResource
from kb_pipeline.pipeline.runner import StageReport
from kb_pipeline.pipeline.sampling import sample
from kb_pipeline.pipeline.source_run import SourceRun, run_one, source_run
from kb_pipeline.settings import Settings
from kb_pipeline.store.views.overview import Passage

OWNERS = ["team:knowledge-base"]
# One group: the lineage page draws a single group open, several closed, and six assets are one picture.
GROUP = "knowledge_base"
STAGE_OF_ASSET: dict[str, StageName] = {
    "raw_documents": "raw",
    "cleaned_elements": "parse",
    "chunks": "chunk",
    "masked_chunks": "mask",
    "embeddings": "embed",
    "vector_tables": "publish",
}
Check = Callable[[SourceRun, StageReport, Sequence[Passage]], list[AssetCheckResult]]


def _stage_asset(
    name: str,
    description: str,
    *,
    kinds: set[str],
    before: str | None = None,
    check_specs: Sequence[Any] = (),
    check: Check | None = None,
    pool: str | None = None,
) -> AssetsDefinition:
    @asset(
        name=name,
        description=description,
        group_name=GROUP,
        kinds=kinds,
        owners=OWNERS,
        deps=[before] if before else [],
        partitions_def=source_systems,
        check_specs=check_specs,
        pool=pool,
    )
    def body(
        context: AssetExecutionContext, knowledge_base: KnowledgeBaseResource, sglang: SGLangResource
    ) -> MaterializeResult:  # type: ignore[type-arg] # Dagster reads this annotation and knows no generic
        return _materialize(context, name, sglang.apply(knowledge_base.settings()), check)

    return body


def _materialize(
    context: AssetExecutionContext, name: str, settings: Settings, check: Check | None, **observing: bool
) -> MaterializeResult:  # type: ignore[type-arg]
    """Make the asset's stage complete for the partition, and say what was done."""
    stage, source = STAGE_OF_ASSET[name], context.partition_key
    try:
        with source_run(settings, source, context.run.run_id, last=_is_last(context, name)) as run:
            report = run_one(run, stage, **observing)
            passages = sample(run, report) if stage in metadata.SAMPLED else []
            report.add_costs(run.object_costs())
            return MaterializeResult(
                metadata=metadata.describe(run, report, stage, passages),
                data_version=_data_version(context, report),
                check_results=check(run, report, passages) if check else [],
            )
    except KbError as error:
        raise Failure(
            description=str(error),
            metadata={"error": type(error).__name__, "remedy": MetadataValue.text(error.remedy)},
            allow_retries=False,
        ) from error


def _data_version(context: AssetExecutionContext, report: StageReport) -> DataVersion:
    """A new version if this run changed what the stage holds for the partition, else the last one."""
    if not (report.done or report.deleted):
        of_partition = AssetRecordsFilter(context.asset_key, asset_partitions=[context.partition_key])
        for record in context.instance.fetch_materializations(of_partition, limit=1).records:
            last = extract_data_version_from_entry(record.event_log_entry)
            if last:
                return last
    return DataVersion(context.run.run_id)


class RawDocumentsConfig(Config):
    """How a run looks at its source."""

    listing: bool = Field(
        default=True, description="Compare the source's whole listing first; off: only what is known to be left to do."
    )
    confirm_deletes: bool = Field(
        default=False, description="Delete what is gone from the source although it is a large share of it."
    )
    hinted_only: bool = Field(default=False, description="Take on hinted keys alone.")


def _is_last(context: AssetExecutionContext, name: str) -> bool:
    """Whether no later stage of this run follows: the source's lease is then given back."""
    selection = context.run.asset_selection
    selected = {key.to_user_string() for key in selection} if selection else set(STAGE_OF_ASSET)
    order = list(STAGE_OF_ASSET)
    return not any(later in selected for later in order[order.index(name) + 1 :])


@asset(
    description="What the source system holds now: its listing compared with the ledger as a set. Only objects whose "
    "ETag, size or time changed are read, to hash them; documents that are gone are deleted, unless they are a "
    "suspiciously large share. A run takes on a bounded number of documents.",
    group_name=GROUP,
    kinds={"s3", "python"},
    owners=OWNERS,
    partitions_def=source_systems,
    check_specs=checks.raw_documents_checks,
)
def raw_documents(
    context: AssetExecutionContext,
    config: RawDocumentsConfig,
    knowledge_base: KnowledgeBaseResource,
    sglang: SGLangResource,
) -> MaterializeResult:  # type: ignore[type-arg]
    settings = sglang.apply(knowledge_base.settings())
    return _materialize(
        context,
        "raw_documents",
        settings,
        checks.check_raw,
        listing=config.listing,
        confirm_deletes=config.confirm_deletes,
        hinted_only=config.hinted_only,
    )


cleaned_elements = _stage_asset(
    "cleaned_elements",
    "Documents read into titles, paragraphs, lists and tables, each in a worker process of its own with a time and a "
    "memory limit. One bad file goes to quarantine and costs only itself.",
    kinds={"python", "arrow"},
    before="raw_documents",
)
chunks = _stage_asset(
    "chunks",
    "Passages cut along the heading structure, with heading path, pages and order.",
    kinds={"python", "arrow"},
    before="cleaned_elements",
)
masked_chunks = _stage_asset(
    "masked_chunks",
    "Passages with personal data and amounts replaced by labels, by the source's policy. Masking checks its own "
    "output: a document that still holds something detectable goes to quarantine.",
    kinds={"python", "arrow"},
    before="chunks",
    check_specs=checks.masked_chunks_checks,
    check=checks.check_masked,
)
embeddings = _stage_asset(
    "embeddings",
    "One vector a distinct masked text, in the model's native dimension. A text that already has a vector of this "
    "model is not sent again.",
    kinds={"sglang", "python"},
    before="masked_chunks",
    pool="embedding",
)
vector_tables = _stage_asset(
    "vector_tables",
    "Chunk and vector rows in PostgreSQL, written by difference, each document with the ledger in one transaction: "
    "readers see its old version or its new one.",
    kinds={"postgres", "pgvector"},
    before="embeddings",
    check_specs=checks.vector_tables_checks,
    check=checks.check_published,
)

ALL_ASSETS = [raw_documents, cleaned_elements, chunks, masked_chunks, embeddings, vector_tables]
ALL_KEYS = [AssetKey(name) for name in STAGE_OF_ASSET]
